"""Whether a compiled round depends on the number of the round, other than through the keys of its draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from jdl.engine.rounds import step
from jdl.engine.sim import RunState, Simulation
from jdl.theory.linear.vector import COUNTERS

__all__ = ["depends", "tells_rounds"]

# A key is drawn anew in each round whatever its number is, and what is drawn from it has the same law.
KEYS = {"random_wrap", "random_fold_in", "random_seed"}
# A fence of `jdl.engine.xla.written_once`: its loop has no turns, whatever the round.
FENCE = "_stored"


def tells_rounds(s: Simulation, known: RunState) -> bool:
    """Whether a round depends on its number, or on a number in the state that counts rounds.

    Args:
      s: the simulation.
      known: the states of a run, leaves `[round, ...]`.
    """
    rounds = np.arange(len(known.t))
    leaves, structure = jax.tree.flatten(known)
    counts = [i for i, leaf in enumerate(leaves) if leaf.ndim == 1 and np.array_equal(leaf, rounds)]
    at = [leaf[0] for leaf in leaves]

    def after(counted, s, at):
        for i, value in zip(counts, counted, strict=True):
            at[i] = value
        new = jax.tree_util.tree_leaves_with_path(step(s, structure.unflatten(at))[0])
        return [leaf for i, (path, leaf) in enumerate(new) if i not in counts and path[0].name not in COUNTERS]

    return depends(after, [at[i] for i in counts], s, at)


def depends(function: Callable[..., Any], tellers: Any, *rest: Any) -> bool:
    """Whether what a function returns depends on its first argument, other than through random keys.

    The answer is read from the traced program, where a dependence without effect counts as well.

    Args:
      function: the function.
      tellers: a pytree that tells the number of the round.
      rest: pytrees of other arguments.

    >>> import jax.numpy as jnp
    >>> draw = lambda t, key: jax.random.normal(jax.random.fold_in(key, t))
    >>> flip = lambda t, x: jnp.where(t > 2, x, -x)
    >>> depends(draw, jnp.int32(3), jax.random.key(0)), depends(flip, jnp.int32(3), jnp.float32(1))
    (False, True)
    """
    closed = jax.make_jaxpr(function)(tellers, *rest)
    count = len(jax.tree.leaves(tellers))
    told = [i < count for i in range(len(closed.jaxpr.invars))]
    return any(_outputs(closed.jaxpr, told))


def _outputs(jaxpr: Jaxpr, told: Sequence[bool]) -> list[bool]:
    """Which outputs of a program depend on those of its inputs that tell the round."""
    tells = {var for var, one in zip(jaxpr.invars, told, strict=True) if one}
    among = lambda variables: [not isinstance(var, Literal) and var in tells for var in variables]
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name not in KEYS:
            outputs = _of_equation(name, equation.params, among(equation.invars), len(equation.outvars))
            tells |= {var for var, one in zip(equation.outvars, outputs, strict=True) if one}
    return among(jaxpr.outvars)


def _of_equation(name: str, params: dict[str, Any], told: list[bool], count: int) -> list[bool]:
    if not any(told):
        return [False] * count
    if name == "cond":
        if told[0]:
            return [True] * count
        each = [_outputs(branch.jaxpr, told[1:]) for branch in params["branches"]]
        return [any(one) for one in zip(*each, strict=True)]
    if name == "scan":
        held, carried = params["num_consts"], params["num_consts"] + params["num_carry"]
        body = params["jaxpr"].jaxpr
        again = lambda carry: _outputs(body, [*told[:held], *carry, *told[carried:]])
        carry = _settled(lambda one: again(one)[: carried - held], told[held:carried])
        return carry + again(carry)[carried - held :]
    if name == "while":
        of_test, of_body = params["cond_nconsts"], params["body_nconsts"]
        held, start = told[of_test : of_test + of_body], told[of_test + of_body :]
        carry = _settled(lambda one: _outputs(params["body_jaxpr"].jaxpr, [*held, *one]), start)
        stops = _outputs(params["cond_jaxpr"].jaxpr, [*told[:of_test], *carry])
        return [True] * count if any(stops) else carry
    inner = [one for one in params.values() if isinstance(one, ClosedJaxpr | Jaxpr)]
    if len(inner) == 1:
        body = inner[0].jaxpr if isinstance(inner[0], ClosedJaxpr) else inner[0]
        if name == "custom_jvp_call" and body.debug_info.func_name == FENCE:
            return told[1:]
        if len(body.invars) == len(told) and len(body.outvars) == count:
            return _outputs(body, told)
    return [True] * count


def _settled(step: Callable[[list[bool]], list[bool]], carry: list[bool]) -> list[bool]:
    """What a loop carries that tells the round, after any number of passes."""
    while True:
        after = [one or other for one, other in zip(carry, step(carry), strict=True)]
        if after == carry:
            return carry
        carry = after
