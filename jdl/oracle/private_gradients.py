"""Gradients with differential privacy: each example's gradient is clipped, and their mean gets noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.oracle.gradient_noise import key_of_query, noisy
from jdl.oracle.queries import offered
from jdl.types import Data, Public, PyTree, Query, number

__all__ = ["PrivateGradients"]


@struct.dataclass
class PrivateGradients:
    """The gradients of DP-SGD: `(sum_j g_j min(1, C / ||g_j||) + z C N(0, I)) / B` over B examples.

    Minibatches, full data and parts are treated alike; B is the number of examples of the batch. Public data are not
    secret, and their gradients stay as they are. Losses that nodes report have no noise. The noise of one batch is the
    same whenever it is asked for in a round: a method that takes the difference of the gradients of one batch at two
    models (`gt_sarah`, `fedamd`) reveals more than the noise suggests.

    Args:
      clip: C, the largest norm of the gradient of one example, over all leaves.
      noise_multiplier: z, at least 0; with 0 gradients are only clipped.

    References:
      Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar, Zhang 2016, Deep Learning with Differential Privacy,
      Algorithm 1.
    """

    clip: float = number(1.0, minimum=0)
    noise_multiplier: float = number(1.0, minimum=0)

    breaks: ClassVar[frozenset[str]] = frozenset({"hvp", "prox"})

    def grad(
        self, inner: Callable[..., tuple[PyTree, PyTree]], data: Data, params: PyTree, batch: PyTree, query: Query
    ) -> tuple[PyTree, PyTree]:
        if isinstance(query.which, Public):
            return inner(data, params, batch, query)
        offered(data.problem, "losses")
        single, real = data.problem.alone(batch)

        def clipped(one: PyTree, weight: jax.Array | None) -> tuple[PyTree, PyTree]:
            alone = query if weight is None else query.replace(weights=weight[None])
            gradient, aux = inner(data, params, one, alone)
            norm = jnp.sqrt(tree.norm_squared(gradient))
            clip = jnp.asarray(self.clip, norm.dtype)
            return tree.scale(jnp.where(norm > clip, clip / jnp.where(norm > 0, norm, 1), 1), gradient), aux

        each, aux = jax.vmap(clipped)(single, query.weights)
        count = jnp.sum(real)
        mean = lambda x: jnp.sum(jnp.where(tree.column(real, x), x, 0), axis=0) / jnp.maximum(count, 1).astype(x.dtype)
        gradient, aux = jax.tree.map(mean, (each, aux))
        number = jnp.maximum(count, 1).astype(jnp.result_type(float))
        sigma = jnp.where(count > 0, self.noise_multiplier * self.clip / number, 0)
        return noisy(key_of_query(data, query), sigma, gradient), aux
