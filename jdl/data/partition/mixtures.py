"""Each node, or each cluster of nodes, draws its own mixture of classes, and all have the same size."""

from __future__ import annotations

import dataclasses

import numpy as np

from jdl import checks
from jdl.data.partition.margins import whole_with_margins
from jdl.data.partition.table import Partition, classes_and_nodes, concentration, even_sizes, table

__all__ = ["ByCluster", "DirichletPerNode"]

# Below it, logarithms of the smallest parts pass 1e9, and every node has one label anyway.
LEAST_SHAPE = 1e-8


@dataclasses.dataclass(frozen=True)
class DirichletPerNode:
    """Each node draws its mixture of classes from Dirichlet(alpha p), p that of all data; sizes differ by at most one.

    Node `i` draws `q_i ~ Dirichlet(alpha p)`, with `p` the share of each class and `alpha` the sum of the
    parameters: with 10 equal classes, `alpha=1` is Dirichlet(0.1, ..., 0.1), and `Dirichlet(0.1)` is as skewed.

    Every example is used once, so the mixtures must add up to the data. Usual code takes examples one by one and drops
    a class that has run out, so that nodes that come last get what is left. Here no node comes last: the mixtures are
    tilted, `q_ic` to `q_ic exp(v_c)` and normalised, with the one `v` that uses up every class (the least change in
    relative entropy), and rounded to whole examples, all but without bias.

    What this does to the law: the mean mixture is exactly `p`. The variance of a node's mixture, by the law
    `p (1 - p) / (alpha + 1)`, is smaller, since nodes that ask for too much of one class give way to other classes:
    with 10 equal classes by less than 1% at 400 nodes, 3% at 100, 7% at 30, and up to a sixth at 10, for alpha from
    0.05 to 5. Rounding adds up to `1 / (4 m^2)`, for m examples a node. With small alpha nodes stay nearly pure: some
    change class as a whole. With fewer nodes than classes none can be pure. Counts vary less than in a random sample,
    so large alpha tends to `Stratified`, not to `IID`.

    Args:
      alpha: concentration, above 0, the sum over classes.

    Raises:
      InputError: `alpha` is not a finite number above 0, or labels that are not classes.

    >>> sorted(DirichletPerNode(alpha=0.05)(np.arange(1000) % 10, nodes=64).counts.tolist())[::63]
    [15, 16]

    References:
      T.-M. H. Hsu, H. Qi and M. Brown, "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
      Classification", 2019 (arXiv:1909.06335).
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        concentration(self.alpha)

    def __call__(self, labels: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Divide examples over nodes.

        Args:
          labels: i32[N], the class of each example.
          nodes: how many nodes share them. More nodes than examples leaves random nodes without data.
          seed: names the draw.
        """
        labels, nodes = classes_and_nodes(labels, nodes)
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        return table(_mixed(labels, even_sizes(labels.size, nodes, rng), float(self.alpha), rng), nodes)


@dataclasses.dataclass(frozen=True)
class ByCluster:
    """Nodes form clusters; each cluster draws one mixture of classes, as `DirichletPerNode` does, iid within it.

    Node `i` is of cluster `i * clusters // nodes`: neighbours in id, in groups that differ by at most one node. Sizes
    differ by one at most.

    Args:
      clusters: how many groups of nodes, at most `nodes`.
      alpha: concentration of the mixtures, above 0, the sum over classes.

    Raises:
      InputError: more clusters than nodes, `alpha` is not a finite number above 0, or labels that are not classes.

    >>> labels = np.arange(1000) % 10
    >>> split = ByCluster(clusters=2, alpha=0.1)(labels, nodes=20)
    >>> len({tuple(np.unique(labels[row])) for row in split.indices}) < 6
    True

    References:
      F. Sattler, K.-R. Müller and W. Samek, "Clustered Federated Learning", 2019 (arXiv:1910.01991), for clients whose
      distributions come in groups.
    """

    clusters: int = 4
    alpha: float = 0.5

    def __post_init__(self) -> None:
        checks.whole("clusters", self.clusters, 1)
        concentration(self.alpha)

    def __call__(self, labels: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Divide examples over nodes.

        Args:
          labels: i32[N], the class of each example.
          nodes: how many nodes share them.
          seed: names the draw.
        """
        labels, nodes = classes_and_nodes(labels, nodes)
        clusters, alpha = self.clusters, float(self.alpha)
        need = f"got clusters={clusters} with nodes={nodes}, need a node for each cluster; try clusters={nodes}"
        checks.require(clusters <= nodes, need)
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        sizes = even_sizes(labels.size, nodes, rng)
        cluster = np.arange(nodes) * clusters // nodes
        of_cluster = _mixed(labels, np.bincount(cluster, weights=sizes).astype(np.int64), alpha, rng)
        # Nodes lie in the order of their clusters, so examples in that order, at random within, are cut into sizes.
        shuffled = rng.permutation(labels.size)
        owner = np.empty(labels.size, np.int64)
        owner[shuffled[np.argsort(of_cluster[shuffled], kind="stable")]] = np.repeat(np.arange(nodes), sizes)
        return table(owner, nodes)


def _mixed(labels: np.ndarray, sizes: np.ndarray, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """i64[N], the holder of each example, where each holder of `sizes: i64[k]` draws a mixture of classes."""
    members = np.unique(labels, return_inverse=True)[1]
    totals = np.bincount(members)
    # The tilt holds about six arrays of 8 bytes for each holder and class.
    checks.fits(48 * sizes.size * totals.size, f"nodes={sizes.size} with {totals.size} classes")
    shape = np.maximum(alpha * (totals / labels.size), LEAST_SHAPE)
    # log Gamma(a) = log Gamma(a + 1) + log(uniform) / a in law: small shapes do not underflow to zero.
    log_gamma = np.log(rng.standard_gamma(shape + 1, (sizes.size, totals.size)))
    log_mixture = log_gamma - rng.standard_exponential((sizes.size, totals.size)) / shape
    counts = whole_with_margins(log_mixture, sizes, totals, rng)
    shuffled = rng.permutation(labels.size)
    owner = np.empty(labels.size, np.int64)
    owner[shuffled[np.argsort(members[shuffled], kind="stable")]] = np.repeat(
        np.tile(np.arange(sizes.size), totals.size), counts.T.ravel()
    )
    return owner
