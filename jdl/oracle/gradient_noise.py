"""Noise on the gradients of minibatches."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from jdl.types import Data, Key, Minibatch, Oracle, Part, PyTree, Query, number

__all__ = ["GradientNoise", "key_of_query", "noisy"]

# Folded into the key of a minibatch, for its noise; the ASCII codes of "nois".
NOISE = 0x6E6F6973
# Folded into a node's key of the round, for what is drawn for full data and for parts: the codes of "full" and "part".
WHOLE, PART = 0x66756C6C, 0x70617274


@struct.dataclass
class GradientNoise:
    """Adds `sigma N(0, I)` to every minibatch gradient.

    Losses, and the gradients of full data, of parts and of public data, have no noise.

    Args:
      sigma: the standard deviation of the noise in each coordinate, at least 0.
      inner: an old spelling of the next oracle in the list; leave it out.

    >>> import jdl
    >>> noisy = jdl.oracle.as_oracle([GradientNoise(0.1)])
    """

    sigma: float = number(1.0, minimum=0)
    inner: Oracle | None = None

    def grad(
        self, inner: Callable[..., tuple[PyTree, PyTree]], data: Data, params: PyTree, batch: PyTree, query: Query
    ) -> tuple[PyTree, PyTree]:
        gradient, aux = inner(data, params, batch, query)
        if not isinstance(query.which, Minibatch):
            return gradient, aux
        return noisy(key_of_query(data, query), self.sigma, gradient), aux


def noisy(key: jax.Array, sigma: float | jax.Array, x: PyTree) -> PyTree:
    """`x + sigma N(0, I)`, with noise from a key that serves other draws as well, such as that of a minibatch."""
    leaves, structure = jax.tree.flatten(x)
    # These keys differ from those that a problem derives from the minibatch's key.
    keys = jax.random.split(jax.random.fold_in(key, NOISE), len(leaves))
    return structure.unflatten(
        g + jnp.asarray(sigma, g.dtype) * jax.random.normal(key, g.shape, g.dtype)
        for g, key in zip(leaves, keys, strict=True)
    )


def key_of_query(data: Data, query: Query) -> Key:
    """A key for each batch of a round, for what wrappers draw; that of a minibatch is its own key."""
    if isinstance(query.which, Minibatch):
        return jax.random.fold_in(data.key, query.which.k)
    if isinstance(query.which, Part):
        return jax.random.fold_in(jax.random.fold_in(data.key, PART), query.which.index)
    return jax.random.fold_in(data.key, WHOLE)
