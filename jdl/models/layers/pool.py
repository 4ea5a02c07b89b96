"""Pooling as a comparison of the places of a window, because the gradient of `reduce_window` is very slow.

That gradient alone takes longer than a whole network. Windows that tile the image are read by a reshape, all others by
shifted slices.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jdl import checks
from jdl.engine import xla
from jdl.models.layers.window import Padding, pads

__all__ = ["avg_pool", "global_avg_pool", "max_pool"]

Pair = tuple[int, int]


def max_pool(x: jax.Array, window: Pair = (2, 2), strides: Pair | None = None, padding: Padding = "VALID") -> jax.Array:
    """The largest value of each window and channel; among equal places, the first receives the gradient.

    Args:
      x: f[B, H, W, C].
      window: rows and columns of the window.
      strides: distance in rows and columns from one window to the next; None for windows side by side.
      padding: "VALID", "SAME" or ((above, below), (left, right)); padded places are never the largest.

    >>> import jax.numpy as jnp
    >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
    Array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    border, strides = _checked(x, window, strides, padding)
    if _tiles(x, window, strides, border):
        return _largest(_tiled(x, window), tuple(window))
    return _largest_of(tuple(_shifted(x, window, strides, border, -np.inf)))


def avg_pool(x: jax.Array, window: Pair = (2, 2), strides: Pair | None = None, padding: Padding = "VALID") -> jax.Array:
    """The mean of each window and channel, including the zeros of the padding.

    >>> import jax.numpy as jnp
    >>> avg_pool(jnp.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
    Array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)

    Args:
      x: f[B, H, W, C].
      window: rows and columns of the window.
      strides: distance in rows and columns from one window to the next; None for windows side by side.
      padding: "VALID", "SAME" or ((above, below), (left, right)).
    """
    border, strides = _checked(x, window, strides, padding)
    if _tiles(x, window, strides, border):
        return jnp.mean(_tiled(x, window), axis=(2, 4))
    return functools.reduce(jnp.add, _shifted(x, window, strides, border, 0.0)) / (window[0] * window[1])


def global_avg_pool(x: jax.Array) -> jax.Array:
    """The mean over all places.

    Args:
      x: f[B, H, W, C].

    Returns:
      f[B, C].
    """
    return jnp.mean(x, axis=(1, 2))


def _checked(x: jax.Array, window: Pair, strides: Pair | None, padding: Padding) -> tuple[tuple[Pair, Pair], Pair]:
    strides = tuple(window if strides is None else strides)
    border = pads(x.shape[1:3], window, strides, padding)
    sizes = tuple(size + sum(more) for size, more in zip(x.shape[1:3], border, strict=True))
    fits = all(size >= width for size, width in zip(sizes, window, strict=True))
    checks.require(fits, f"got images of {sizes} places for windows of {tuple(window)}; try a smaller window")
    return border, strides


def _tiles(x: jax.Array, window: Pair, strides: Pair, border: tuple[Pair, Pair]) -> bool:
    side_by_side = strides == tuple(window) and not any(map(any, border))
    return side_by_side and all(size % width == 0 for size, width in zip(x.shape[1:3], window, strict=True))


def _tiled(x: jax.Array, window: Pair) -> jax.Array:
    """f[B, H / h, h, W / w, w, C]."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // window[0], window[0], width // window[1], window[1], channels)


def _shifted(x: jax.Array, window: Pair, strides: Pair, border: tuple[Pair, Pair], fill: float) -> list[jax.Array]:
    """For each place of the window, its values in all windows: f[B, H', W', C]."""
    x = jnp.pad(x, ((0, 0), *border, (0, 0)), constant_values=fill) if any(map(any, border)) else x
    height, width = ((x.shape[1 + axis] - window[axis]) // strides[axis] + 1 for axis in (0, 1))
    return [
        lax.slice(
            x,
            (0, i, j, 0),
            (x.shape[0], i + (height - 1) * strides[0] + 1, j + (width - 1) * strides[1] + 1, x.shape[3]),
            (1, *strides, 1),
        )
        for i in range(window[0])
        for j in range(window[1])
    ]


def _winner(places: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """The largest value, where NaN counts as largest, and the index of the first place that has it."""
    best = functools.reduce(jnp.maximum, places)
    index = jnp.full(best.shape, len(places) - 1, jnp.int32)
    for i in range(len(places) - 2, -1, -1):
        index = jnp.where(places[i] == best, jnp.int32(i), index)
    return best, index


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _largest(tiled: jax.Array, window: Pair) -> jax.Array:
    return functools.reduce(jnp.maximum, _places(tiled, window))


@_largest.defjvp
def _largest_jvp(window, primals, tangents):
    best, index = xla.stored(_winner(_places(primals[0], window)))
    number = lax.broadcasted_iota(jnp.int32, (1, 1, window[0], 1, window[1], 1), 2) * window[1]
    number = number + lax.broadcasted_iota(jnp.int32, (1, 1, window[0], 1, window[1], 1), 4)
    chosen = jnp.where(index[:, :, None, :, None, :] == number, tangents[0], jnp.zeros((), best.dtype))
    return best, jnp.sum(chosen, axis=(2, 4))


def _places(tiled: jax.Array, window: Pair) -> list[jax.Array]:
    return [tiled[:, :, i, :, j] for i in range(window[0]) for j in range(window[1])]


@jax.custom_jvp
def _largest_of(places: tuple[jax.Array, ...]) -> jax.Array:
    return functools.reduce(jnp.maximum, places)


@_largest_of.defjvp
def _largest_of_jvp(primals, tangents):
    best, index = _winner(primals[0])
    return best, sum(jnp.where(index == i, t, jnp.zeros((), best.dtype)) for i, t in enumerate(tangents[0]))
