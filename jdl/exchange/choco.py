"""CHOCO: compressed differences to copies that neighbours keep."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
from flax import struct

from jdl import tree
from jdl.compressors import TopK
from jdl.exchange.compress import compress
from jdl.exchange.linear import Linear
from jdl.types import Exchange, ExchangeState, Key, Message, Traffic, Wire, number

__all__ = ["Choco", "choco"]


@struct.dataclass
class Choco:
    """xhat_i += C(x_i - xhat_i);  inbox_i = x_i + gamma (sum_j W_ij xhat_j - xhat_i).

    The memory `xhat: M[n]` starts at zero. A lost packet would leave a neighbour with another copy than the sender
    thinks it has, so links must be reliable.
    """

    gamma: float = number(0.2, minimum=0, maximum=1)
    compressor: Any = TopK()
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


def choco(gamma: float = 0.2, fraction: float = 0.1) -> Choco:
    """CHOCO-gossip with top-k: neighbours keep a copy of each other, only compressed changes travel.

    With `Choco(gamma, compressor)` any other compressor. Adapt-then-combine over this exchange is CHOCO-SGD in the
    order of the paper's Algorithm 2. gamma = 1 and no compression is plain gossip.

    Sends:
      the compressed change of the message, on reliable links.

    Memory:
      one more copy of the message per node.

    Args:
      gamma: consensus step; the coarser the compression, the smaller, or gossip diverges.
      fraction: share of the entries of each array that travels.

    References:
      Koloskova, Stich, Jaggi 2019, Decentralized Stochastic Optimization and Gossip Algorithms with Compressed
      Communication, Algorithms 1 and 2.
    """
    return Choco(gamma=gamma, compressor=TopK(fraction=fraction))
