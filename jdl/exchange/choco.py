"""CHOCO: compressed differences to copies that neighbours keep."""

from __future__ import annotations

from typing import ClassVar

import jax
from flax import struct

from jdl import tree
from jdl.compressors import Compressor, TopK
from jdl.exchange.compress import compress
from jdl.exchange.linear import Linear
from jdl.types import Exchange, ExchangeState, Key, Message, Traffic, Wire, number

__all__ = ["Choco"]


@struct.dataclass
class Choco:
    """CHOCO-gossip: neighbours keep a copy of each other's message, and only compressed changes of it travel.

    xhat_i += C(x_i - xhat_i);  inbox_i = x_i + gamma (sum_j W_ij xhat_j - xhat_i).

    The copies xhat start at zero. A lost packet would leave a neighbour with another copy than the sender assumes, so
    links must be reliable. Adapt-then-combine over this exchange is CHOCO-SGD in the order of the paper's Algorithm 2.
    gamma = 1 without compression is plain gossip.

    Sends:
      the compressed change of the message, on reliable links.

    Memory:
      one more copy of the message per node.

    Args:
      gamma: step size of gossip, 0 to 1. The coarser the compression, the smaller it must be: else gossip diverges.
      compressor: any of `jdl.compressors`.
      inner: the exchange that receives the messages next.

    References:
      Koloskova, Stich, Jaggi 2019, Decentralized Stochastic Optimization and Gossip Algorithms with Compressed
      Communication, Algorithms 1 and 2.
    """

    gamma: float = number(0.2, minimum=0, maximum=1)
    compressor: Compressor = TopK()
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"reliable", "peers"})
    breaks: ClassVar[frozenset[str]] = frozenset({"per_link"})

    def init(self, message: Message) -> ExchangeState:
        return tree.zeros_like(message), self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, Traffic]:
        if not jax.tree.leaves(wire.sent):
            return wire.own, state, self.inner.apply(state[1], wire, key)[2]
        copies, inner = state
        here, inside = jax.random.split(key)
        rows = wire.plan.participants
        xhat = tree.take_rows(copies, rows)
        change = tree.sub(tree.cast(wire.sent, xhat), xhat)
        difference, bits = compress(self.compressor, change, wire, here)
        # A node that is silent this round, or asleep, sends nothing.
        moved = tree.where_rows(wire.bits > 0, tree.add(xhat, difference), xhat)
        xhat = tree.where_rows(wire.plan.active, moved, xhat)
        mixed, inner, traffic = self.inner.apply(inner, wire.replace(own=xhat, sent=xhat, bits=bits), inside)
        inbox = tree.axpy(self.gamma, tree.sub(mixed, xhat), wire.own)
        return inbox, (tree.put_rows(copies, rows, xhat), inner), traffic
