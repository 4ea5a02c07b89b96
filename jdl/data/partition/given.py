"""A partition that a user has: a list of examples for each node, masks, or the node of each example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jdl import checks
from jdl.data.partition.table import Partition, table, validated

__all__ = ["as_partition"]

NEED = (
    "need a name, a jdl.data.Partition, a list of examples for each node, masks [nodes, N], the node of each example \
[N], or a function of labels (or features, or owners), nodes, ... and seed"
)


def as_partition(given: Any, nodes: int, examples: int) -> Partition | None:
    """The partition that is meant, or None where `given` is nothing of the kind.

    Args:
      given: a list of places of examples for each node (arrays, lists, or a dict with the nodes 0 to n - 1 as keys);
        masks, bool[nodes, N]; or the node of each example, i[N].
      nodes: n.
      examples: N, how many there are.

    Raises:
      InputError: if numbers are no places of examples, or not those of so many nodes.

    >>> as_partition([[0, 2], [1]], nodes=2, examples=3).indices.tolist()
    [[0, 2], [1, 0]]
    >>> as_partition([1, 0, 1], nodes=2, examples=3).counts.tolist()
    [1, 2]
    """
    if isinstance(given, Mapping):
        got = f"got a partition for the nodes {', '.join(map(str, list(given)[:4]))}{', ...' * (len(given) > 4)}"
        checks.require(set(given) == set(range(nodes)), f"{got}, need all from 0 to {nodes - 1}; rename them")
        given = [given[node] for node in range(nodes)]
    if isinstance(given, str) or not (hasattr(given, "__array__") or isinstance(given, list | tuple)):
        return None
    try:
        array = np.asarray(given)
    except ValueError:  # rows of different lengths
        array = None
    if array is not None and array.ndim == 1 and array.dtype.kind in "iu" and array.size:
        got = f"got partition as {array.size} numbers from {array.min()} to {array.max()}"
        fits = array.size == examples and 0 <= array.min() and array.max() < nodes
        need = f"need the node, 0 to {nodes - 1}, of each of {examples} examples, or a list of examples for each node"
        checks.require(fits, f"{got}, {need}; see jdl.data.partition")
        return table(array, nodes)
    if array is not None and array.ndim == 2 and array.dtype == bool:
        got = f"got partition as masks of {array.shape}"
        checks.require(array.shape == (nodes, examples), f"{got}, need {(nodes, examples)}; give a row to every node")
        return _padded([np.flatnonzero(row) for row in array])
    if array is not None and array.ndim < 2 and array.dtype.kind != "O":
        return None
    rows = [np.asarray(row) for row in given]
    for node, row in enumerate(rows):
        good = row.ndim == 1 and (row.size == 0 or row.dtype.kind in "iu")
        got = f"got a partition whose node {node} has {row.dtype} of shape {row.shape}"
        checks.require(good, f"{got}, need a list of places of examples, whole numbers; give one for each node")
    checks.require(len(rows) == nodes, f"got a partition of {len(rows)} nodes, need {nodes}; try nodes={len(rows)}")
    return validated(_padded(rows), examples)


def _padded(rows: list[np.ndarray]) -> Partition:
    counts = np.array([len(row) for row in rows])
    width = int(counts.max(initial=1))
    checks.fits(4 * len(rows) * width, f"nodes={len(rows)} with up to {width} examples each")
    indices = np.zeros((len(rows), width), np.int64)
    indices[np.arange(width) < counts[:, None]] = np.concatenate(rows)
    return Partition(indices, counts)
