"""A compressor in another basis."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.compressors.compressor import Compressor, floating, widened
from jdl.compressors.top_k import TopK
from jdl.compressors.transforms import TRANSFORMS, transform
from jdl.types import Key, Message, PyTree, static

__all__ = ["InTransform"]


@struct.dataclass
class InTransform:
    """Compress the coefficients of each array in an orthonormal basis: C(x) = T^-1 inner(T x).

    T keeps norms, so a bound of ||C(x) - x||^2 / ||x||^2 of `inner` holds here as well. Wavelets and Fourier transforms
    see an array as one vector; put `Flattened` around it for one transform of the whole model. Wavelets continue a
    vector periodically, after zeros that fill it up to a multiple of 2^levels; these coefficients are counted as well.

    Sends:
      what `inner` sends of the coefficients.

    Memory:
      what `inner` remembers.

    Args:
      inner: compressor of the coefficients.
      transform: "haar" or "sym2" (wavelets; the latter is Daubechies' of two vanishing moments), "fourier", or "cosine"
        (of chunks of an array, with sides of up to 64).
      levels: how often wavelets split the coarse part again, at least 1.

    Raises:
      InputError: if there is no such transform.

    References:
      Dhasade, Kermarrec, Pires, Sharma, Vujasinovic, Wigger 2023, Get More for Less in Decentralized Learning Systems
      (JWINS: `Flattened(InTransform(TopK(fraction, "elias")))`; there which coefficients are sent depends on the sum of
      their changes since they were sent last, and vectors are continued by reflection).
    """

    inner: Compressor = TopK()
    transform: str = static("sym2")
    levels: int = static(4, minimum=1)

    def __post_init__(self) -> None:
        if isinstance(self.transform, str):
            object.__setattr__(self, "transform", checks.known("transform", self.transform, TRANSFORMS))

    def init(self, message: Message) -> PyTree:
        return self.inner.init(jax.eval_shape(lambda: [self._turned(x)[0] for x in _zeros(message)]))

    def __call__(self, memory: PyTree, message: Message, key: Key) -> tuple[Message, PyTree, jax.Array]:
        numbers, joined, other_bits = floating(message)
        turned = [self._turned(x) for x in numbers]
        sent, memory, bits = self.inner(memory, [coefficients for coefficients, _ in turned], key)
        decoded = [back(coefficients) for (_, back), coefficients in zip(turned, sent, strict=True)]
        return joined(decoded), memory, bits + jnp.float32(other_bits)

    def _turned(self, x: jax.Array):
        """The coefficients of an array in its own type, and the way back."""
        if not x.size:
            return x, lambda y: y
        coefficients, back = transform(self.transform, widened(x), self.levels)
        return coefficients.astype(x.dtype), lambda y: back(widened(y)).astype(x.dtype)


def _zeros(message: Message) -> list[jax.Array]:
    return [jnp.zeros(x.shape, x.dtype) for x in floating(message)[0]]
