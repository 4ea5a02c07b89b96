"""Nodes in a box: the sides that n permits, the neighbours along the axes, and the coordinates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from jdl import checks

__all__ = ["along_axes", "boxes", "on_a_plane", "sides_of"]


def boxes(n: int, dims: int, smallest: int) -> Iterator[tuple[int, ...]]:
    """Every way to write n as a product of `dims` integers in ascending order, none below `smallest`.

    >>> list(boxes(36, dims=2, smallest=3))
    [(3, 12), (4, 9), (6, 6)]
    """
    if dims == 1:
        yield from [(n,)] * (n >= smallest)
        return
    for side in itertools.takewhile(lambda side: side**dims <= n, itertools.count(smallest)):
        if n % side == 0:
            yield from ((side, *others) for others in boxes(n // side, dims - 1, side))


def sides_of(name: str, n: int, rows: int | None, smallest: int, dims: int = 2) -> tuple[int, ...]:
    """The sides of the box of n nodes: with `rows` rows, or as equal as n permits.

    >>> sides_of("torus", 60, None, smallest=3, dims=3)
    (3, 4, 5)

    Raises:
      InputError: if no such box exists.
    """
    n = checks.whole("n", n, 1)
    if rows is not None:
        checks.require(dims == 2, f"got rows={rows} with dims={dims}, rows need dims=2; leave rows out")
        rows = checks.whole("rows", rows, smallest, f"a {name} needs")
        nearby = rows * max(smallest, (2 * n + rows) // (2 * rows))
        need = f"got n={n} with rows={rows}, a {name} needs at least {smallest} full columns; try n={nearby}"
        checks.require(n % rows == 0 and n // rows >= smallest, need)
        return rows, n // rows
    # Of all boxes with the same volume, the one with the smallest sum of sides is the nearest to a cube.
    sides = min(boxes(n, dims, smallest), key=sum, default=None)
    if sides is None:
        shape = f"rows x columns of at least {smallest} x {smallest}" if dims == 2 else f"sides of at least {smallest}"
        box = f"a {name}" if dims == 2 else f"a {name} with dims={dims}"
        raise checks.InputError(f"got n={n}, {box} needs {shape}; try n={nearest_box(n, dims, smallest)}")
    return sides


def nearest_box(n: int, dims: int, smallest: int) -> int:
    """The number nearest to n that fills a box; the larger one of two that are equally near."""
    least = smallest**dims
    if n <= least:
        return least
    nearby = (candidate for distance in itertools.count() for candidate in (n + distance, n - distance))
    return next(candidate for candidate in nearby if next(boxes(candidate, dims, smallest), None))


def along_axes(sides: tuple[int, ...], wraps: bool) -> np.ndarray:
    """`int[e, 2]`, the edges between nodes one step apart along an axis; `wraps` joins the two ends of each axis.

    >>> along_axes((2, 2), wraps=False).tolist()
    [[0, 2], [1, 3], [0, 1], [2, 3]]
    """
    node = np.arange(int(np.prod(sides))).reshape(sides)
    pairs = []
    for axis, side in enumerate(sides):
        steps = np.arange(side if wraps else side - 1)
        here, further = node.take(steps, axis), node.take((steps + 1) % side, axis)
        pairs.append(np.stack([here.ravel(), further.ravel()], axis=1))
    return np.concatenate(pairs)


def on_a_plane(sides: tuple[int, ...]) -> np.ndarray | None:
    """`float[n, 2]`, the (column, row) of each node of a rectangle; None for any other number of dimensions."""
    if len(sides) != 2:
        return None
    row, column = np.divmod(np.arange(sides[0] * sides[1]), sides[1])
    return np.stack([column, row], axis=1).astype(float)
