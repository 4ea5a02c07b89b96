"""The values of each coordinate in ascending order, where some messages did not arrive."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.exchange import sorting

__all__ = ["in_order"]


def in_order(messages: Sequence[jax.Array], arrived: jax.Array, missing: jax.Array) -> Sequence[jax.Array]:
    """The messages of each row in ascending order, coordinate by coordinate.

    Args:
      messages: for each of k slots the message of every row, f[m, ...] or f[1, ...].
      arrived: bool[m, k], which of them arrived.
      missing: f[m, k], the infinity that stands for what did not arrive.
    """
    missing = missing.astype(messages[0].dtype)

    def ranked(message: jax.Array, arrived: jax.Array, missing: jax.Array) -> jax.Array:
        arrived, missing = (x.reshape(*x.shape, *(1,) * (message.ndim - x.ndim)) for x in (arrived, missing))
        # What is no number ranks behind everything else, and is counted.
        return jnp.where(arrived & ~jnp.isnan(message), message, jnp.where(arrived, jnp.inf, missing))

    if len(messages) <= sorting.WRITTEN_OUT:
        return sorting.in_order([ranked(message, arrived[:, i], missing[:, i]) for i, message in enumerate(messages)])
    if not isinstance(messages, jax.Array):
        messages = jnp.stack(jnp.broadcast_arrays(*messages))
    return sorting.in_order(ranked(messages, arrived.T, missing.T))
