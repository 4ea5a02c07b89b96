"""Skew in what examples look like: nodes hold examples that are neighbours along the direction of most variance."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from jdl import checks
from jdl.data.partition.table import Partition, examples_and_nodes, table

__all__ = ["FeatureSkew"]

STEPS, TOLERANCE = 16, 1e-3
# Numbers in a block: 1 MiB in 32 bits. A step then reads the data once, 25 ms for 60,000 images of 784 pixels, with
# no copy of them; products of larger blocks are split over cores, which on a busy machine wait for each other.
BLOCK = 2**18
SMALL, LARGE = 1e-12, 1e12  # spans of the values within which sums of squares need no other unit


@dataclasses.dataclass(frozen=True)
class FeatureSkew:
    """Examples are sorted along their leading principal direction, and cut into one piece for each node.

    Sizes differ by at most one. A random share `1 - skew` of the examples changes places among itself before the cut,
    so that `skew=0` is `IID`. Which node gets which piece is drawn.

    The direction is that of all the data, whatever the seed: up to 16 steps of Lanczos' method in 32 bits, until the
    residual is a thousandth of the variance along it. It is then off by at most 0.001 / (1 - s) radians, where s is the
    second largest variance over the largest (MNIST: s = 0.73, 8 steps, 0.0008 radians), and two machines may order near
    ties differently. Where s is near 1 there is no one direction; the one found has nearly the largest variance (noise
    in 784 dimensions, 60,000 examples: 16 steps, 99.9 % of it).

    Args:
      skew: share of the examples that keep their place, from 0 (iid) to 1.

    Raises:
      InputError: a skew outside [0, 1], or features that are not finite numbers, at least one for each example.

    >>> features = np.stack([np.arange(8.0), np.zeros(8)], axis=1)
    >>> split = FeatureSkew()(features, nodes=2)
    >>> sorted(sorted(row.tolist()) for row in split.indices)
    [[0, 1, 2, 3], [4, 5, 6, 7]]

    References:
      C. Lanczos, "An Iteration Method for the Solution of the Eigenvalue Problem of Linear Differential and Integral
      Operators", Journal of Research of the National Bureau of Standards 45, 1950. The bound: C. Davis and W. M. Kahan,
      "The Rotation of Eigenvectors by a Perturbation. III", SIAM Journal on Numerical Analysis 7, 1970.
    """

    skew: float = 1.0

    def __post_init__(self) -> None:
        checks.bounded("skew", self.skew, 0, 1, 1.0)

    def __call__(self, features: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Divide examples over nodes.

        Args:
          features: f[N, ...] or u8[N, ...], one row for each example.
          nodes: how many nodes share them. More nodes than examples leaves random nodes without data.
          seed: names the draw.
        """
        features, nodes = examples_and_nodes("features", features, nodes)
        checks.require(
            features.dtype.kind in "fiub",
            f"got features of type {features.dtype}, need numbers; try the partition iid, or by_owner",
        )
        examples = features.shape[0]
        size = int(np.prod(features.shape[1:]))
        need = f"got features of shape {features.shape}, need at least one number for each example"
        checks.require(size > 0, f"{need}; try the partition iid")
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        flat = features.reshape(examples, size)
        blocks = partial(_centred, flat, *_mean_and_unit(flat))
        direction = _leading_direction(blocks, size)
        place = np.concatenate([block @ direction for block in blocks()])
        # Shuffled first, so that equal projections come in random order.
        order = rng.permutation(examples)
        order = order[np.argsort(place[order], kind="stable")]
        free = np.flatnonzero(rng.permutation(examples) >= round(self.skew * examples))
        order[free] = order[rng.permutation(free)]
        # The pieces of one example more are spread over the line, since the nodes that get them are drawn.
        owner = np.empty(examples, np.int64)
        owner[order] = rng.permutation(nodes)[np.arange(examples) * nodes // examples]
        return table(owner, nodes)


def _mean_and_unit(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The means of the columns of [N, d], and what to divide by so that squares stay within 32 bits: 1 mostly."""
    total, low, high = np.zeros(flat.shape[1]), np.inf, -np.inf
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused
        for rows in _cut(flat):
            total += rows.sum(axis=0, dtype=np.float64)
            low, high = min(low, float(rows.min())), max(high, float(rows.max()))
        span = high - low + 0 * total.sum()  # NaN where a value is: neither min nor max of two sees it
    need = "got features with values that are not finite, or too large for 32 bits; need finite numbers"
    sound = max(span, abs(low), abs(high)) <= np.finfo(np.float32).max
    checks.require(sound, f"{need}; try np.nan_to_num(features), or smaller units")
    kind = np.result_type(flat, np.float32)  # whole numbers of many digits, and f64, are centred before they are cut
    unit = 1 if SMALL < span < LARGE else max(span, np.finfo(np.float32).tiny)  # what is smaller still is all alike
    return (total / len(flat)).astype(kind), np.float32(unit)


def _cut(flat: np.ndarray) -> Iterator[np.ndarray]:
    """[rows, d], block after block, each small enough to stay in a core's cache."""
    rows = max(1, BLOCK // flat.shape[1])
    return (flat[first : first + rows] for first in range(0, len(flat), rows))


def _centred(flat: np.ndarray, mean: np.ndarray, unit: np.ndarray) -> Iterator[np.ndarray]:
    """f32[rows, d], block after block of [N, d] less its means, in units of `unit`; all in one place, so use each."""
    place = None
    for rows in _cut(flat):
        place = np.empty(rows.shape, np.float32) if place is None else place[: len(rows)]
        np.subtract(rows, mean, out=place, casting="same_kind")
        if unit != 1:
            place /= unit
        yield place


def _leading_direction(blocks: Callable[[], Iterator[np.ndarray]], size: int) -> np.ndarray:
    """f32[d], the direction of most variance of centred f32[N, d]: Lanczos' method, one pass over data a step."""
    vector = np.random.default_rng(0).standard_normal(size)
    direction, basis, images = vector, [], []
    for _ in range(min(STEPS, size)):
        for _ in range(2):  # once leaves the rounding errors of a long projection
            vector = vector - sum((other @ vector) * other for other in basis)
        norm = np.linalg.norm(vector)
        if norm == 0:  # nothing varies in any further direction
            break
        vector = vector / norm
        basis.append(vector)
        narrow, vector = vector.astype(np.float32), np.zeros(size)
        for block in blocks():
            vector += block.T @ (block @ narrow)
        images.append(vector)
        projected = np.array(basis) @ np.array(images).T
        values, vectors = np.linalg.eigh((projected + projected.T) / 2)
        direction = vectors[:, -1] @ np.array(basis)
        residual = np.linalg.norm(vectors[:, -1] @ np.array(images) - values[-1] * direction)
        if residual <= TOLERANCE * values[-1]:
            break
    # Of the two signs, that which makes the largest part positive.
    return (direction * np.sign(direction[np.argmax(np.abs(direction))])).astype(np.float32)
