"""Models that were pulled from a server a while ago: how stale they are, and what such work is worth."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdl import checks
from jdl.types import PyTree

__all__ = ["DISCOUNTS", "Pulled", "discount", "staleness"]

DISCOUNTS = ("constant", "polynomial", "hinge")


class Pulled(NamedTuple):
    """What a client works on.

    Attributes:
      x: the model.
      version: i32[], how many steps the server had taken when it gave it.
    """

    x: PyTree
    version: jax.Array


def staleness(version: jax.Array, pulled: Pulled) -> jax.Array:
    """The number of steps that the server took since a model was pulled, f[]; 0 for its newest model.

    Args:
      version: i32[], how many steps the server has taken.
      pulled: the model.
    """
    return (version - pulled.version).astype(jnp.result_type(float))


def discount(kind: str, tau: jax.Array, power: jax.Array, slope: jax.Array, grace: jax.Array) -> jax.Array:
    """s(tau), by which work on a stale model is scaled, f[]; s(0) = 1.

    constant: 1. polynomial: (1 + tau)^-power. hinge: 1 while tau <= grace, then 1 / (1 + slope (tau - grace)).

    Args:
      kind: a name in `DISCOUNTS`.
      tau: the staleness, f[].
      power: of the polynomial, at least 0.
      slope: of the hinge, at least 0.
      grace: the staleness that the hinge does not discount, at least 0.

    >>> float(discount("polynomial", jnp.float32(3.0), 0.5, 0.0, 0.0))
    0.5
    """
    kind = checks.known("discount", kind, DISCOUNTS)
    if kind == "constant":
        return jnp.ones_like(tau)
    if kind == "polynomial":
        return (1 + tau) ** -jnp.asarray(power, tau.dtype)
    return 1 / (1 + jnp.asarray(slope, tau.dtype) * jnp.maximum(tau - jnp.asarray(grace, tau.dtype), 0))
