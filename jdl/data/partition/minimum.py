"""A minimum of examples a node, for rules whose sizes are random: as few examples as can be change hands."""

from __future__ import annotations

import numpy as np

from jdl import checks

__all__ = ["possible", "with_minimum"]


def possible(minimum: int, nodes: int, examples: int) -> int:
    """`minimum` as a whole number that the examples suffice for, or a sentence."""
    minimum = checks.whole("minimum", minimum, 0)
    most = examples // nodes
    ways = [f"try minimum={most}" if most else "leave minimum out"]
    ways += [f"nodes={examples // minimum}"] if 0 < minimum <= examples else []
    checks.require(
        nodes * minimum <= examples,
        f"got minimum={minimum} with nodes={nodes}, which takes {nodes * minimum} examples of {examples}; "
        f"{', or '.join(ways)}",
    )
    return minimum


def with_minimum(owner: np.ndarray, nodes: int, minimum: int, rng: np.random.Generator) -> np.ndarray:
    """`owner: i[N]` with at least `minimum` examples a node: random ones change hands, as many as are missing.

    They are drawn from what nodes have above the minimum, so the largest give the most and the shape of large sizes
    stays (cutting the largest to one level would take a heavy tail away). Nothing is drawn where nothing is missing.

    >>> owner = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    >>> int(np.bincount(with_minimum(owner, 3, 2, np.random.default_rng(0))).min())
    2
    """
    counts = np.bincount(owner, minlength=nodes)
    missing = np.maximum(minimum - counts, 0)
    if not missing.any():
        return owner
    shuffled = rng.permutation(owner.size)
    by_node = shuffled[np.argsort(owner[shuffled], kind="stable")]  # in random order within each node
    place = np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts)
    owner = owner.copy()
    owner[rng.choice(by_node[place >= minimum], missing.sum(), replace=False)] = np.repeat(np.arange(nodes), missing)
    return owner
