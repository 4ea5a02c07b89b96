"""Seconds of a step that are one number, or one for each node."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import checks

__all__ = ["of_each"]


def of_each(name: str, seconds: jax.Array | float, n: int) -> jax.Array:
    """The seconds of each of n nodes, f[n].

    Args:
      name: of the field, for the sentence.
      seconds: f[] or f[n].
      n: the number of nodes.

    Raises:
      InputError: if there are numbers for another number of nodes.

    >>> of_each("mean", 0.5, 2).tolist()
    [0.5, 0.5]
    """
    given = jnp.asarray(seconds, jnp.float32)
    need = f"need one number, or one for each of n={n} nodes"
    checks.require(given.shape in ((), (n,)), f"got {name} of shape {given.shape}, {need}; try {name}=0.1")
    return jnp.broadcast_to(given, (n,))
