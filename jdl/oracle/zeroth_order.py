"""Gradients estimated from losses alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.oracle.gradient_noise import key_of_query
from jdl.types import Data, PyTree, Query, number, static

__all__ = ["ZerothOrder"]

# Folded into the key of a batch: the ASCII codes of "zero".
ZERO = 0x7A65726F


@struct.dataclass
class ZerothOrder:
    """Zeroth-order gradients: g = (1/m) sum_s (f(x + r u_s) - f(x - r u_s)) / (2 r) u_s, with u_s from N(0, I).

    All gradients are replaced, those of full data and of parts too, for models that cannot be differentiated. The
    expectation of g is the gradient of f averaged over a Gaussian of radius r, which is that of f itself where f is
    quadratic. The directions of one batch are the same whenever it is asked for in a round.

    Args:
      radius: r, the distance between a model and those whose losses are compared.
      directions: m, the number of random directions; each costs two losses.

    References:
      Nesterov, Spokoiny 2017, Random Gradient-Free Minimization of Convex Functions, the symmetric form of (30).
    """

    radius: float = number(1e-3, minimum=1e-8)
    directions: int = static(1, minimum=1)

    breaks: ClassVar[frozenset[str]] = frozenset({"hvp", "prox"})

    def grad(
        self, inner: Callable[..., tuple[PyTree, PyTree]], data: Data, params: PyTree, batch: PyTree, query: Query
    ) -> tuple[PyTree, PyTree]:
        loss = lambda x: inner.objective(data, x, batch, query)
        keys = jax.random.split(jax.random.fold_in(key_of_query(data, query), ZERO), self.directions)
        leaves, structure = jax.tree.flatten(params)

        def along(key: jax.Array) -> PyTree:
            draws = jax.random.split(key, len(leaves))
            u = structure.unflatten(
                [jax.random.normal(draw, x.shape, x.dtype) for draw, x in zip(draws, leaves, strict=True)]
            )
            ahead, behind = (loss(tree.axpy(sign * self.radius, u, params))[0] for sign in (1, -1))
            return tree.scale((ahead - behind) / (2 * self.radius), u)

        each = jax.lax.map(along, keys)  # one direction at a time, so that memory holds one
        return jax.tree.map(lambda x: jnp.mean(x, axis=0), each), loss(params)[1]
