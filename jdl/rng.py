"""Random keys. Keys are derived, used once and never stored: (root, stream, round, ids) name each."""

from __future__ import annotations

import jax

from jdl.types import Key

__all__ = ["STREAMS", "key_of"]

# One number per purpose. Adding a stream never changes the draws of another; numbers are never reused.
STREAMS = {"init": 0, "node": 1, "data": 2, "schedule": 3, "exchange": 4, "schedule_state": 5, "server": 6, "common": 7}
STREAMS |= {"order": 8, "public": 9, "down": 10, "oracle": 11, "evaluation": 12}


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
    key = jax.random.fold_in(jax.random.fold_in(root, STREAMS[stream]), t)
    for number in ids:
        key = jax.random.fold_in(key, number)
    return key
