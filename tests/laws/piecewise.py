"""Run a traced program one operation at a time.

A program of a test is compiled once and runs for a few rounds, and compiling takes a thousand times as long as running.
Programs of different parts consist of the same operations on arrays of the same shapes, though: compiled one by one,
these are compiled once for all programs. Loops and branches are run in Python.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, Literal

# Operations that hold a program which is run where they stand.
CALLS = {"jit", "pjit", "closed_call", "core_call", "remat", "checkpoint", "custom_jvp_call", "custom_vjp_call"}


def call(traced: jax.stages.Traced, *args):
    """What `traced`, a function traced for arguments of these shapes, returns for these arguments."""
    program = traced.jaxpr
    results = run(program.jaxpr, program.consts, jax.tree.leaves(args))
    return jax.tree.unflatten(jax.tree.structure(traced.out_info), results)


def run(program: Jaxpr, consts: list, args: list) -> list:
    """The results of a program for these arguments."""
    values = dict(zip((*program.constvars, *program.invars), (*consts, *args), strict=True))
    read = lambda var: var.val if isinstance(var, Literal) else values[var]
    for equation in program.eqns:
        values |= zip(equation.outvars, _results(equation, [read(var) for var in equation.invars]), strict=True)
    return [read(var) for var in program.outvars]


def _results(equation, args: list) -> list:
    name, params = equation.primitive.name, equation.params
    if name in CALLS:
        return _closed(params.get("jaxpr", params.get("call_jaxpr")), args)
    if name == "cond":
        branch = int(np.clip(int(args[0]), 0, len(params["branches"]) - 1))
        return _closed(params["branches"][branch], args[1:])
    if name == "while":
        return _while(params, args)
    if name == "scan":
        return _scan(params, args)
    out = _compiled(equation.primitive, tuple(params.items()))(*args)
    return list(out) if equation.primitive.multiple_results else [out]


@functools.cache
def _compiled(primitive, params: tuple):
    return jax.jit(functools.partial(primitive.bind, **dict(params)))


def _closed(program, args: list) -> list:
    return run(getattr(program, "jaxpr", program), getattr(program, "consts", []), args)


def _while(params: dict, args: list) -> list:
    count = params["cond_nconsts"], params["body_nconsts"]
    asking, doing, carry = args[: count[0]], args[count[0] : sum(count)], args[sum(count) :]
    while np.any(going := _closed(params["cond_jaxpr"], [*asking, *carry])[0]):
        new = _closed(params["body_jaxpr"], [*doing, *carry])
        # One answer for each row: rows that are done stay as they are.
        carry = new if not going.shape else [_kept(going, *pair) for pair in zip(new, carry, strict=True)]
    return carry


def _scan(params: dict, args: list) -> list:
    held, carried, length = params["num_consts"], params["num_carry"], params["length"]
    consts, carry, rows = args[:held], args[held : held + carried], args[held + carried :]
    made = [None] * length
    for i in reversed(range(length)) if params["reverse"] else range(length):
        out = _closed(params["jaxpr"], [*consts, *carry, *(_row(x, np.int32(i)) for x in rows)])
        carry, made[i] = out[:carried], out[carried:]
    if not made:
        shapes = [aval.update(shape=(0, *aval.shape)) for aval in params["jaxpr"].out_avals[carried:]]
        return [*carry, *(jnp.zeros(aval.shape, aval.dtype) for aval in shapes)]
    return [*carry, *(_stack(*rows) for rows in zip(*made, strict=True))]


_row = jax.jit(lambda x, i: jax.lax.dynamic_index_in_dim(x, i, keepdims=False))
_stack = jax.jit(lambda *rows: jnp.stack(rows))
_kept = jax.jit(lambda going, new, old: jnp.where(going.reshape(*going.shape, *(1,) * (new.ndim - 1)), new, old))
