"""Narrower floating-point numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.types import Key, Message, static

__all__ = ["Cast"]

NARROW = ("float16", "bfloat16")


@struct.dataclass
class Cast:
    """Round each entry to a 16-bit floating-point number.

    Bits:
      16 for each entry. The relative error of an entry is at most 2^-11 (float16, which overflows beyond 65,504 and
      loses precision below 6e-5) or 2^-8 (bfloat16, with the range of float32).

    Args:
      dtype: "float16" or "bfloat16".

    References:
      Micikevicius et al. 2018, Mixed Precision Training.
    """

    dtype: str = static("float16")

    def __call__(self, message: Message, key: Key) -> tuple[Message, jax.Array]:
        narrow = jnp.dtype(checks.known("dtype", self.dtype, NARROW))
        sizes = [self.size(jnp.float32(x.size), x) for x in jax.tree.leaves(message)]
        # reduce_precision, since a compiler may drop a conversion there and back.
        info = jnp.finfo(narrow)
        sent = jax.tree.map(lambda x: jax.lax.reduce_precision(x, info.nexp, info.nmant), message)
        return sent, sum(sizes, start=jnp.zeros((), jnp.float32))

    def size(self, count: jax.Array, x: jax.Array) -> jax.Array:
        """The bits of `count` entries of one array like `x`."""
        return count * 16
