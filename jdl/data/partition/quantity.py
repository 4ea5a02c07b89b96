"""Sizes by a heavy-tailed law, labels iid: who holds much, who holds little, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np

from jdl import checks
from jdl.data.partition.minimum import possible, with_minimum
from jdl.data.partition.table import Partition, examples_and_nodes, real, rounded, table

__all__ = ["LogNormal", "PowerLaw"]

LARGEST = 1e6  # sigma: at a tenth of it one node holds all


@dataclasses.dataclass(frozen=True)
class PowerLaw:
    """Sizes of nodes follow a power law with density `s^-exponent` (Pareto); labels are iid.

    Each node draws a weight with that density above 1, and gets examples in proportion, rounded without bias. Below an
    exponent of 2 the mean of the law is infinite, and a few nodes hold nearly all.

    Args:
      exponent: of the density, above 1: the smaller, the more skewed.
      minimum: examples that every node has at least. What is missing, no more, is drawn from what others have above
        it, so that the largest nodes give the most.

    Raises:
      InputError: an exponent of 1 or less, or more than N examples are asked for.

    >>> counts = PowerLaw()(np.zeros(1000), nodes=10).counts
    >>> int(counts.sum()), bool(counts.max() > 2 * counts.min())
    (1000, True)

    References:
      A. Clauset, C. R. Shalizi and M. E. J. Newman, "Power-Law Distributions in Empirical Data", SIAM Review 2009, for
      the law and its exponent. T. Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020, have
      devices whose sizes follow one.
    """

    exponent: float = 2.5
    minimum: int = 0

    def __post_init__(self) -> None:
        checks.require(
            real(self.exponent) and self.exponent > 1,
            f"got exponent={self.exponent!r}, a power law needs a finite number above 1; try exponent=2.5",
        )
        checks.whole("minimum", self.minimum, 0)

    def __call__(self, labels: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Divide examples over nodes.

        Args:
          labels: [N, ...], anything with a row for each example; only their number counts.
          nodes: how many nodes share them. Weights that round to zero leave nodes without data.
          seed: names the draw.
        """
        labels, nodes = examples_and_nodes("labels", labels, nodes)
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        return _of_weights(rng.standard_exponential(nodes) / (self.exponent - 1), labels.shape[0], self.minimum, rng)


@dataclasses.dataclass(frozen=True)
class LogNormal:
    """Sizes of nodes are log-normal, and their logarithms have standard deviation `sigma`; labels are iid.

    Args:
      sigma: standard deviation of the logarithm, at least 0: 0 is equal sizes, 1 spreads the middle two thirds over
        a factor of seven.
      minimum: examples that every node has at least. What is missing, no more, is drawn from what others have above
        it, so that the largest nodes give the most.

    Raises:
      InputError: a negative sigma, or more than N examples are asked for.

    >>> LogNormal(sigma=0.0)(np.zeros(1000), nodes=10).counts.tolist() == [100] * 10
    True
    """

    sigma: float = 1.0
    minimum: int = 0

    def __post_init__(self) -> None:
        good = real(self.sigma) and 0 <= self.sigma <= LARGEST
        need = f"need a finite number of at least 0, at most {LARGEST:g}; try sigma=1.0"
        checks.require(good, f"got sigma={self.sigma!r}, {need}")
        checks.whole("minimum", self.minimum, 0)

    def __call__(self, labels: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Divide examples over nodes.

        Args:
          labels: [N, ...], anything with a row for each example; only their number counts.
          nodes: how many nodes share them. Weights that round to zero leave nodes without data.
          seed: names the draw.
        """
        labels, nodes = examples_and_nodes("labels", labels, nodes)
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        return _of_weights(self.sigma * rng.standard_normal(nodes), labels.shape[0], self.minimum, rng)


def _of_weights(log_weights: np.ndarray, examples: int, minimum: int, rng: np.random.Generator) -> Partition:
    """Random examples for each node, in proportion to weights given by their logarithms, which may be huge."""
    nodes = log_weights.size
    minimum = possible(minimum, nodes, examples)
    weights = np.exp(log_weights - log_weights.max())
    sizes = rounded(weights / weights.sum(), examples, rng)
    owner = rng.permutation(np.repeat(np.arange(nodes), sizes))
    return table(with_minimum(owner, nodes, minimum, rng), nodes)
