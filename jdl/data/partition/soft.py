"""Nodes that draw from one pool of examples, each with weights of its own for the classes."""

from __future__ import annotations

import dataclasses

import numpy as np

from jdl import checks
from jdl.data.partition.table import Partition, classes_and_nodes, concentration, rounded

__all__ = ["Soft", "by_class_weights"]

# Above it, weights are equal to six digits anyway, and gamma variables overflow in the end.
EQUAL = 1e12


@dataclasses.dataclass(frozen=True)
class Soft:
    """All nodes draw from the same examples, each with weights for the classes from Dirichlet(alpha, ..., alpha).

    Examples are shared: unlike in other partitions, one may be held by several nodes, and by one node several times.
    Node `i` has `m` places in the table, of which each class has `m q_ic`, rounded down or up at random without bias.
    The examples of a class are dealt to its places in a random order that is drawn anew when all have been dealt, so
    that their numbers of places differ by at most one.

    With `sampling="replacement"` a minibatch is therefore drawn anew in every step: the class of each example by the
    node's weights (to within 1 / m), then an example of that class, each with the same probability where m is at least
    the number of examples. A full batch is the weighted loss. Fewer places are a fixed sample of the pool for each
    node, which differs from node to node. Examples that a problem keeps aside by `validation` may be among those that
    are trained on.

    Args:
      alpha: concentration of each class, above 0; 100 gives nearly the same weights everywhere, 0.05 one or two classes
        for each node.
      places: number m of places of each node; 0 for as many as there are examples. The table takes 4 n m bytes.

    Raises:
      InputError: `alpha` is not a finite number above 0, or labels that are not classes.

    >>> split = Soft(alpha=0.1, places=50)(np.arange(1000) % 10, nodes=4)
    >>> split.counts.tolist()
    [50, 50, 50, 50]

    References:
      Zhu, Zhang, Wang, Zhou, Wang 2026, On the Surprising Effectiveness of a Single Global Merging in Decentralized
      Learning, ICLR; the draw is that of the authors' code (`dirichlet_sampling.py`), which draws classes without
      rounding.
    """

    alpha: float = 0.5
    places: int = 0

    def __post_init__(self) -> None:
        concentration(self.alpha)
        checks.whole("places", self.places, 0)

    def __call__(self, labels: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Draw weights and fill the table.

        Args:
          labels: i32[N], the class of each example.
          nodes: how many nodes share them.
          seed: names the draw.
        """
        labels, nodes = classes_and_nodes(labels, nodes)
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        classes = np.unique(labels).size
        checks.fits(8 * nodes * classes, f"nodes={nodes} with {classes} classes")
        weights = rng.dirichlet(np.full(classes, min(float(self.alpha), EQUAL)), nodes)
        return by_class_weights(weights, labels, self.places, seed)


def by_class_weights(weights: np.ndarray, labels: np.ndarray, places: int = 0, seed: int = 0) -> Partition:
    """The table of nodes that draw from one pool with these weights; see `Soft`.

    Args:
      weights: f[n, C], weights of the classes in the order of their labels, of sum 1 in each row.
      labels: i32[N], the class of each example.
      places: number m of places of each node; 0 for N.
      seed: names the draw.

    Raises:
      InputError: weights that are not C for each node, negative, or not of sum 1.

    >>> table, _ = by_class_weights(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0, 1, 1]))
    >>> sorted(table[1].tolist())
    [0, 0, 1, 1]
    """
    weights = np.asarray(weights, float)
    labels, nodes = classes_and_nodes(labels, len(weights))
    members = np.unique(labels, return_inverse=True)[1]
    sizes = np.bincount(members)
    got = (
        f"got weights of shape {weights.shape}, need a row for each node and a column for each of {sizes.size} classes"
    )
    checks.require(weights.shape == (nodes, sizes.size), f"{got}; leave out classes without examples")
    good = bool(np.all(weights >= 0) and np.allclose(weights.sum(axis=1), 1))
    checks.require(good, "got weights that are negative or not of sum 1; try weights / weights.sum(axis=1)[:, None]")
    places = checks.whole("places", places, 0) or labels.size
    checks.fits(4 * nodes * places, f"nodes={nodes} with {places} places each")
    rng = np.random.default_rng([checks.whole("seed", seed, 0), 1])  # not the draws of the weights
    pool = np.split(np.argsort(members, kind="stable"), np.cumsum(sizes)[:-1])
    table = np.empty((nodes, places), np.int32)
    for row, share in zip(table, weights, strict=True):
        counts = rounded(share, places, rng)
        row[:] = np.concatenate([_dealt(some, count, rng) for some, count in zip(pool, counts, strict=True)])
    return Partition(rng.permuted(table, axis=1), np.full(nodes, places, np.int32))


def _dealt(examples: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """So many of these examples, in passes through random orders."""
    passes, rest = divmod(int(count), examples.size)
    return np.concatenate([np.tile(examples, passes), rng.permutation(examples)[:rest]])
