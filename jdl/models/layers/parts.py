"""Loops in place of one pass: XLA computes what a loop returns once, where it would fuse it into all that read it."""

from __future__ import annotations

__all__ = ["few_parts"]


def few_parts(size: int) -> int:
    """A small number of equal parts of `size`, more than one where it can be: 2, 3, 5 or 7, else `size` parts of one.

    >>> [few_parts(size) for size in (32, 27, 35, 11, 1)]
    [2, 3, 5, 11, 1]
    """
    return next((parts for parts in (2, 3, 5, 7) if size % parts == 0), size)
