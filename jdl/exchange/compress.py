"""Messages made smaller: the wrapper that puts a compressor between a node and its links."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl import plan as plans
from jdl.compressors import Compressor, Narrowing
from jdl.exchange.linear import Linear
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, PerLink, PyTree, Wire

__all__ = ["Compressed", "compress", "memory_rows", "no_noise_behind", "sending", "start"]


@struct.dataclass
class Compressed:
    """Neighbours receive C(message); the node keeps its own copy uncompressed.

    A compressor in a network, `network=[TopK(0.1)]`, is this exchange. What top-k does not send counts as zero, so
    models shrink. `Choco` is the remedy for models, and the compressor `ErrorFeedback` for changes and gradients.

    Sends:
      the compressed message, on every link of the plan.

    Memory:
      what the compressor remembers, for each sender. A sender keeps it unchanged in a round in which it sends nothing.

    Args:
      compressor: any of `jdl.compressors`.
      inner: the exchange that receives the messages next.

    Raises:
      InputError: if a compressor with a memory is given several messages of one sender in one round.
    """

    compressor: Compressor
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset()

    @property
    def breaks(self) -> frozenset[str]:
        """A message for each neighbour is one array to a compressor, unless that treats numbers one by one.

        What is compressed is no copy of what the sender keeps; numbers in a narrower type are one but for rounding.
        """
        narrows, exact = isinstance(self.compressor, Narrowing), getattr(self.compressor, "exact", False)
        broken = {"exact": not exact, "copies": not exact and not narrows, "per_link": not narrows}
        return frozenset(word for word, is_broken in broken.items() if is_broken)

    def init(self, message: Message) -> ExchangeState:
        return start(self.compressor, message), self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        memory, inner = state
        if isinstance(self.compressor, Narrowing):
            sent = self.compressor.narrow(wire.sent)
            bits, inside = _bits(sent) / max(_bits(wire.sent), 1) * wire.bits, key
        else:
            here, inside = jax.random.split(key)
            rows = memory_rows(wire, memory)
            before = tree.take_rows(memory, rows)
            sent, after, bits = compress(self.compressor, before, wire.sent, wire, here)
            if jax.tree.leaves(memory):
                after = tree.where_rows(sending(wire) & (plans.out_degree(wire.plan, len(bits)) > 0), after, before)
            memory = tree.put_rows(memory, rows, after)
        inbox, inner, deliveries = self.inner.apply(inner, wire.replace(sent=sent, bits=bits), inside)
        return inbox, (memory, inner), deliveries


def compress(
    compressor: Compressor, memory: PyTree, message: Message, wire: Wire, key: Key
) -> tuple[Message, PyTree, jax.Array]:
    """Compress every row by itself, with randomness that depends on its sender and not on its place.

    Args:
      compressor: the compressor.
      memory: what it remembers of the sender of each row, leaves `[s, ...]`.
      message: M[s], what is compressed.
      wire: the messages of the round. Where a method sends nothing, zero bits, nothing is sent here either.
      key: a key of this exchange in this round.

    Returns:
      What receivers decode, M[s]; the memory of each row after it is sent; and the size of one copy in bits, f[s].
    """
    # The server's id is -1, and a key is folded with a number that is not negative.
    keys = jax.vmap(lambda origin: jax.random.fold_in(key, origin.astype(jnp.uint32)))(wire.origin)
    sent, memory, bits = jax.vmap(compressor)(memory, message, keys)
    return sent, memory, jnp.where(wire.bits > 0, bits, 0)


def start(compressor: Compressor, message: Message) -> PyTree:
    """The memory of a compressor for every sender before the first round, leaves `[n, ...]`.

    Args:
      compressor: the compressor.
      message: M[n], or its shapes.

    Raises:
      InputError: if the compressor has no `init`.
    """
    name = type(compressor).__name__
    need = "need `init(message) -> memory` and `__call__(memory, message, key) -> (decoded, memory, bits)`"
    lacks = f"got the compressor {name} without `init`, {need}; see jdl.compressors.Compressor"
    checks.require(isinstance(compressor, Compressor), lacks)
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), message)
    n = [x.shape[0] for x in jax.tree.leaves(message)]
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (n[0], *x.shape)), compressor.init(one))


def memory_rows(wire: Wire, memory: PyTree) -> jax.Array | None:
    """The rows of a memory, leaves `[n, ...]`, that belong to the rows of a wire; None for all of them, in order.

    Raises:
      InputError: if one sender may have several rows, since its memory follows one message a round.
    """
    leaves, s, m = jax.tree.leaves(memory), wire.bits.shape[0], plans.rows(wire.plan)
    if not leaves:
        return None
    what = f"{s} messages in a round of {m} nodes" if wire.age is None else "messages that are late"
    need = "need one of each sender in a round; put the compressor first in the network"
    checks.require(wire.age is None and s <= m, f"got {what} where a compressor remembers each sender, {need}")
    # n rows without participants are the n nodes in order. The server's way down has one row and a memory of one row.
    whole = s == leaves[0].shape[0] and (wire.plan.participants is None or s == 1)
    return None if whole else wire.origin


def no_noise_behind(exchange: Exchange) -> None:
    """Check that what an exchange hands on, copies that neighbours keep, gets no noise: they would keep other copies.

    Raises:
      InputError: if noise is added to messages behind it.
    """
    inside, name = exchange.inner, type(exchange).__name__
    while inside is not None:
        what = type(inside).__name__
        need = f"got {name} before {what}, whose noise would be on the copies that neighbours keep"
        checks.require(not getattr(inside, "noisy", False), f"{need}, need it on messages; put {what} first")
        inside = getattr(inside, "inner", None)


def sending(wire: Wire) -> jax.Array:
    """Which rows send in this round, bool[s]: a node that is silent or asleep does not."""
    active = wire.plan.active
    if active is None or active.shape != wire.bits.shape:
        return wire.bits > 0
    return (wire.bits > 0) & (active | (wire.origin < 0))


def _bits(message: Message) -> float:
    """The size of a message in bits; of a `PerLink` part, what one link carries."""
    links = lambda part: max(jax.tree.leaves(part)[0].shape[1], 1) if isinstance(part, PerLink) else 1
    parts = jax.tree.leaves(message, is_leaf=lambda x: isinstance(x, PerLink))
    return sum(tree.bits(part) / links(part) for part in parts)
