"""An oracle that adds noise to the gradients of another."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.oracle.minibatch import NOISE, DataOracle
from jdl.types import Data, Oracle, PyTree, number

__all__ = ["GradientNoise"]


@struct.dataclass
class GradientNoise:
    """Adds `sigma N(0, I)` to every minibatch gradient. Losses and full gradients have no noise.

    Args:
      sigma: the standard deviation of the noise in each coordinate, at least 0.
      inner: the oracle whose gradients get the noise.
    """

    sigma: float = number(1.0, minimum=0)
    inner: Oracle = DataOracle()

    @property
    def offers(self) -> frozenset[str]:
        return self.inner.offers

    def grad(self, data: Data, params: PyTree, k: int | jax.Array) -> tuple[PyTree, PyTree]:
        grads, aux = self.inner.grad(data, params, k)
        leaves, structure = jax.tree.flatten(grads)
        # These keys differ from those that a problem derives from the minibatch's key, fold_in(data.key, k).
        keys = jax.random.split(jax.random.fold_in(jax.random.fold_in(data.key, k), NOISE), len(leaves))
        noisy = [
            g + jnp.asarray(self.sigma, g.dtype) * jax.random.normal(key, g.shape, g.dtype)
            for g, key in zip(leaves, keys, strict=True)
        ]
        return structure.unflatten(noisy), aux

    def loss(self, data: Data, params: PyTree, k: int | jax.Array) -> jax.Array:
        return self.inner.loss(data, params, k)

    def full_grad(self, data: Data, params: PyTree) -> PyTree:
        return self.inner.full_grad(data, params)

    def hvp(self, data: Data, params: PyTree, vector: PyTree, k: int | jax.Array) -> PyTree:
        return self.inner.hvp(data, params, vector, k)

    def part_grad(self, data: Data, params: PyTree, part: int | jax.Array, parts: int) -> PyTree:
        return self.inner.part_grad(data, params, part, parts)

    def prox(self, data: Data, params: PyTree, step: float | jax.Array) -> PyTree:
        return self.inner.prox(data, params, step)

    def steps(self, data: Data) -> jax.Array | None:
        return self.inner.steps(data)
