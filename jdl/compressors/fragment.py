"""One fragment of a message at a time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import floating, number_bits
from jdl.types import Key, Message, static

__all__ = ["Fragment"]


@struct.dataclass
class Fragment:
    """Send one of K fragments of a message, and zero for the rest; K messages in a row bring each fragment once.

    All arrays of real numbers together are one vector, which is cut into K pieces of nearly equal length. Which piece
    is sent follows from `seed` and from how many messages the sender has sent: a random order of the K pieces, drawn
    anew after every K messages. With `common`, all senders of one seed that have sent equally many messages send the
    same piece. Without `common`, every sender draws a piece for each message from its own key.

    Contraction: a fragment drawn at random leaves E ||C(x) - x||^2 = (1 - 1/K) ||x||^2, and the K messages that send
    one vector in this order sum to it. What is sent is not scaled. Zeros stand for what is not sent, so messages that
    are models need `Choco`, or an exchange that knows of fragments.

    Sends:
      the numbers of one piece; which one it is follows from the seed, or from the key.

    Memory:
      how many messages were sent, i32[].

    Args:
      fragments: number K of pieces, at least 1; a message of fewer entries has one piece for each.
      common: whether all senders send the same piece.
      seed: seed of the orders of the pieces.

    References:
      Partitions that are sent in turn, in a random order, are those of the code of SPARTA
      (`PartitionedIndexSelector`), where pieces are random sets of entries. For random sets drawn anew for each message
      see `RandK`.
    """

    fragments: int = static(10, minimum=1)
    common: bool = static(True)
    seed: int = static(0, minimum=0)

    def init(self, message: Message) -> jax.Array:
        return jnp.zeros((), jnp.int32)

    def __call__(self, memory: jax.Array, message: Message, key: Key) -> tuple[Message, jax.Array, jax.Array]:
        numbers, joined, other_bits = floating(message)
        total = sum(x.size for x in numbers)
        fragments = max(1, min(self.fragments, total))
        if self.common:
            turn = jax.random.fold_in(jax.random.key(self.seed), memory // fragments)
            piece = jax.random.permutation(turn, fragments)[memory % fragments]
        else:
            piece = jax.random.randint(key, (), 0, fragments)
        bounds = [number * total // fragments for number in range(fragments + 1)]
        first, end = (jnp.take(jnp.asarray(some, jnp.int32), piece) for some in (bounds[:-1], bounds[1:]))
        sent, bits, at = [], jnp.float32(other_bits), 0
        for x in numbers:
            place = at + jnp.arange(x.size, dtype=jnp.int32).reshape(x.shape)
            sent.append(jnp.where((place >= first) & (place < end), x, jnp.zeros_like(x)))
            inside = jnp.clip(jnp.minimum(end, at + x.size) - jnp.maximum(first, at), 0)
            bits += inside.astype(jnp.float32) * number_bits(x)
            at += x.size
        return joined(sent), memory + 1, bits
