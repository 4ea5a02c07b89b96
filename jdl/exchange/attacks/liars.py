"""What attacks share: which rows liars send, which rows they see, and lies in place of the liars' messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl import tree
from jdl.exchange.stack import layers
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, PyTree, Wire

__all__ = [
    "LIAR",
    "Attack",
    "deviation",
    "key_of_liars",
    "lying",
    "mean",
    "reals",
    "same_for_all",
    "seen",
    "some_of",
    "told",
    "travelling",
    "wide",
]

# Folded into the key of the exchange for what attackers draw, so that the exchanges inside draw what they would draw
# without an attack; the ASCII codes of "liar".
LIAR = 0x6C696172


class Attack:
    """An exchange that puts lies in the rows of the liars, and hands the messages on to `inner`.

    A subclass has the field `inner` and the method `lies(memory, wire, key) -> (lies, memory)`. The wire that it is
    given has lists of arrays of real numbers as messages, since nobody lies about whole numbers. Lies are such a list,
    of arrays `[s, ...]`, or `[1, ...]` where all liars say the same. An attack that remembers has `begin(message) ->
    memory` as well, of a list of such arrays.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"dishonest"})
    # Rows of different nodes are compared, and of a message for each neighbour the first row of one node goes to
    # another neighbour than the first row of the next one.
    breaks: ClassVar[frozenset[str]] = frozenset({"per_link"})
    inner: Exchange

    def begin(self, message: Message) -> PyTree:
        """What the attackers remember before the first round; by default nothing."""
        return ()

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        """The lies of a round, and what the attackers remember of it."""
        raise NotImplementedError

    def init(self, message: Message) -> ExchangeState:
        return self.begin(reals(message)), self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        memory, inner = state
        heard = wire.replace(own=reals(wire.own), sent=reals(wire.sent))
        lies, memory = self.lies(memory, heard, key_of_liars(self.inner, key))
        inbox, inner, deliveries = self.inner.apply(inner, wire.replace(sent=told(wire, lies)), key)
        return inbox, (memory, inner), deliveries


def key_of_liars(inner: Exchange, key: Key) -> Key:
    """The key of what attackers draw before `inner`: each of several attacks in a network has one of its own."""
    own, behind = jax.random.fold_in(key, LIAR), sum(hasattr(layer, "lies") for layer in layers(inner))
    return jax.random.fold_in(own, behind) if behind else own


def lying(wire: Wire) -> jax.Array:
    """Which rows are sent by liars, bool[s]. A server, of origin -1, is honest."""
    return ~wire.roles.honest[wire.origin] & (wire.origin >= 0)


def seen(wire: Wire) -> jax.Array:
    """Which rows liars see, bool[s]: those of honest nodes, of which a copy is on some link in this round."""
    return wire.roles.honest[wire.origin] & (wire.origin >= 0) & travelling(wire)


def travelling(wire: Wire) -> jax.Array:
    """The rows of which a copy is on some link in this round, bool[s]."""
    return (wire.bits > 0) & (plans.out_degree(wire.plan, wire.bits.shape[0]) > 0)


def reals(message: Message) -> list[jax.Array]:
    """The arrays of real numbers of a message. Whole numbers, such as tokens or ids, are no subject of attacks."""
    return [x for x in jax.tree.leaves(message) if jnp.issubdtype(x.dtype, jnp.inexact)]


def told(wire: Wire, lies: Sequence[jax.Array]) -> Message:
    """What is sent: lies in the rows of liars, and all else as it was.

    Args:
      wire: the messages of the round.
      lies: for each array of real numbers one of `[s, ...]` or `[1, ...]`, see `reals`.
    """
    rows, lies = lying(wire), iter(lies)
    put = lambda x: jnp.where(tree.column(rows, x), next(lies).astype(x.dtype), x) if reals(x) else x
    return jax.tree.map(put, wire.sent)


def wide(x: jax.Array) -> jax.Array:
    """An array in a type in which sums of it can be trusted: float32 at least."""
    return x if jnp.finfo(x.dtype).bits >= 32 else x.astype(jnp.float32)


def mean(rows: jax.Array, message: Message) -> Message:
    """The mean over some rows, leaves `[1, ...]` in float32 at least; zeros if there are none.

    Args:
      rows: bool[s], which rows count. What the others hold does not matter, be it NaN.
      message: leaves `[s, ...]`.
    """

    def of(x):
        x = wide(x)
        total = jnp.sum(jnp.where(tree.column(rows, x), x, 0), axis=0, keepdims=True)
        return total / _count(rows, x.dtype)

    return jax.tree.map(of, message)


def deviation(rows: jax.Array, message: Message, centre: Message, ddof: int) -> Message:
    """The standard deviation of each coordinate over some rows, leaves `[1, ...]`; zeros for a single row.

    Args:
      rows: bool[s], which rows count.
      message: leaves `[s, ...]`.
      centre: their mean, leaves `[1, ...]`.
      ddof: the sum of squares is divided by the number of rows less this one.
    """

    def of(x, centre):
        apart = jnp.where(tree.column(rows, x), wide(x) - centre, 0)
        total = jnp.sum(jnp.square(apart), axis=0, keepdims=True)
        return jnp.sqrt(total / _count(rows, total.dtype, ddof))

    return jax.tree.map(of, message, centre)


def _count(rows: jax.Array, dtype: jnp.dtype, ddof: int = 0) -> jax.Array:
    return jnp.maximum(jnp.sum(rows, dtype=jnp.int32) - ddof, 1).astype(dtype)


def some_of(share: jax.Array | float | None, key: Key, seed: int | None, lie: Message, other: Message) -> Message:
    """A lie about some coordinates alone, the same ones at all liars.

    Args:
      share: the probability with which a coordinate is lied about; None for a lie about all of them.
      key: a key of the round.
      seed: the seed of coordinates that stay the same in all rounds; None for others in every round.
      lie: leaves `[1, ...]`.
      other: what is sent of the other coordinates, leaves `[1, ...]`.
    """
    if share is None:
        return lie
    leaves, structure = jax.tree.flatten(lie)
    keys = jax.random.split(key if seed is None else jax.random.key(seed), len(leaves))
    drawn = lambda key, x: jax.random.uniform(key, x.shape, x.dtype) < jnp.asarray(share, x.dtype)
    parts = zip(keys, leaves, structure.flatten_up_to(other), strict=True)
    return structure.unflatten(jnp.where(drawn(key, lie), lie, honest) for key, lie, honest in parts)


def same_for_all(message: Message, value: jax.Array | float) -> Message:
    """One number in all coordinates, leaves `[1, ...]`."""
    return jax.tree.map(lambda x: jnp.full((1, *x.shape[1:]), jnp.asarray(value, wide(x).dtype)), message)
