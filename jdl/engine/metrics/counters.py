"""Ready-made metrics of what each node has computed: gradients, Hessian-vector products and proximal operators.

They count calls of `node.grad`, `node.hvp` and `node.prox` since the start: a full gradient is one call, like that of a
minibatch. They are known exactly where a node asks equally often in each round in which it takes part.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from jdl import checks
from jdl.types import PyTree

__all__ = ["gradients", "hessian_products", "prox_calls"]


def gradients(models: PyTree, state: Any, simulation: Any) -> jax.Array:
    """The number of gradients that each node has asked for since the start, f[n].

    With `metrics={"gradients": jdl.metrics.gradients}`, the history has the mean over nodes as `mean_gradients`.

    Args:
      models: the models, which are not read.
      state: the state of the run.
      simulation: what is simulated.

    Raises:
      InputError: if the number in a round depends on data, on the round or on chance; or if nodes have a budget of
        local steps.
    """
    return _count("gradients", state, simulation)


def hessian_products(models: PyTree, state: Any, simulation: Any) -> jax.Array:
    """The number of Hessian-vector products that each node has asked for since the start, f[n]; see `gradients`."""
    return _count("hessian_products", state, simulation)


def prox_calls(models: PyTree, state: Any, simulation: Any) -> jax.Array:
    """The number of proximal operators that each node has asked for since the start, f[n]; see `gradients`."""
    return _count("prox_calls", state, simulation)


def _count(kind: str, state: Any, simulation: Any) -> jax.Array:
    from jdl.engine.counting import asked  # it imports this package

    found = asked(simulation)
    first, each = found.at_start[kind], found.in_round[kind]
    got = f"got the metric {kind} and the method {type(simulation.algorithm).__name__}, which asks for a number of them"
    need = "that depends on data, on the round or on chance, need a fixed number in each round; leave the metric out"
    checks.require(math.isfinite(first + each), f"{got} {need}")
    return first + each * state.count.astype(jnp.result_type(float))
