"""How often a backdoor works."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jdl import checks
from jdl.engine.metrics.built_in import models_at_once
from jdl.engine.metrics.scored import at_each_model, require_test_set, scores
from jdl.engine.placement import divided
from jdl.types import PyTree

__all__ = ["attack_success"]


def attack_success(models: PyTree, state: Any, simulation: Any) -> jax.Array:
    """The share of test inputs of other classes that a model takes for the target once they bear the trigger.

    The trigger and the target are those of the first backdoor among the oracle's wrappers: `Backdoor`, or the whole
    trigger of `DBA`. Of an `EdgeCase` it is the share of its rare inputs that are taken for the target. Where some
    nodes are dishonest, statistics over nodes are those of the honest ones.

    Args:
      models: the models, stacked `[n, ...]`, or a server's one model, `[1, ...]`.
      state: the state of the run, which is not read.
      simulation: what is simulated; its problem offers "test_set".

    Returns:
      f[n], or f[] of one model that serves all nodes.

    Raises:
      InputError: if there is no backdoor, or no test set of classes.

    References:
      Bagdasaryan, Veit, Hua, Estrin, Shmatikov 2020, How To Backdoor Federated Learning.
    """
    require_test_set(simulation.problem, "attack_success")
    wrappers = getattr(simulation.oracle, "wrappers", ())
    found = [one for one in wrappers if hasattr(one, "stamped") or hasattr(one, "rare")]
    got = "got the metric attack_success and an oracle without a backdoor"
    checks.require(bool(found), f"{got}, need one; give oracle=[jdl.oracle.Backdoor()]")
    backdoor = found[0]
    if not hasattr(backdoor, "stamped"):
        values = _of_rare(models, simulation, backdoor)
    else:

        def hits(scores, labels):
            other = labels != backdoor.target
            taken = other & (jnp.argmax(scores, axis=-1) == backdoor.target)
            return tuple(jnp.sum(which, dtype=scores.dtype) for which in (taken, other))

        taken, other = at_each_model(models, simulation, hits, backdoor.stamped)
        values = taken / jnp.maximum(other, 1)
    return values[0] if values.shape[0] == 1 else values


def _of_rare(models: PyTree, simulation: Any, backdoor: Any) -> jax.Array:
    """The share of the rare inputs that each model takes for the target, f[n]."""
    problem, size = simulation.problem, models_at_once(simulation.problem, models)

    def of_one(problem, model):
        found = scores(problem, model, backdoor.rare)
        return jnp.mean((jnp.argmax(found, axis=-1) == backdoor.target).astype(found.dtype))

    of_each = lambda problem, models: jax.lax.map(lambda model: of_one(problem, model), models, batch_size=size)
    return divided(of_each, simulation.placement.mesh)(problem, models)
