"""Liars that repeat what one honest node says."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.attacks.distances import apart, inner_products
from jdl.exchange.attacks.liars import Attack, mean, same_for_all, seen, wide
from jdl.exchange.linear import Linear
from jdl.types import Exchange, Key, Message, PyTree, Wire, static

__all__ = ["Mimic"]


class Memory(NamedTuple):
    """What liars know of the honest messages so far.

    Attributes:
      t: i32[], the number of rounds in which honest nodes sent.
      node: i32[], the node that they copy.
      mean: the mean of the honest messages over rounds, leaves `[1, ...]`.
      z: the direction in which these vary most, of norm 1.
    """

    t: jax.Array
    node: jax.Array
    mean: list[jax.Array]
    z: list[jax.Array]


@struct.dataclass
class Mimic(Attack):
    """Mimic: all liars send the message of one honest node, so that it counts several times.

    If no node is given, liars learn for some rounds the direction z in which honest messages vary most, by Oja's rule,
    and copy the honest node with the largest inner product of its message with z. After these rounds they stay with
    the node that they copied last; in a round in which it sends nothing, they copy the one farthest along z.

    Sends:
      the message of another node.

    Memory:
      of all nodes together, two messages; none if a node is given.

    Args:
      node: the honest node to copy; None for one along z. In a round in which it sends nothing, liars send the truth.
      warmup: number of rounds in which they learn z, at least 1.
      inner: the exchange that receives the messages next.

    References:
      Karimireddy, He, Jaggi 2022, Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing, mimic attack (the
      update of z as in the public code of the authors).
    """

    node: int | None = static(None, minimum=0)
    warmup: int = static(100, minimum=1)
    inner: Exchange = Linear()

    def begin(self, message: Message) -> PyTree:
        if self.node is not None:
            return ()
        zeros = same_for_all(tree.zeros_like(message), 0.0)
        return Memory(jnp.int32(0), jnp.int32(0), zeros, zeros)

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        rows = seen(wire)
        if self.node is not None:
            copied = rows & (wire.origin == self.node)
            return tree.where(jnp.any(copied), _row(wire.sent, copied), wire.sent), memory
        learnt = tree.where(jnp.any(rows) & (memory.t < self.warmup), _learnt(memory, rows, wire.sent, key), memory)
        scores = jnp.where(rows, inner_products([wide(x) for x in wire.sent], learnt.z), -jnp.inf)
        farthest = jnp.argmax(scores)
        node = jnp.where(memory.t < self.warmup, wire.origin[farthest], memory.node)
        copied = rows & (wire.origin == node)
        copied = jnp.where(jnp.any(copied), copied, rows & (jnp.arange(len(rows)) == farthest))
        return tree.where(jnp.any(copied), _row(wire.sent, copied), wire.sent), learnt._replace(node=node)


def _learnt(memory: Memory, rows: jax.Array, message: list[jax.Array], key: Key) -> Memory:
    """The memory with the messages of one more round: a step of Oja's rule, with weight 1 / (1 + t)."""
    first, new = memory.t == 0, 1 / (1 + memory.t).astype(jnp.result_type(float))
    keys = jax.random.split(key, len(memory.z))
    drawn = [jax.random.normal(key, x.shape, x.dtype) for key, x in zip(keys, memory.z, strict=True)]
    blend = lambda old, now: tree.axpy(new, tree.sub(now, old), old)
    centre = blend(memory.mean, mean(rows, message))
    each = apart(rows, message, centre)
    along = inner_products(each, tree.where(first, drawn, memory.z))
    step = jax.tree.map(lambda x: jnp.sum(tree.column(along.astype(x.dtype), x) * x, axis=0, keepdims=True), each)
    return Memory(memory.t + 1, memory.node, centre, _unit(blend(memory.z, _unit(step))))


def _unit(message: list[jax.Array]) -> list[jax.Array]:
    length = jnp.sqrt(tree.norm_squared(message))
    return tree.scale(1 / jnp.where(length > 0, length, 1), message)


def _row(message: list[jax.Array], where: jax.Array) -> list[jax.Array]:
    """The first of some rows, leaves `[1, ...]`."""
    return [x[jnp.argmax(where)][None] for x in message]
