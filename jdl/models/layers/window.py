"""The positions of the windows of a convolution or a pooling."""

from __future__ import annotations

import math

from jdl import checks

__all__ = ["Padding", "pads"]

Padding = str | tuple[tuple[int, int], tuple[int, int]]


def pads(
    size: tuple[int, int], window: tuple[int, int], strides: tuple[int, int], padding: Padding, dilation=(1, 1)
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The numbers of rows and columns to add before and after, in the convention of `lax`."""
    if not isinstance(padding, str):
        return tuple((int(low), int(high)) for low, high in padding)
    if checks.known("padding", padding, ("SAME", "VALID")) == "VALID":
        return ((0, 0), (0, 0))
    out = []
    for length, width, stride, spread in zip(size, window, strides, dilation, strict=True):
        reach = (width - 1) * spread + 1
        total = max(0, (math.ceil(length / stride) - 1) * stride + reach - length)
        out.append((total // 2, total - total // 2))
    return tuple(out)
