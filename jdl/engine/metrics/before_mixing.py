"""Ready-made metrics of the models before an exchange; all others are of the models after it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl import checks, tree
from jdl.engine.metrics.built_in import models_at_once
from jdl.engine.placement import divided
from jdl.types import Each, PerLink, PyTree

__all__ = ["before_mixing", "models_before_mixing"]


def models_before_mixing(simulation: Any, state: Any) -> PyTree:
    """The models after the local steps of the next round and before its exchange.

    It is the model that each node would have after the next round if all messages of the round were lost, so that every
    exchange gives back to each node what it sent. For D-PSGD it is the message itself, `x_i - lr g_i(x_i)`; for a
    method that sends more than a model, what the method makes of it. A node that takes no part in the next round keeps
    its model. The state of the run does not change, and the cost is that of a round without its exchange.

    Args:
      simulation: what is simulated, among peers.
      state: the state of the run.

    Returns:
      The models, stacked `[n, ...]`.

    Raises:
      InputError: if the method has a server, whose clients send changes, or sends messages that are read one by one.
    """
    # Imported here, since these modules import this package.
    from jdl.engine.messages import content_of, unmarked
    from jdl.engine.nodes import each_node, rows_of
    from jdl.engine.phases import sends_of
    from jdl.engine.rounds import begin, plan_at

    s, name = simulation, type(simulation.algorithm).__name__
    got = f"got the metric before_mixing and the method {name}"
    checks.require(not s.has_server, f"{got}, which has a server, need a method of peers; leave the metric out")
    plan = plan_at(s, state)[0]
    rows, before = rows_of(s, plan, state), tree.take_rows(state.nodes, plan.participants)
    rows, nodes = begin(s, state, rows, before), before
    for phase, (send, (_, recv)) in enumerate(zip(sends_of(s), s.algorithm.phases, strict=True)):
        message, nodes = send(s, rows, nodes, state.server)
        message = content_of(message)
        single = lambda part: isinstance(part, Each | PerLink)
        alone = not any(single(part) for part in jax.tree.leaves(message, is_leaf=single))
        checks.require(alone, f"{got}, which reads messages one by one, need one that mixes them; leave the metric out")
        nodes, _ = each_node(s, "recv", recv, rows, nodes, unmarked(message), phase=phase)
    nodes = tree.put_rows(state.nodes, plan.participants, tree.where_rows(plan.active, nodes, before))
    return jax.vmap(s.algorithm.model)(nodes)


@functools.cache
def before_mixing(of: str | Callable[..., jax.Array] = "accuracy", own: bool = False) -> Callable[..., jax.Array]:
    """Make a metric of the models after the local steps of the next round and before its exchange.

    Beside the same metric of the models after the exchange it shows what mixing gains, or what it takes from models
    that have just adapted to their own data. See `models_before_mixing` for the models.

    Args:
      of: the name of a metric that the problem evaluates, "accuracy" or "loss"; or a function (models, state,
        simulation), such as `jdl.metrics.balanced_accuracy`.
      own: whether a named metric is that of each node's own distribution; the problem offers "own".

    Returns:
      The metric, a function (models, state, simulation) -> f[n], or what the function `of` gives.

    Raises:
      InputError: if `of` is neither a name nor a function.

    >>> metrics = {"before": before_mixing("accuracy"), "own_before": before_mixing("accuracy", own=True)}
    """
    good = isinstance(of, str) or (callable(of) and not own)
    checks.require(good, f'got of={of!r} and own={own!r}, need a name or, without own, a function; try "accuracy"')

    def before(models, state, simulation):
        sent = models_before_mixing(simulation, state)
        return of(sent, state, simulation) if callable(of) else _evaluated(of, own, sent, simulation)

    return before


def _evaluated(name: str, own: bool, models: PyTree, simulation: Any) -> jax.Array:
    problem = simulation.problem
    size, ids = models_at_once(problem, models), jnp.arange(problem.n, dtype=jnp.int32)
    offers = "own" in getattr(problem, "offers", ())
    got = f"got before_mixing({name!r}, own=True) and the problem {type(problem).__name__}"
    checks.require(offers or not own, f"{got}, which does not know each node's own test data; leave own out")

    def of_each(problem, ids, models):
        one = lambda row: problem.evaluate(row[1], row[0]) if own else problem.evaluate(row[1])
        return jax.lax.map(one, (ids, models), batch_size=size)

    found = divided(of_each, simulation.placement.mesh)(problem, ids, models)
    return found[checks.known("metric before mixing", name, found)]
