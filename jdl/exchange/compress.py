"""Messages made smaller: the wrapper that puts a compressor between a node and its links."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.compressors import Compressor, TopK
from jdl.exchange.linear import Linear
from jdl.types import Exchange, ExchangeState, Key, Message, Traffic, Wire

__all__ = ["Compressed", "compress", "top_k"]


def compress(compressor: Compressor, message: Message, wire: Wire, key: Key) -> tuple[Message, jax.Array]:
    """Every row of `message: M[m]` by itself, with randomness that hangs on the node, not on its place: M[m], f[m].

    Where a method sends nothing this round, zero bits, nothing is sent here either.
    """
    keys = jax.vmap(lambda id: jax.random.fold_in(key, id))(plans.ids(wire.plan))
    sent, bits = jax.vmap(compressor)(message, keys)
    return sent, jnp.where(wire.bits > 0, bits, 0)


@struct.dataclass
class Compressed:
    """Neighbours receive C(message); the node keeps its own copy uncompressed."""

    compressor: Any = TopK()
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset()
    breaks: ClassVar[frozenset[str]] = frozenset({"per_link"})

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, Traffic]:
        if not jax.tree.leaves(wire.sent):
            return self.inner.apply(state, wire, key)
        here, inside = jax.random.split(key)
        sent, bits = compress(self.compressor, wire.sent, wire, here)
        return self.inner.apply(state, wire.replace(sent=sent, bits=bits), inside)


def top_k(fraction: float = 0.1) -> Compressed:
    """Top-k sparsification: of each array of the message, only the largest entries travel.

    No memory and no error feedback: what is not sent counts as zero, so models shrink; see `choco` for the remedy.

    Sends:
      max(1, round(fraction d)) numbers and their indices, ceil(log2 d) bits each.

    Args:
      fraction: share of the entries of each array that travels.

    References:
      Stich, Cordonnier, Jaggi 2018, Sparsified SGD with Memory, definition 2.1.
    """
    return Compressed(compressor=TopK(fraction=fraction))
