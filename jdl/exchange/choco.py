"""CHOCO: compressed differences to copies that neighbours keep."""

from __future__ import annotations

from typing import ClassVar

import jax
from flax import struct

from jdl import tree
from jdl.compressors import Compressor, TopK
from jdl.exchange.compress import compress, memory_rows, no_noise_behind, sending, start
from jdl.exchange.linear import Linear
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number

__all__ = ["Choco"]


@struct.dataclass
class Choco:
    """CHOCO-gossip: neighbours keep a copy of each other's message, and only compressed changes of it travel.

    xhat_i += C(x_i - xhat_i);  inbox_i = x_i + gamma (sum_j W_ij xhat_j - xhat_i).

    The copies xhat start at zero. A neighbour that misses a change, because a packet is lost, because it sleeps, or
    because the link is not there in this round, would hold another copy than the sender assumes. So links must be
    reliable, and the same in every round. Adapt-then-combine over this exchange is CHOCO-SGD in the order of the
    paper's Algorithm 2. gamma = 1 without compression is plain gossip.

    Sends:
      the compressed change of the message, on reliable links that are the same in every round.

    Memory:
      one more copy of the message per node, and what the compressor remembers.

    Args:
      gamma: step size of gossip, 0 to 1. The coarser the compression, the smaller it must be: else gossip diverges.
      compressor: one of `jdl.compressors` that contracts: `TopK()`, `Sign()`, or `QSGD(contractive=True)`. With an
        unbiased one of large variance, such as `QSGD(levels=4)`, gossip may diverge.
      inner: the exchange that receives the messages next.

    References:
      Koloskova, Stich, Jaggi 2019, Decentralized Stochastic Optimization and Gossip Algorithms with Compressed
      Communication, Algorithms 1 and 2.
    """

    gamma: float = number(0.2, minimum=0, maximum=1)
    compressor: Compressor = TopK()
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"reliable", "copies", "fixed_links", "peers"})
    breaks: ClassVar[frozenset[str]] = frozenset({"per_link", "each"})

    def __post_init__(self) -> None:
        no_noise_behind(self)

    def init(self, message: Message) -> ExchangeState:
        return tree.zeros_like(message), start(self.compressor, message), self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        copies, memory, inner = state
        here, inside = jax.random.split(key)
        rows = memory_rows(wire, copies)
        before = tree.take_rows((copies, memory), rows)
        xhat, remembered = before
        change = tree.sub(tree.cast(wire.sent, xhat), xhat)
        difference, remembered, bits = compress(self.compressor, remembered, change, wire, here)
        # A node that is silent this round, or asleep, sends nothing.
        after = tree.where_rows(sending(wire), (tree.add(xhat, difference), remembered), before)
        copies, memory = tree.put_rows((copies, memory), rows, after)
        xhat = after[0]
        own = tree.take_rows(copies, wire.plan.participants)
        mixed, inner, deliveries = self.inner.apply(inner, wire.replace(own=own, sent=xhat, bits=bits), inside)
        inbox = tree.axpy(self.gamma, tree.sub(mixed, own), wire.own)
        return inbox, (copies, memory, inner), deliveries
