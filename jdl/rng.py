"""Random keys. Keys are derived, used once and never stored: (root, stream, round, ids) name each."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from jdl.engine import xla
from jdl.types import Key

__all__ = ["STREAMS", "bits", "fold_in", "integers", "key_of", "uniform"]

# One number per purpose. Adding a stream never changes the draws of another; numbers are never reused.
STREAMS = {"init": 0, "node": 1, "data": 2, "schedule": 3, "exchange": 4, "schedule_state": 5, "server": 6, "common": 7}
STREAMS |= {"order": 8, "public": 9, "down": 10, "oracle": 11, "evaluation": 12, "clock": 13}


def key_of(root: Key, stream: str, t: int | jax.Array, *ids: int | jax.Array) -> Key:
    """The key of one purpose in one round, folded with further ids in order.

    Args:
      root: the key of the run.
      stream: the purpose, a key of `STREAMS`.
      t: i32[], the round.
      ids: further numbers, such as the node.

    >>> import jax
    >>> root = jax.random.key(0)
    >>> bool(key_of(root, "data", 3, 7) == key_of(root, "data", 3, 7))
    True
    >>> bool(key_of(root, "data", 3, 7) == key_of(root, "node", 3, 7))
    False
    """
    return fold_in(root, STREAMS[stream], t, *ids)


def fold_in(key: Key, *numbers: int | jax.Array) -> Key:
    """`jax.random.fold_in` for each of some numbers in order: the same bits, faster where many nodes do it at once.

    Args:
      key: a key.
      numbers: i32[] each.
    """
    if not _written_out(key):
        for number in numbers:
            key = jax.random.fold_in(key, number)
        return key
    words = _words(key)
    for number in numbers:
        words = xla.threefry(words, (jnp.uint32(0), jnp.asarray(number).astype(jnp.uint32)))
    return jax.random.wrap_key_data(jnp.stack(words), impl=jax.random.key_impl(key))


def integers(key: Key, size: int, below: jax.Array) -> jax.Array:
    """Random whole numbers from 0 to `below - 1`. Their probabilities differ by at most 2^-32.

    The high word of the product of `below` and 32 random bits, where `jax.random.randint` takes the rest of a division
    of 64 bits: half the random bits, and no division, which a CPU does one by one.

    Args:
      key: a key.
      size: how many numbers.
      below: i32[], at least 1.

    Returns:
      i32[size].

    >>> import jax
    >>> integers(jax.random.key(0), 4, jnp.int32(10)).tolist()
    [9, 9, 3, 4]
    """
    low = jnp.uint32(0xFFFF)
    if _written_out(key):
        x, y = xla.threefry(_words(key), (jnp.uint32(0), jnp.arange(size, dtype=jnp.uint32)))
        bits = x ^ y
    else:
        bits = jax.random.bits(key, (size,), jnp.uint32)
    below = below.astype(jnp.uint32)
    # Long multiplication in halves of a word: an unsigned type of 64 bits needs another mode of JAX.
    lower = (bits >> 16) * (below & low) + ((bits & low) * (below & low) >> 16)
    middle = (bits & low) * (below >> 16) + (lower & low)
    return ((bits >> 16) * (below >> 16) + (lower >> 16) + (middle >> 16)).astype(jnp.int32)


def bits(key: Key, shape: tuple[int, ...]) -> jax.Array:
    """32 random bits each, u32[shape]: those of `jax.random.bits`, of which a CPU computes many at once faster.

    >>> import jax
    >>> bool((bits(jax.random.key(0), (2, 3)) == jax.random.bits(jax.random.key(0), (2, 3))).all())
    True
    """
    size = math.prod(shape)
    if not _written_out(key) or size >= 2**32 or not jax.config.jax_threefry_partitionable:
        return jax.random.bits(key, shape, jnp.uint32)
    x, y = xla.threefry(_words(key), (jnp.uint32(0), jnp.arange(size, dtype=jnp.uint32)))
    return (x ^ y).reshape(shape)


def uniform(key: Key, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Random numbers from 0 to 1, 1 excluded: those of `jax.random.uniform`, in float32 faster on a CPU.

    >>> import jax
    >>> bool((uniform(jax.random.key(0), (5,)) == jax.random.uniform(jax.random.key(0), (5,))).all())
    True
    """
    if dtype != jnp.float32:
        return jax.random.uniform(key, shape, dtype)
    # The upper 23 bits are the mantissa of a number from 1 to 2.
    pattern = (bits(key, shape) >> jnp.uint32(9)) | jnp.uint32(0x3F800000)
    return jax.lax.bitcast_convert_type(pattern, jnp.float32) - jnp.float32(1)


def _written_out(key: Key) -> bool:
    """Whether `xla.threefry` replaces `jax.random`: for keys of JAX's generator, in programs that should run fast."""
    plain = xla.COMPILE_FAST or jax.config.jax_disable_jit
    return str(jax.random.key_impl(key)) == "threefry2x32" and not plain


def _words(key: Key) -> tuple[jax.Array, jax.Array]:
    words = jax.random.key_data(key)
    return words[0], words[1]
