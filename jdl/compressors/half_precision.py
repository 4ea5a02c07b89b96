"""Floating-point numbers of half the size."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.compressors.compressor import count_of
from jdl.types import Key, Message, static

__all__ = ["HalfPrecision"]

TYPES = ("bfloat16", "float16", "float32")


@struct.dataclass
class HalfPrecision:
    """Half precision: each real number is rounded to a type of half the size; whole numbers stay as they are.

    In a network, messages travel in the narrow type: neighbours receive rounded numbers, the node keeps its own copy
    as it is, sums are taken in the wide type, and gossip reads half the bytes of its neighbours. Put it first in the
    network: the indices that a compressor before it adds to a message would be counted as if they became narrower, too.

    The relative error of an entry is at most 2^-8 ("bfloat16", with the range of float32) or 2^-11 ("float16", which
    overflows beyond 65,504 and loses precision below 6e-5).

    Sends:
      the message with 16 bits for each real number (32 with "float32", which narrows float64 alone).

    Args:
      dtype: "bfloat16", "float16", or "float32" for models in float64.

    Raises:
      InputError: if the type is none of these.

    References:
      Micikevicius et al. 2018, Mixed Precision Training.
    """

    dtype: str = static("bfloat16")

    def __post_init__(self) -> None:
        if isinstance(self.dtype, str):
            object.__setattr__(self, "dtype", checks.known("dtype", self.dtype, TYPES))

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        sizes = [self.size(jnp.float32(x.size), x) for x in jax.tree.leaves(message)]
        return jax.tree.map(self._rounded, message), memory, sum(sizes, start=jnp.zeros((), jnp.float32))

    def narrow(self, message: Message) -> Message:
        """The message in the type in which it travels."""
        return jax.tree.map(lambda x: x.astype(self.dtype) if self._narrows(x) else x, message)

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """What is decoded of the entries of one array that are sent, and their size in bits. Zero stays zero."""
        return self._rounded(x), self.size(count_of(sent), x)

    def size(self, count: jax.Array, x: jax.Array) -> jax.Array:
        """The bits of `count` entries of one array like `x`."""
        return count * 8 * (jnp.dtype(self.dtype) if self._narrows(x) else x.dtype).itemsize

    def _rounded(self, x: jax.Array) -> jax.Array:
        # reduce_precision, since a compiler may drop a conversion there and back.
        info = jnp.finfo(self.dtype)
        return jax.lax.reduce_precision(x, info.nexp, info.nmant) if self._narrows(x) else x

    def _narrows(self, x: jax.Array) -> bool:
        return jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize > jnp.dtype(self.dtype).itemsize
