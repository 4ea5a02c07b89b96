"""Messages made smaller: the wrapper that puts a compressor between a node and its links."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl import tree
from jdl.compressors import Compressor, Narrowing
from jdl.exchange.linear import Linear
from jdl.types import Exchange, ExchangeState, Key, Message, OfOptions, Traffic, Wire

__all__ = ["Compressed", "compress"]


def compress(compressor: Compressor, message: Message, wire: Wire, key: Key) -> tuple[Message, jax.Array]:
    """Every row of `message: M[m]` by itself, with randomness that depends on the node, not on its place: M[m], f[m].

    Where a method sends nothing this round, zero bits, nothing is sent here either.
    """
    keys = jax.vmap(lambda id: jax.random.fold_in(key, id))(plans.ids(wire.plan))
    sent, bits = jax.vmap(compressor)(message, keys)
    return sent, jnp.where(wire.bits > 0, bits, 0)


@struct.dataclass
class Compressed:
    """Neighbours receive C(message); the node keeps its own copy uncompressed.

    A compressor in a network, `network=[TopK(0.1)]`, is this exchange. There is no memory and no error feedback: what
    top-k does not send counts as zero, so models shrink; see `Choco` for the remedy.

    Sends:
      the compressed message, on every link of the plan.

    Args:
      compressor: any of `jdl.compressors`.
      inner: the exchange that receives the messages next.
    """

    compressor: Compressor
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset()

    @OfOptions
    def breaks(self) -> frozenset[str]:
        """A message for each neighbour is one array to a compressor, unless that treats numbers one by one."""
        return frozenset() if isinstance(self.compressor, Narrowing) else frozenset({"per_link"})

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, Traffic]:
        if not jax.tree.leaves(wire.sent):
            return self.inner.apply(state, wire, key)
        if isinstance(self.compressor, Narrowing):
            sent = self.compressor.narrow(wire.sent)
            share = tree.bits(sent) / max(tree.bits(wire.sent), 1)
            return self.inner.apply(state, wire.replace(sent=sent, bits=share * wire.bits), key)
        here, inside = jax.random.split(key)
        sent, bits = compress(self.compressor, wire.sent, wire, here)
        return self.inner.apply(state, wire.replace(sent=sent, bits=bits), inside)
