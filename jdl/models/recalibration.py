"""Batch statistics of a trained model, computed anew over data: for a merged model that is to predict one by one."""

from __future__ import annotations

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jdl import checks, tree
from jdl.models.batch_statistics import PersonalStatistics, by_the_batch
from jdl.models.from_nnx import STATISTICS, FromNNX
from jdl.types import PyTree

__all__ = ["recalibrated"]

# A layer with momentum 0 keeps the mean and the variance of the last batch alone.
LAST_BATCH = {"momentum": 0.0}


def recalibrated(model: PersonalStatistics, variables: PyTree, batches: Iterable[jax.Array] | jax.Array) -> PyTree:
    """The variables of a model with the batch statistics of these data, with which its module predicts.

    Nodes that train `PersonalStatistics` keep no running averages, and those of different nodes would be no statistics
    of their merged model anyway. This pass computes them for any parameters, such as `result.mean_model`: each batch
    goes through the model as in training, and each layer keeps the mean of its means and of its variances over the
    batches, weighted by their numbers of examples. With all data in one batch they are exact.

    Args:
      model: the model that was trained.
      variables: its variables, `{"params": ...}`, as a problem's parameters are.
      batches: inputs f[B, ...] in batches, each of at least 2 examples; or one array of all inputs.

    Returns:
      The variables and their "batch_stats": `model.module.apply(it, x)` normalises by these (a flax.linen module in the
      mode of prediction).

    Raises:
      InputError: if the model is no `PersonalStatistics`, or if there is no batch.

    >>> from flax import linen as nn
    >>> model = PersonalStatistics(nn.BatchNorm(use_running_average=True))
    >>> x = jnp.array([[1.0], [3.0]])
    >>> variables = recalibrated(model, model.init(jax.random.key(0), x), x)
    >>> variables["batch_stats"]["mean"].item(), model.module.apply(variables, jnp.array([[3.0]])).round(2).item()
    (2.0, 1.0)

    References:
      Zhu, Zhang, Wang, Zhou, Wang 2026, On the Surprising Effectiveness of a Single Global Merging in Decentralized
      Learning, ICLR, whose code refreshes the statistics of the merged model over up to 32 batches, all weighted alike
      (`model_runtime.py`).
    """
    need = "need a models.PersonalStatistics; other models have no batch statistics"
    checks.require(isinstance(model, PersonalStatistics), f"got {type(model).__name__}, {need}")
    batches = [batches] if hasattr(batches, "ndim") else list(batches)
    good = bool(batches) and all(np.ndim(x) > 0 and len(x) > 1 for x in batches)
    checks.require(good, "got no batch, or one with fewer than 2 examples, which have no variance; give larger batches")
    statistics = jax.jit(lambda variables, x: _of_batch(model, variables, x))
    total, examples = None, sum(len(x) for x in batches)
    for x in batches:
        found = tree.scale(len(x) / examples, statistics(variables, jnp.asarray(x)))
        total = found if total is None else tree.add(total, found)
    return {**variables, STATISTICS: total}


def _of_batch(model: PersonalStatistics, variables: PyTree, x: jax.Array) -> PyTree:
    """The means and variances of one batch in every layer."""
    if isinstance(model.module, FromNNX):
        return model.module.statistics(variables, x)
    with nn.intercept_methods(by_the_batch(set(), LAST_BATCH)):
        _, changed = model.module.apply(variables, x, mutable=[STATISTICS])
    return changed[STATISTICS]
