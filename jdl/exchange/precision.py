"""Messages in a narrower type of number than models are kept in."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl.exchange.linear import Linear
from jdl.types import Exchange, ExchangeState, Key, Message, Traffic, Wire, static

__all__ = ["Narrow", "narrow"]

TYPES = ("bfloat16", "float16", "float32")


@struct.dataclass
class Narrow:
    """Real numbers travel in `dtype`; what the node keeps, and sums, stay in their own."""

    dtype: str = static("bfloat16")
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset()
    breaks: ClassVar[frozenset[str]] = frozenset()

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, Traffic]:
        dtype = jnp.dtype(self.dtype)

        def cast(x):
            wider = jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize > dtype.itemsize
            return x.astype(dtype) if wider else x

        sent = jax.tree.map(cast, wire.sent)
        share = tree.bits(sent) / max(tree.bits(wire.sent), 1)
        return self.inner.apply(state, wire.replace(sent=sent, bits=share * wire.bits), key)


def narrow(dtype: str = "bfloat16") -> Narrow:
    """Messages in half precision: neighbours receive them rounded, the node keeps its own copy as it is.

    Gossip then reads half the bytes of its neighbours. Put it first in the network: the indices that a compressor
    before it adds to a message would be counted as if they narrowed too.

    Sends:
      16 bits a number (32 with float32, which narrows float64 alone).

    Args:
      dtype: "bfloat16" (the range of float32, 8 bits of precision), "float16" (11 bits, up to 65,504) or "float32".
    """
    return Narrow(dtype=checks.known("dtype", dtype, TYPES))
