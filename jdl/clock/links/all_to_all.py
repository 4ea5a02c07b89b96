"""Groups whose members all send to all others: the last arrival at each member, without a list of the links."""

from __future__ import annotations

import jax
import jax.numpy as jnp

__all__ = ["last_of_others"]


def last_of_others(values: jax.Array) -> jax.Array:
    """The greatest value of the other members of each group, f[g, r]; -inf where there is none.

    Args:
      values: f[g, r], a value for each member; -inf for those that count nowhere.

    >>> last_of_others(jnp.array([[1.0, 5.0, 3.0]])).tolist()
    [[5.0, 3.0, 5.0]]
    """
    if not values.shape[1]:
        return values
    first = jnp.argmax(values, axis=1, keepdims=True)
    is_first = jnp.arange(values.shape[1], dtype=first.dtype)[None, :] == first
    greatest = jnp.max(values, axis=1, keepdims=True)
    second = jnp.max(jnp.where(is_first, -jnp.inf, values), axis=1, keepdims=True)
    return jnp.where(is_first, second, greatest)
