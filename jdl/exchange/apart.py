"""Messages cut into parts of one size, each of which takes a plan of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl import checks, tree
from jdl.exchange.stack import layers
from jdl.types import Delivery, Each, Exchange, ExchangeState, Key, Message, PerLink, Plan, Push, Wire

__all__ = ["apart", "begun_apart", "flat", "is_kind", "key_of_part"]

# Of one fragment: the number of an array, and the first and last of the numbers of a row.
Piece = tuple[int, int, int]


def begun_apart(inner: Exchange, count: int, message: Message) -> ExchangeState:
    """The state of an exchange that acts on each fragment apart, see `apart`."""
    arrays = flat(message)[0]
    return tuple(inner.init(_cut(arrays, part)) if part else () for part in _pieces(arrays, count))


def apart(
    inner: Exchange, count: int, state: ExchangeState, wire: Wire, key: Key, plan_of: Callable[[int], Plan]
) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
    """Pass each fragment of the messages through an exchange, over a plan of its own.

    Parts that are not plain arrays are not cut, and go with the first fragment.

    Args:
      inner: the exchange.
      count: the number of fragments.
      state: its states, see `begun_apart`.
      wire: the messages.
      key: of all fragments, see `key_of_part`.
      plan_of: the plan of each fragment.
    """
    (own, structure), (sent, _) = flat(wire.own), flat(wire.sent)
    total = max(tree.bits(wire.sent), 1)
    states, deliveries, mixed = list(state), [], [[] for _ in own]
    for f, part in enumerate(_pieces(own, count)):
        if not part:
            continue
        given = wire.replace(own=_cut(own, part), sent=_cut(sent, part), plan=plan_of(f))
        given = given.replace(bits=tree.bits(given.sent) / total * wire.bits)
        inbox, states[f], delivered = inner.apply(state[f], given, key_of_part(inner, key, f))
        deliveries += delivered
        for (i, _, _), x in zip(part, inbox, strict=True):
            mixed[i].append(x)
    inbox = [_joined(pieces, like) for pieces, like in zip(mixed, own, strict=True)]
    return structure.unflatten(inbox), tuple(states), tuple(deliveries)


def key_of_part(inner: Exchange, key: Key, part: int) -> Key:
    """The key with which an exchange acts on one part of the messages.

    Parts draw apart, for noise that is the same in two of them is no secret: their difference is without it. Where
    links fail inside, all parts have one key, so that a link fails for all that it carries, and noise must be added
    before.

    Args:
      inner: the exchange.
      key: of all parts.
      part: the number of the part.

    Raises:
      InputError: if links fail and noise is added inside.
    """
    inside = layers(inner)
    if not any("reliable" in layer.breaks for layer in inside):
        return jax.random.fold_in(key, part)
    for layer in inside:
        name = type(layer).__name__
        need = f"got {name} with links that fail, both behind what cuts messages in parts"
        checks.require(not getattr(layer, "noisy", False), f"{need}, need the noise before; put {name} first")
    return key


def is_kind(part: Any) -> bool:
    """Whether a part of a message is more than a plain array."""
    return isinstance(part, Each | PerLink | Push)


def flat(message: Message) -> tuple[list[Any], Any]:
    """The plain arrays of a message and its parts of other kinds, in order, and the structure that holds them."""
    return jax.tree.flatten(message, is_leaf=is_kind)


def _length(array: Any) -> int:
    """The numbers of one row, 0 for a part that is not cut."""
    return math.prod(array.shape[1:]) if hasattr(array, "shape") else 0


def _pieces(arrays: list[Any], count: int) -> list[list[Piece]]:
    """The pieces of each fragment. What has no numbers to cut goes with the first."""
    total, parts, before = sum(map(_length, arrays)), [[] for _ in range(count)], 0
    edges = [f * total // count for f in range(count + 1)]
    for i, array in enumerate(arrays):
        length = _length(array)
        for f in range(count):
            first, last = max(edges[f] - before, 0), min(edges[f + 1] - before, length)
            if first < last or (f == 0 and not length):
                parts[f].append((i, first, last) if length else (i, 0, 0))
        before += length
    return parts


def _cut(arrays: list[Any], part: list[Piece]) -> list[Any]:
    """The pieces of a fragment; an array that lies in it as a whole keeps its shape."""

    def piece(array, first, last):
        if last - first == _length(array):
            return array
        if isinstance(array, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct((array.shape[0], last - first), array.dtype)
        return array.reshape(array.shape[0], -1)[:, first:last]

    return [piece(arrays[i], first, last) for i, first, last in part]


def _joined(pieces: list[Any], like: Any) -> Any:
    """An array of the inbox from its pieces. To a server they have no axis of rows."""
    if len(pieces) == 1:
        return pieces[0]
    x = jnp.concatenate(pieces, axis=-1)
    return x.reshape(*x.shape[:-1], *like.shape[1:])
