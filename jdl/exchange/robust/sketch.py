"""Count sketches of messages: short vectors with about the same distances."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl.types import Key

__all__ = ["measured"]

Leaves = list[jax.Array]


def measured(own: Leaves, sent: Leaves, size: int | None, key: Key) -> tuple[Leaves, Leaves]:
    """The count sketches of both, with the same signs; arrays that are not longer than a sketch, and all if `size` is
    None, are returned as they are.

    The squared norm of a sketch of `size` numbers is right on average, with a relative deviation of sqrt(2 / size).
    """
    if size is None:
        return own, sent
    keys = [jax.random.fold_in(key, i) for i in range(len(own))]
    triples = list(zip(own, sent, keys, strict=True))
    mine = [_sketch(x, size, one) for x, _, one in triples]
    if all(x is y for x, y, _ in triples):
        return mine, mine
    return mine, [_sketch(y, size, one) for _, y, one in triples]


def _sketch(x: jax.Array, size: int, key: Key) -> jax.Array:
    x = x.reshape(x.shape[0], -1)
    if x.shape[1] <= size:
        return x
    signs = jax.random.rademacher(key, x.shape[1:], x.dtype)
    signed = jnp.pad(x * signs[None, :], ((0, 0), (0, -x.shape[1] % size)))
    return jnp.sum(signed.reshape(x.shape[0], -1, size), axis=1, dtype=x.dtype)
