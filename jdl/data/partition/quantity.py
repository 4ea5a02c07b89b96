"""Sizes by a heavy-tailed law, labels iid: who holds much, who holds little, and nothing else."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.data.partition.minimum import possible, with_minimum
from jdl.data.partition.table import Partition, examples_and_nodes, real, rounded, table

__all__ = ["log_normal", "power_law"]

LARGEST = 1e6  # sigma: at a tenth of it one node holds all


def power_law(labels: np.ndarray, nodes: int, exponent: float = 2.5, seed: int = 0, minimum: int = 0) -> Partition:
    """Sizes by a power law with density `s^-exponent` (Pareto), labels iid.

    Each node draws a weight with that density above 1, and gets examples in proportion, rounded without bias. Below an
    exponent of 2 the mean of the law is infinite, and a few nodes hold nearly all.

    Args:
      labels: [N, ...], anything with a row for each example; only their number counts.
      nodes: how many nodes share them. Weights that round to zero leave nodes without data.
      exponent: of the density, above 1: the smaller, the more skewed.
      seed: names the draw.
      minimum: examples that every node has at least. What is missing, no more, is drawn from what others have above
        it, so that the largest nodes give the most.

    Raises:
      InputError: an exponent of 1 or less, or more than N examples are asked for.

    >>> counts = power_law(np.zeros(1000), nodes=10).counts
    >>> int(counts.sum()), bool(counts.max() > 2 * counts.min())
    (1000, True)

    References:
      A. Clauset, C. R. Shalizi and M. E. J. Newman, "Power-Law Distributions in Empirical Data", SIAM Review 2009, for
      the law and its exponent. T. Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020, have
      devices whose sizes follow one.
    """
    labels, nodes = examples_and_nodes("labels", labels, nodes)
    checks.require(
        real(exponent) and exponent > 1,
        f"got exponent={exponent!r}, a power law needs a finite number above 1; try exponent=2.5",
    )
    rng = np.random.default_rng(checks.whole("seed", seed, 0))
    return _of_weights(rng.standard_exponential(nodes) / (exponent - 1), labels.shape[0], minimum, rng)


def log_normal(labels: np.ndarray, nodes: int, sigma: float = 1.0, seed: int = 0, minimum: int = 0) -> Partition:
    """Log-normal sizes, labels iid: logarithms of sizes have standard deviation `sigma`.

    Args:
      labels: [N, ...], anything with a row for each example; only their number counts.
      nodes: how many nodes share them. Weights that round to zero leave nodes without data.
      sigma: standard deviation of the logarithm, at least 0: 0 is equal sizes, 1 spreads the middle two thirds over
        a factor of seven.
      seed: names the draw.
      minimum: examples that every node has at least. What is missing, no more, is drawn from what others have above
        it, so that the largest nodes give the most.

    Raises:
      InputError: a negative sigma, or more than N examples are asked for.

    >>> log_normal(np.zeros(1000), nodes=10, sigma=0.0).counts.tolist() == [100] * 10
    True
    """
    labels, nodes = examples_and_nodes("labels", labels, nodes)
    good = real(sigma) and 0 <= sigma <= LARGEST
    checks.require(good, f"got sigma={sigma!r}, need a finite number of at least 0, at most {LARGEST:g}; try sigma=1.0")
    rng = np.random.default_rng(checks.whole("seed", seed, 0))
    return _of_weights(sigma * rng.standard_normal(nodes), labels.shape[0], minimum, rng)


def _of_weights(log_weights: np.ndarray, examples: int, minimum: int, rng: np.random.Generator) -> Partition:
    """Random examples for each node, in proportion to weights given by their logarithms, which may be huge."""
    nodes = log_weights.size
    minimum = possible(minimum, nodes, examples)
    weights = np.exp(log_weights - log_weights.max())
    sizes = rounded(weights / weights.sum(), examples, rng)
    owner = rng.permutation(np.repeat(np.arange(nodes), sizes))
    return table(with_minimum(owner, nodes, minimum, rng), nodes)
