"""Ready-made metrics of all peers together on a test set of classes: their ensemble, and how often they disagree.

Where some nodes are dishonest, only the honest ones count. Memory holds the outputs of as many models as
`models_at_once` says, for a part of the examples, and never those of all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.engine.metrics.built_in import equal_parts, models_at_once
from jdl.engine.metrics.scored import over_test_set, require_test_set, scores
from jdl.types import PyTree

__all__ = ["disagreement", "ensemble_accuracy"]


def ensemble_accuracy(models: PyTree, state: Any, simulation: Any) -> jax.Array:
    """The accuracy of the average of the probabilities that all honest peers predict (soft voting).

    Args:
      models: the models, stacked `[n, ...]`, or a server's one model, `[1, ...]`.
      state: the state of the run, which is not read.
      simulation: what is simulated; its problem offers "test_set".

    Returns:
      f[], a share of the examples.
    """
    require_test_set(simulation.problem, "ensemble_accuracy")

    def right(inputs, labels):
        probabilities = _summed(models, simulation, inputs, lambda scores: jax.nn.softmax(scores, axis=-1))
        hits = jnp.argmax(probabilities, axis=-1) == labels.reshape(-1)
        return jnp.sum(hits, dtype=jnp.int32)

    hits = over_test_set(simulation.problem, right)
    return hits.astype(jnp.result_type(float)) / simulation.problem.test_set[1].size


def disagreement(models: PyTree, state: Any, simulation: Any) -> jax.Array:
    """The share of examples on which two different honest peers predict different classes, the mean over all pairs.

    Of m peers, of which v_c vote for class c, `sum_c v_c (m - v_c)` of all `m (m - 1)` ordered pairs differ, so that
    pairs need not be formed.

    Args:
      models: the models, stacked `[n, ...]`, or a server's one model, `[1, ...]`.
      state: the state of the run, which is not read.
      simulation: what is simulated; its problem offers "test_set".

    Returns:
      f[]; 0 where there is one model only, since nobody disagrees with it.
    """
    problem = simulation.problem
    require_test_set(problem, "disagreement")
    peers = jnp.sum(_counted(models, simulation), dtype=jnp.int32).astype(jnp.result_type(float))

    def differing(inputs, labels):
        vote = lambda scores: jax.nn.one_hot(jnp.argmax(scores, axis=-1), problem.classes, dtype=scores.dtype)
        votes = _summed(models, simulation, inputs, vote)
        return jnp.sum(votes * (peers.astype(votes.dtype) - votes)) / jnp.maximum(peers * (peers - 1), 1)

    return over_test_set(problem, differing) / problem.test_set[1].size


def _counted(models: PyTree, simulation: Any) -> jax.Array:
    """bool[n], whose models count: those of honest nodes, or the one model that serves all nodes."""
    rows = jax.tree.leaves(models)[0].shape[0]
    return simulation.who.honest if rows == simulation.problem.n else jnp.ones(rows, bool)


def _summed(models: PyTree, simulation: Any, inputs: PyTree, of_scores: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """The sum over the peers that count of a function of their scores, f[B, C]."""
    problem = simulation.problem
    rows = models, _counted(models, simulation)
    n = rows[1].shape[0]
    size = equal_parts(n, models_at_once(problem, models))
    whole = n // size * size

    def total(models, counted):
        outputs = jax.vmap(lambda model: of_scores(scores(problem, model, inputs)))(models)
        return jnp.sum(jnp.where(counted[:, None, None], outputs, 0), axis=0)

    if whole == n == size:
        return total(*rows)
    rest = jax.tree.map(lambda x: x[whole:], rows)
    folded = jax.tree.map(lambda x: x[:whole].reshape(-1, size, *x.shape[1:]), rows)
    one = jax.eval_shape(lambda folded: total(*jax.tree.map(lambda x: x[0], folded)), folded)
    start = total(*rest) if whole < n else jnp.zeros(one.shape, one.dtype)
    return jax.lax.scan(lambda sum_, part: (sum_ + total(*part), None), start, folded)[0]
