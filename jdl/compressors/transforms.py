"""Orthonormal transforms of a vector: wavelets, real frequencies, and Hadamard matrices."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jdl.compressors import chunks

__all__ = ["TRANSFORMS", "from_frequencies", "from_wavelets", "frequencies", "hadamard", "transform", "wavelets"]

# Coefficients of the orthonormal low-pass filters. "sym2" has two vanishing moments, and is Daubechies' "db2" too.
ROOT = math.sqrt(3)
FILTERS = {
    "haar": np.array([1.0, 1.0]) / math.sqrt(2),
    "sym2": np.array([1 + ROOT, 3 + ROOT, 3 - ROOT, 1 - ROOT]) / (4 * math.sqrt(2)),
}
SIDE = 64  # the largest side of a chunk of the cosine transform
TRANSFORMS = ("cosine", "fourier", *FILTERS)


def transform(name: str, x: jax.Array, levels: int) -> tuple[jax.Array, Callable[[jax.Array], jax.Array]]:
    """One array in another orthonormal basis, and the way back.

    Args:
      name: one of `TRANSFORMS`.
      x: an array that is not empty, in float32 or float64.
      levels: number of levels of a wavelet transform.

    Returns:
      The coefficients, f[c] with c >= d; and the function that takes such coefficients to an array like `x`.
    """
    flat = x.reshape(-1)
    if name == "cosine":
        waves = chunks.cosines(chunks.chunked(x, SIDE))
        back = lambda y: chunks.joined(chunks.from_cosines(y.reshape(waves.shape)), x.shape, SIDE)
        return waves.reshape(-1), back
    if name == "fourier":
        return frequencies(flat), lambda y: from_frequencies(y).reshape(x.shape)
    # A level halves a vector, so its length must be even; no level is of use to a single number.
    levels = min(levels, max(math.ceil(math.log2(x.size)), 0))
    padded = jnp.pad(flat, (0, -x.size % 2**levels))
    return wavelets(padded, name, levels), lambda y: from_wavelets(y, name, levels)[: x.size].reshape(x.shape)


def wavelets(x: jax.Array, name: str, levels: int) -> jax.Array:
    """The wavelet transform of a vector that is continued periodically: the coarsest part first, then finer details.

    >>> wavelets(jnp.ones(4), "haar", 2).round(3).tolist()
    [2.0, 0.0, 0.0, 0.0]

    Args:
      x: f[d], where 2^levels divides d.
      name: "haar" or "sym2".
      levels: how often the coarse part is split again.
    """
    taps, parts = _filters(name), []
    for _ in range(levels):
        sides = x[0::2], x[1::2]
        x, fine = (sum(f * jnp.roll(sides[place % 2], -(place // 2)) for place, f in one) for one in taps)
        parts.append(fine)
    return jnp.concatenate([x, *reversed(parts)])


def from_wavelets(y: jax.Array, name: str, levels: int) -> jax.Array:
    """The vector with this wavelet transform."""
    length = y.size >> levels
    x = y[:length]
    for _ in range(levels):
        parts = zip((x, y[length : 2 * length]), _filters(name), strict=True)
        terms = [(place, f * jnp.roll(part, place // 2)) for part, taps in parts for place, f in taps]
        sides = [sum(term for place, term in terms if place % 2 == side) for side in (0, 1)]
        x, length = jnp.stack(sides, axis=1).reshape(-1), 2 * length
    return x


def _filters(name: str) -> tuple[list[tuple[int, float]], ...]:
    """The low-pass filter, and the high-pass filter that is orthogonal to its even shifts: (place, factor) of each tap.

    Places are relative to the first of the two entries that a coefficient stands for, as in PyWavelets.
    """
    low = FILTERS[name]
    places = range(1 - len(low) // 2, 1 + len(low) // 2)
    high = low[::-1] * (-1.0) ** np.arange(len(low))
    return tuple(list(zip(places, taps.tolist(), strict=True)) for taps in (low, high))


def frequencies(x: jax.Array) -> jax.Array:
    """The Fourier transform of a real vector of d entries, as d real numbers of the same norm.

    The real parts of the frequencies come first, then the imaginary parts of those that have any.

    >>> frequencies(jnp.ones(4)).round(3).tolist()
    [2.0, 0.0, 0.0, 0.0]
    """
    d = x.size
    waves = jnp.fft.rfft(x, norm="ortho")
    parts = jnp.concatenate([waves.real, waves.imag[1 : (d + 1) // 2]])
    return (parts * jnp.asarray(_weights(d), parts.dtype)).astype(x.dtype)


def from_frequencies(y: jax.Array) -> jax.Array:
    """The vector with these frequencies."""
    d = y.size
    parts = y / jnp.asarray(_weights(d), y.dtype)
    real = parts[: d // 2 + 1]
    middle = parts[d // 2 + 1 :]
    imaginary = jnp.concatenate([jnp.zeros(1, y.dtype), middle, jnp.zeros(real.size - 1 - middle.size, y.dtype)])
    return jnp.fft.irfft(jax.lax.complex(real, imaginary), n=d, norm="ortho").astype(y.dtype)


def _weights(d: int) -> np.ndarray:
    """Each frequency stands for two, plus and minus, except zero and, for an even length, the highest one."""
    weights = np.full(d, math.sqrt(2))
    weights[0] = 1
    if d % 2 == 0:
        weights[d // 2] = 1
    return weights


def hadamard(x: jax.Array) -> jax.Array:
    """The product with the orthonormal Hadamard matrix, which is its own inverse.

    >>> hadamard(jnp.float32([1, 0, 0, 0])).tolist()
    [0.5, 0.5, 0.5, 0.5]

    Args:
      x: f[d], where d is a power of two.
    """
    from scipy.linalg import hadamard as matrix

    # The matrix of 2^(a + b) is the Kronecker product of those of 2^a and 2^b. Factors of up to 32 rows are products of
    # small matrices, which pass over the vector less often than one step for each power of two.
    left, powers = x.size.bit_length() - 1, []
    while left:
        powers.append(min(left, 5))
        left -= powers[-1]
    y = x.reshape([2**power for power in powers])
    for axis, power in enumerate(powers):
        factor = jnp.asarray(matrix(2**power) / math.sqrt(2**power), x.dtype)
        y = jnp.moveaxis(jnp.tensordot(factor, y, axes=(1, axis), precision="highest"), 0, axis)
    return y.reshape(-1)
