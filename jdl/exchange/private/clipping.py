"""Norms, clipping and noise of messages, row by row. Only real numbers are private; whole numbers stay as they are."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import tree
from jdl.types import Key, Message, Wire

__all__ = ["added", "clipped", "full_bits", "is_real", "keys_of", "noise_like", "norms"]


def is_real(x: jax.Array) -> bool:
    """Whether an array holds real numbers."""
    return jnp.issubdtype(x.dtype, jnp.floating)


def norms(message: Message) -> jax.Array:
    """The norm of each message over all of its real arrays, f[s]."""
    squares = [_squares(x) for x in jax.tree.leaves(message) if is_real(x)]
    total = sum((square.astype(jnp.result_type(float)) for square in squares[1:]), start=squares[0])
    return jnp.sqrt(total.astype(jnp.result_type(float)))


def clipped(message: Message, clip: float | jax.Array, per_array: bool = False) -> Message:
    """Messages scaled down to a norm of at most `clip`.

    Args:
      message: M[s].
      clip: the largest norm, f[].
      per_array: whether each of L arrays has a norm of at most clip / sqrt(L) of its own; else all arrays of a message
        are scaled by one factor.
    """
    leaves, structure = jax.tree.flatten(message)
    real = [x for x in leaves if is_real(x)]
    if not real:
        return message
    if per_array:
        most = clip / len(real) ** 0.5
        factors = [_factor(jnp.sqrt(_squares(x)), most) for x in real]
    else:
        factors = [_factor(norms(message), clip)] * len(real)
    rest = iter([tree.column(factor.astype(x.dtype), x) * x for factor, x in zip(factors, real, strict=True)])
    return structure.unflatten([next(rest) if is_real(x) else x for x in leaves])


def keys_of(key: Key, ids: jax.Array, age: jax.Array | None = None) -> jax.Array:
    """A key for each row, that of its sender (the server's id is -1) and, where messages are late, of its age."""
    one = lambda id: jax.random.fold_in(key, id.astype(jnp.uint32))
    keys = jax.vmap(one)(ids)
    return keys if age is None else jax.vmap(jax.random.fold_in)(keys, age)


def full_bits(wire: Wire) -> jax.Array:
    """The size of each message with noise on all of its numbers, f[s]: what a codec had left out is sent again."""
    return jnp.where(wire.bits > 0, jnp.maximum(wire.bits, jnp.asarray(tree.bits(wire.sent), wire.bits.dtype)), 0)


def noise_like(message: Message, keys: jax.Array) -> Message:
    """A standard normal number for each real number of M[s], from a key for each row; zeros for whole numbers."""
    leaves, structure = jax.tree.flatten(message)

    def drawn(number: int, x: jax.Array) -> jax.Array:
        if not is_real(x):
            return jnp.zeros_like(x)
        return jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, number), x.shape[1:], x.dtype))(keys)

    return structure.unflatten([drawn(number, x) for number, x in enumerate(leaves)])


def added(message: Message, sigma: float | jax.Array, noise: Message) -> Message:
    """`message + sigma noise`; whole numbers stay as they are."""
    one = lambda x, z: x + jnp.asarray(sigma, x.dtype) * z if is_real(x) else x
    return jax.tree.map(one, message, noise)


def _squares(x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.square(x), axis=tuple(range(1, x.ndim)))


def _factor(norm: jax.Array, clip: float | jax.Array) -> jax.Array:
    clip = jnp.asarray(clip, norm.dtype)
    return jnp.where(norm > clip, clip / jnp.where(norm > 0, norm, 1), jnp.ones_like(norm))
