"""Messages that are sent when there is something to say."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl.compressors import Compressor, Identity
from jdl.exchange.chebyshev import Chebyshev
from jdl.exchange.compress import compress, memory_rows, no_noise_behind, sending, start
from jdl.exchange.linear import Linear
from jdl.exchange.repeated import Repeated
from jdl.exchange.stack import layers
from jdl.exchange.until_consensus import UntilConsensus
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number

__all__ = ["Triggered"]


@struct.dataclass
class Triggered:
    """Event-triggered gossip: a node is silent until its message has moved far from the copy that neighbours keep.

    A node sends if ||x_i - xhat_i||^2 >= threshold (t + 1)^growth in its t-th round, and then xhat_i += C(x_i - xhat_i)
    on both sides; otherwise xhat_i stays. inbox_i = x_i + gamma (sum_j W_ij xhat_j - xhat_i), so the mean is kept where
    W is doubly stochastic. Without compression xhat_i becomes x_i itself, to the last bit.

    The first message of a node is always sent. threshold = 0 is CHOCO-gossip: without compression and with gamma = 1,
    plain gossip to the last bit. With threshold = inf nobody sends after the first message. With adapt-then-combine it
    is SPARQ-SGD, whose threshold c_t eta_t^2 is this one for steps eta_t and c_t that are powers of t (the paper's
    copies begin at zero, and equality does not trigger).

    A lost packet, or a link that was not there before, would leave a neighbour with another copy than the sender
    assumes, so links must be reliable and always the same.

    Sends:
      the message, or its compressed change; nothing, and no bits, while the node is silent.

    Memory:
      one more copy of the message per node, whether it has sent one yet, the number of rounds, and what the compressor
      remembers.

    Args:
      threshold: least squared distance that triggers a message, f[].
      growth: power of the number of rounds by which the threshold grows, below 1; negative where step sizes decay.
      gamma: step size of gossip, 0 to 1; smaller than 1 with a coarse compressor.
      compressor: any of `jdl.compressors`.
      inner: the exchange that receives the messages next; none that repeats gossip, whose later steps would be silent.

    Raises:
      InputError: if gossip is repeated after it in the network.

    References:
      Singh, Data, George, Diggavi 2019, SPARQ-SGD: Event-Triggered and Compressed Communication in Decentralized
      Stochastic Optimization (equations read in public code and in a public summary of them).
    """

    threshold: float = number(1.0, minimum=0)
    growth: float = number(0.0, minimum=-4, maximum=1)
    gamma: float = number(1.0, minimum=0, maximum=1)
    compressor: Compressor = Identity()
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"fixed_links", "peers", "reliable"})
    breaks: ClassVar[frozenset[str]] = frozenset({"per_link", "each"})

    def __post_init__(self) -> None:
        for layer in layers(self.inner):
            name = type(layer).__name__
            repeats = isinstance(layer, Repeated | Chebyshev | UntilConsensus)
            checks.require(not repeats, f"got Triggered before {name} in a network; put Triggered after it")
        no_noise_behind(self)

    def init(self, message: Message) -> ExchangeState:
        n = jax.tree.leaves(message)[0].shape[0]
        copies = tree.zeros_like(message), jnp.zeros(n, bool), start(self.compressor, message)
        return copies, jnp.int32(0), self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        kept, t, inner = state
        here, inside = jax.random.split(key)
        rows = memory_rows(wire, kept)
        before = tree.take_rows(kept, rows)
        xhat, known, memory = before
        sent = tree.cast(wire.sent, xhat)
        change = tree.sub(sent, xhat)
        bits, now = wire.bits, sent
        if not isinstance(self.compressor, Identity):
            difference, memory, bits = compress(self.compressor, memory, change, wire, here)
            now = tree.add(xhat, difference)
        distance = _squares(change)
        limit = self.threshold * jnp.asarray(t + 1, distance.dtype) ** self.growth
        # What is no number is not below the limit: a node that diverges says so.
        sends = sending(wire) & ~(known & (distance < limit.astype(distance.dtype)))
        after = tree.where_rows(sends, (now, jnp.ones_like(known), memory), before)
        kept = tree.put_rows(kept, rows, after)
        xhat, own = after[0], tree.take_rows(kept[0], wire.plan.participants)
        bits = jnp.where(sends, bits, 0)
        mixed, inner, deliveries = self.inner.apply(inner, wire.replace(own=own, sent=xhat, bits=bits), inside)
        # Both terms are exact zeros for gamma = 1 and for a node that has just sent its message as it is.
        inbox = tree.add(tree.axpy(self.gamma - 1, tree.sub(mixed, own), mixed), tree.sub(wire.own, own))
        return inbox, (kept, t + 1, inner), deliveries


def _squares(x: Message) -> jax.Array:
    """The squared norm of each row, f[s], in the default float type."""
    real = jnp.result_type(float)
    rows = [jnp.sum(jnp.square(leaf.astype(real)), axis=tuple(range(1, leaf.ndim))) for leaf in jax.tree.leaves(x)]
    return sum(rows[1:], start=rows[0])
