"""Quadratic objectives, for which the rate, the fixed point and the bias of every method are known exactly."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks, tree
from jdl.problems.optimum import Optimum
from jdl.types import BatchId, Key, number

__all__ = ["Quadratic", "quadratic"]

# A GPU may otherwise round float32 products to ten bits, which would falsify the known constants.
PRECISION = "highest"


@struct.dataclass
class Quadratic:
    """A quadratic objective for each node, `f_i(x) = x^T A_i x / 2 - b_i^T x`; the global objective is their mean.

    A minibatch is `(A_i, b_i - noise z)` with `z ~ N(0, I)` drawn from its key, so that its gradient is
    `A_i x - b_i + noise z`: unbiased, with variance `noise^2` in each of the `d` coordinates.

    Args:
      A: f[n, d, d], the symmetric and positive definite matrix of each node.
      b: f[n, d], the linear term of each node.
      noise: f[], the standard deviation of each coordinate of a minibatch gradient. A full gradient has no noise.
    """

    A: jax.Array
    b: jax.Array
    noise: jax.Array = number(0.0, minimum=0.0)

    offers: ClassVar[frozenset[str]] = frozenset({"pooled", "own", "parts", "prox"})

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.b.shape[0]

    @property
    def num_examples(self) -> jax.Array:
        """i32[n], all ones: every node has the same weight."""
        return jnp.ones(self.n, jnp.int32)

    @property
    def optimum(self) -> Optimum:
        """The global minimum: `x* = mean(A)^-1 mean(b)`, and `f(x*) = -mean(b)^T x* / 2`."""
        A, b = jnp.mean(self.A, axis=0), jnp.mean(self.b, axis=0)
        x = jnp.linalg.solve(A, b)
        return Optimum(x, -jnp.dot(b, x, precision=PRECISION) / 2)

    @property
    def smoothness(self) -> jax.Array:
        """L, f[]: the largest eigenvalue of any `A_i`."""
        return jnp.max(jnp.linalg.eigvalsh(self.A))

    @property
    def strong_convexity(self) -> jax.Array:
        """mu, f[]: the smallest eigenvalue of any `A_i`."""
        return jnp.min(jnp.linalg.eigvalsh(self.A))

    @property
    def heterogeneity(self) -> jax.Array:
        """zeta^2, f[]: the mean over nodes of `||grad f_i(x*)||^2`."""
        x = self.optimum.params
        return jnp.mean(jnp.sum(jnp.square(jnp.matmul(self.A, x, precision=PRECISION) - self.b), axis=1))

    def init(self, key: Key) -> jax.Array:
        """The initial model, f[d], standard normal."""
        return jax.random.normal(key, self.b.shape[1:], self.b.dtype)

    def batch(self, id: jax.Array, batch_id: BatchId) -> tuple[jax.Array, jax.Array]:
        """The matrix f[d, d] of node `id`, and its linear term f[d] plus noise."""
        A, b = self.full_batch(id)
        return A, b - self.noise * jax.random.normal(batch_id.key, b.shape, b.dtype)

    def full_batch(self, id: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The matrix and the linear term of node `id`, without noise."""
        return self.A[id], self.b[id]

    def part(self, id: jax.Array, part: jax.Array, parts: int) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        """The whole quadratic with the share `1 / parts`, since it has no examples that could be divided into parts."""
        return self.full_batch(id), jnp.asarray(1 / parts, self.b.dtype)

    def prox(self, id: jax.Array, params: jax.Array, step: jax.Array) -> jax.Array:
        """`argmin_x f_i(x) + ||x - params||^2 / (2 step)`, which solves `(I + step A_i) x = params + step b_i`."""
        A, b = self.full_batch(id)
        step = jnp.asarray(step, b.dtype)
        return jnp.linalg.solve(jnp.eye(b.size, dtype=b.dtype) + step * A, params + step * b)

    def loss(self, params: jax.Array, batch: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, tuple[()]]:
        """`x^T A x / 2 - b^T x` for one quadratic `(A, b)`."""
        A, b = batch
        return jnp.dot(params, jnp.matmul(A, params, precision=PRECISION) / 2 - b, precision=PRECISION), ()

    def evaluate(self, params: jax.Array, id: jax.Array | None = None) -> dict[str, jax.Array]:
        """The global objective at one model, or that of node `id`, as "loss"."""
        objective = (jnp.mean(self.A, axis=0), jnp.mean(self.b, axis=0)) if id is None else self.full_batch(id)
        return {"loss": self.loss(params, objective)[0]}

    def evaluate_for_all(self, params: jax.Array) -> dict[str, jax.Array]:
        """The objectives of all nodes at one model, f[n], as "loss"."""
        return {"loss": jax.vmap(lambda A, b: self.loss(params, (A, b))[0])(self.A, self.b)}

    def pooled(self) -> Quadratic:
        """The global objective as the objective of one node, with the same noise of a minibatch gradient."""
        return self.replace(A=jnp.mean(self.A, axis=0, keepdims=True), b=jnp.mean(self.b, axis=0, keepdims=True))


def quadratic(
    nodes: int = 16,
    dim: int = 10,
    condition: float = 10.0,
    heterogeneity: float = 1.0,
    noise: float = 0.0,
    seed: int = 0,
) -> Quadratic:
    """Draw random quadratics whose optimum, curvature and heterogeneity are known exactly.

    `A_i = Q_i diag(1, ..., 1 / condition) Q_i^T` with eigenvalues in geometric progression, the same for every
    node, and random rotations `Q_i`: `L = 1`, `mu = 1 / condition`. With a random `x*` and random `g_i` that sum
    to zero and are scaled to `mean ||g_i||^2 = heterogeneity`, `b_i = A_i x* - g_i`; so `x*` is the optimum and
    `grad f_i(x*) = g_i`.

    Args:
      nodes: n, the number of nodes.
      dim: d, the number of parameters. With `dim=1` the only eigenvalue is 1.
      condition: the condition number L / mu of every node, at least 1; with 1, all `A_i = I`.
      heterogeneity: zeta^2, the mean over nodes of `||grad f_i(x*)||^2`. A single node always has zero.
      noise: the standard deviation of each coordinate of a minibatch gradient, at least 0.
      seed: the seed of the draw.

    Returns:
      The problem.

    Raises:
      InputError: if a number is out of range, or if the arrays `[nodes, dim, dim]` do not fit in memory.

    >>> problem = quadratic(nodes=4, dim=3, condition=5.0, heterogeneity=2.0)
    >>> [round(float(c), 4) for c in (problem.smoothness, problem.strong_convexity, problem.heterogeneity)]
    [1.0, 0.2, 2.0]

    References:
      T. Vogels et al., "RelaySum for Decentralized Deep Learning on Heterogeneous Data", NeurIPS 2021, uses
      random quadratics with controlled heterogeneity.
    """
    nodes, dim = checks.whole("nodes", nodes, 1), checks.whole("dim", dim, 1)
    for name, value, least in (("condition", condition, 1), ("heterogeneity", heterogeneity, 0), ("noise", noise, 0)):
        checks.bounded(name, value, least, None)
        checks.require(np.isfinite(value), f"got {name}={value!r}, need a finite number; try {name}={least}")
    dtype = jnp.result_type(float)
    # Five arrays [n, d, d] at the peak: four of doubles on the host (the draw, Q and R, the product) and A itself.
    checks.fits(nodes * dim * dim * (4 * 8 + dtype.itemsize), f"nodes={nodes} with dim={dim}")

    rng = np.random.default_rng(seed)
    optimum, g = rng.standard_normal(dim), rng.standard_normal((nodes, dim))
    g -= g.mean(axis=0)
    size = np.mean(np.sum(g**2, axis=1))
    g *= np.sqrt(heterogeneity / size) if nodes > 1 else 0.0
    Q, R = np.linalg.qr(rng.standard_normal((nodes, dim, dim)))
    Q *= np.sign(np.diagonal(R, axis1=1, axis2=2))[:, None, :]  # makes the rotation uniform, see Mezzadri 2007
    A = (Q * np.geomspace(1, 1 / condition, dim)) @ Q.swapaxes(1, 2)
    A = (A + A.swapaxes(1, 2)) / 2
    b = A @ optimum - g
    return Quadratic(A=tree.copied(A, dtype), b=tree.copied(b, dtype), noise=tree.copied(noise, dtype))
