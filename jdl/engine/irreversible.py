"""Loops that cannot be reversed: their number of turns is known only when they run, and derivatives pass through them.

They are found in a program that is traced for this and never run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal

from jdl.types import PyTree

__all__ = ["irreversible_loops", "place_of"]

# Their derivative is zero where they have one, and so no derivative passes through them.
FLAT = {"sign", "floor", "ceil", "round", "is_finite"}
JAX = str(Path(jax.__file__).parent)


def irreversible_loops(function: Callable[..., PyTree], *args: PyTree) -> list[JaxprEqn]:
    """The loops of `function(*args)` that JAX cannot reverse, if all real numbers among the arguments have derivatives.

    A loop over keys and whole numbers alone has no derivative, and does not count; nor does a loop in a function that
    has a rule of its own for its derivative.

    >>> def halved(x, turns):
    ...     return jax.lax.fori_loop(0, turns, lambda i, x: x / 2, x)
    >>> len(irreversible_loops(lambda x: halved(x, 3), 1.0)), len(irreversible_loops(halved, 1.0, 3))
    (0, 1)
    """
    program = jax.make_jaxpr(function)(*args).jaxpr
    return [*_Reading().loops(program, [_is_real(var) for var in program.invars])]


def place_of(loop: JaxprEqn) -> str | None:
    """The function outside of JAX in which a loop was written, with file and line; None if unknown."""
    frames = loop.source_info.traceback.frames if loop.source_info.traceback else ()
    for frame in frames:
        if not frame.file_name.startswith(JAX) and "<" not in frame.file_name:
            name = frame.function_name.replace(".<locals>", "").replace(".<lambda>", "")
            return f"`{name}` ({Path(frame.file_name).name}, line {frame.line_num})"
    return None


class _Reading:
    """A pass over a program that notes through which variables derivatives pass."""

    def loops(self, program: Jaxpr, active: list[bool]) -> Iterator[JaxprEqn]:
        self.through = {var for var, is_ in zip(program.invars, active, strict=True) if is_}
        for equation in program.eqns:
            inputs = [not isinstance(var, Literal) and var in self.through for var in equation.invars]
            outputs, inner = _step(equation, inputs)
            yield from inner
            self.through |= {var for var, is_ in zip(equation.outvars, outputs, strict=True) if is_}
        self.out = [not isinstance(var, Literal) and var in self.through for var in program.outvars]


def _read(program: Jaxpr, active: list[bool]) -> tuple[list[bool], list[JaxprEqn]]:
    reading = _Reading()
    found = [*reading.loops(program, active)]
    return reading.out, found


def _step(equation: JaxprEqn, active: list[bool]) -> tuple[list[bool], list[JaxprEqn]]:
    """Through which results of an equation derivatives pass, and the loops in it that cannot be reversed."""
    name, params = equation.primitive.name, equation.params
    real = [_is_real(var) for var in equation.outvars]
    if not any(active) or name in FLAT:
        return [False] * len(real), []
    if name == "while":
        first, rest = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        carry, _ = _settled(params["body_jaxpr"].jaxpr, active[first:rest], active[rest:], [])
        return carry, [equation] if any(carry) else []
    if name == "scan":
        consts, end = params["num_consts"], params["num_consts"] + params["num_carry"]
        return _scan(params["jaxpr"].jaxpr, active[:consts], active[consts:end], active[end:])
    if name == "cond":
        branches = [_read(branch.jaxpr, active[1:]) for branch in params["branches"]]
        outs = [any(of_branches) for of_branches in zip(*(out for out, _ in branches), strict=True)]
        return outs, [loop for _, loops in branches for loop in loops]
    inner = [getattr(params[key], "jaxpr", params[key]) for key in ("jaxpr", "call_jaxpr") if key in params]
    if name.startswith("custom_") or not inner or len(inner[0].invars) != len(active):
        return real, []
    return _read(inner[0], active)


def _settled(body: Jaxpr, consts: list[bool], carry: list[bool], each: list[bool]) -> tuple[list[bool], tuple]:
    """Through which parts of the carry of a loop derivatives pass, after any number of turns."""
    while True:
        out, loops = _read(body, [*consts, *carry, *each])
        after = [a or b for a, b in zip(carry, out, strict=False)]
        if after == carry:
            return carry, (out, loops)
        carry = after


def _scan(body: Jaxpr, consts: list[bool], carry: list[bool], each: list[bool]) -> tuple[list[bool], list[JaxprEqn]]:
    carry, (out, loops) = _settled(body, consts, carry, each)
    return [*carry, *out[len(carry) :]], loops


def _is_real(var: Any) -> bool:
    dtype = getattr(var.aval, "dtype", None)
    return (
        dtype is not None
        and not jax.dtypes.issubdtype(dtype, jax.dtypes.extended)
        and jnp.issubdtype(dtype, jnp.inexact)
    )
