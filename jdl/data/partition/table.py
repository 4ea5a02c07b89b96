"""What a partition is, what every rule asks of its input, and the step from owners of examples to the padded table."""

from __future__ import annotations

import math
import numbers
from typing import Any, NamedTuple

import numpy as np

from jdl import checks

__all__ = [
    "Partition",
    "classes_and_nodes",
    "comparable",
    "concentration",
    "even_sizes",
    "examples_and_nodes",
    "real",
    "rounded",
    "table",
    "validated",
]


class Partition(NamedTuple):
    """Which examples each of `n` nodes holds.

    indices: i32[n, m], positions in the data set; row `i` has `counts[i]` of them, then zeros as padding.
    counts: i32[n], the number of examples of each node, zero for a node without data. `m` is the largest: one node that
      holds much widens all rows, to 4 n m bytes here and on the device.
    """

    indices: np.ndarray
    counts: np.ndarray


def validated(split: Partition, examples: int) -> Partition:
    """A partition of so many examples, its arrays as i32, or a sentence.

    Raises:
      InputError: masks or real numbers in place of whole ones, counts below 0 or beyond a row, or examples that are not
        there.
    """
    indices, counts = np.asarray(split.indices), np.asarray(split.counts)
    got = f"got a partition with indices of {indices.dtype} and counts of {counts.dtype}"
    do = "give masks as partition=masks, an array [n, N]" if indices.dtype == bool else "try .astype(np.int32)"
    whole = {indices.dtype.kind, counts.dtype.kind} <= {"i", "u"} or indices.size == 0
    checks.require(whole, f"{got}, need whole numbers, places of examples; {do}")
    shapes = f"got a partition with indices of {indices.shape} and counts of {counts.shape}, need [n, m] and [n]"
    checks.require(indices.ndim == 2 and counts.shape == indices.shape[:1], f"{shapes}; pad every row to the longest")
    low, high = (int(counts.min()), int(counts.max())) if counts.size else (0, 0)
    got = f"got a partition of nodes with {low} to {high} examples in a table of {indices.shape[1]} columns"
    checks.require(0 <= low and high <= indices.shape[1], f"{got}, need 0 to {indices.shape[1]}; count them anew")
    held = indices[np.arange(indices.shape[1]) < counts[:, None]]
    least, most = int(held.min(initial=0)), int(held.max(initial=0))
    got = f"got a partition of examples {least} to {most}, for {examples} examples"
    checks.require(0 <= least and most < examples, f"{got}; divide these data anew, see jdl.data.partition")
    return Partition(indices.astype(np.int32), counts.astype(np.int32))


def examples_and_nodes(name: str, values: Any, nodes: int) -> tuple[np.ndarray, int]:
    """`values` as an array [N, ...] with N of at least 1, and a whole number of nodes that fits into memory."""
    nodes = checks.whole("nodes", nodes, 1)
    values = np.asarray(values)
    checks.require(
        values.ndim > 0 and values.shape[0] > 0,
        f"got {name} of shape {values.shape}, need one row for each example, of shape [N, ...] with N at least 1; "
        f"try np.atleast_1d({name}), or another data set",
    )
    # At the peak, four numbers of 8 bytes a node: a concentration, a proportion, its running sum, a permutation.
    checks.fits(32 * nodes, f"nodes={nodes}")
    return values, nodes


def comparable(name: str, values: np.ndarray) -> np.ndarray:
    """Names or numbers of one kind, which can be sorted, or a sentence."""
    if values.dtype.kind != "O":
        return values
    lost = [place for place, value in enumerate(values.flat) if value is None or value != value]
    got = f"got {name} without a value for example {lost[0] if lost else 0} ({len(lost)} in all)"
    checks.require(not lost, f"{got}, need one for each example; fill them in, or leave those examples out")
    kinds = sorted({type(value).__name__ for value in values.flat})
    checks.require(len(kinds) == 1, f"got {name} of the types {', '.join(kinds)}, need one; try {name}.astype(str)")
    return values


def classes_and_nodes(labels: Any, nodes: int) -> tuple[np.ndarray, int]:
    """The same for `labels` that must be classes: one for each example, and not real numbers."""
    labels, nodes = examples_and_nodes("labels", labels, nodes)
    labels = comparable("labels", labels)
    ways = "try the partition iid, power_law or log_normal, which need only the number of examples"
    checks.require(
        labels.ndim == 1,
        f"got labels of shape {labels.shape}, need one label for each example, of shape [N]; {ways}, or by_owner, "
        "which needs an owner of each",
    )
    checks.require(
        labels.dtype.kind not in "fc",
        f"got labels of type {labels.dtype}, need classes, which are whole numbers or names; {ways}; or, if these are "
        "classes, labels.astype(int)",
    )
    return labels, nodes


def real(value: Any) -> bool:
    """Whether this is one finite number."""
    return isinstance(value, numbers.Real) and math.isfinite(value)


def concentration(alpha: float) -> float:
    """`alpha` where a Dirichlet distribution has it, or a sentence."""
    checks.settled(alpha)
    checks.require(
        real(alpha) and alpha > 0,
        f"got alpha={alpha!r}, a Dirichlet distribution needs a finite number above 0; try alpha=0.5",
    )
    return float(alpha)


def even_sizes(examples: int, nodes: int, rng: np.random.Generator) -> np.ndarray:
    """i64[n], sizes that differ by at most one; who has one more is drawn."""
    return examples // nodes + (rng.permutation(nodes) < examples % nodes)


def rounded(shares: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """i64[n], whole numbers with sum `total`, each `total * shares` rounded down or up, without bias.

    Systematic sampling: equally spaced points, shifted at random, are counted in intervals of length `shares`.
    """
    ends = np.cumsum(shares)
    points = (np.arange(total) + rng.random()) / max(total, 1) * ends[-1]
    return np.bincount(np.minimum(np.searchsorted(ends, points, side="right"), shares.size - 1), minlength=shares.size)


def table(owner: np.ndarray, nodes: int) -> Partition:
    """The padded table of `owner: i[N]`, the node that holds each example."""
    counts = np.bincount(owner, minlength=nodes)
    width = int(counts.max())
    checks.fits(4 * nodes * width, f"nodes={nodes} with up to {width} examples each")
    examples = np.argsort(owner, kind="stable")
    row = owner[examples]
    column = np.arange(owner.size) - (np.cumsum(counts) - counts)[row]
    indices = np.zeros((nodes, width), np.int32)
    indices[row, column] = examples
    return Partition(indices, counts.astype(np.int32))
