"""Chunks of an array: rectangular blocks of its last two axes, the largest entries of each, and its frequencies."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from jdl.compressors.top_k import largest

__all__ = ["chunked", "cosines", "from_cosines", "index_bits", "joined", "largest_of_each"]


def _side(length: int, target: int) -> int:
    """The largest divisor of an axis that is at most `target`."""
    return max((side for side in range(1, min(length, target) + 1) if length % side == 0), default=1)


def _sides(shape: tuple[int, ...], target: int) -> tuple[int, int, int, int]:
    """Rows and columns of the array, and of a chunk. A vector is one row, and a number is a matrix of one entry."""
    rows, columns = (1, 1, *shape)[-2:]
    return rows, columns, _side(rows, target), _side(columns, target)


def chunked(x: jax.Array, target: int) -> jax.Array:
    """Cut the last two axes of an array into chunks, `[chunks, height, width]`; a vector is cut into vectors.

    The sides of a chunk are the largest divisors of the two axes that are at most `target`.

    >>> chunked(np.arange(6.0), 4).tolist()
    [[[0.0, 1.0, 2.0]], [[3.0, 4.0, 5.0]]]

    Args:
      x: array of any shape.
      target: upper bound of the sides of a chunk.
    """
    rows, columns, height, width = _sides(x.shape, target)
    lead = math.prod(x.shape[:-2])
    blocks = x.reshape(lead, rows // height, height, columns // width, width).swapaxes(2, 3)
    return blocks.reshape(-1, height, width)


def joined(chunks: jax.Array, shape: tuple[int, ...], target: int) -> jax.Array:
    """Put chunks together again: the inverse of `chunked` for an array of this shape."""
    rows, columns, height, width = _sides(shape, target)
    lead = math.prod(shape[:-2])
    blocks = chunks.reshape(lead, rows // height, columns // width, height, width).swapaxes(2, 3)
    return blocks.reshape(shape)


def largest_of_each(chunks: jax.Array, k: jax.Array) -> jax.Array:
    """The `k` entries of largest magnitude of each chunk, as `bool[chunks, height, width]`."""
    flat = chunks.reshape(chunks.shape[0], -1)
    return jax.vmap(largest, (0, None))(flat, k).reshape(chunks.shape)


def index_bits(chunks: jax.Array) -> int:
    """The size in bits of the place of one entry in its chunk."""
    return math.ceil(math.log2(math.prod(chunks.shape[1:])))


def cosines(chunks: jax.Array) -> jax.Array:
    """The orthonormal discrete cosine transform (DCT-II) of each chunk, along both of its sides.

    >>> cosines(jnp.ones((1, 1, 4))).round(3).tolist()
    [[[2.0, 0.0, 0.0, 0.0]]]
    """
    rows, columns = (_cosine_matrix(side) for side in chunks.shape[1:])
    return _turned(rows, chunks, columns)


def from_cosines(waves: jax.Array) -> jax.Array:
    """The chunks with this cosine transform."""
    rows, columns = (_cosine_matrix(side).T for side in waves.shape[1:])
    return _turned(rows, waves, columns)


def _cosine_matrix(n: int) -> np.ndarray:
    """`float[frequency, place]`. Chunks are small, so that a product with it is cheaper than a Fourier transform."""
    from scipy.fft import dct

    return dct(np.eye(n), norm="ortho", axis=0)


def _turned(rows: np.ndarray, chunks: jax.Array, columns: np.ndarray) -> jax.Array:
    sides = (jnp.asarray(side, chunks.dtype) for side in (rows, columns))
    return jnp.einsum("ij,kl,cjl->cik", *sides, chunks, precision="highest")
