"""Regularised logistic regression, which is strongly convex. The optimum is computed once, on the host."""

from __future__ import annotations

from typing import ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from scipy.special import expit

from jdl import checks, tree
from jdl.problems.newton import minimise
from jdl.problems.optimum import Optimum
from jdl.rng import integers
from jdl.types import BatchId, Full, Key, Part

__all__ = ["Logistic", "logistic"]

Batch = tuple[jax.Array, jax.Array, jax.Array]

# A GPU may otherwise round float32 products to ten bits, too coarsely to reach the optimum.
PRECISION = "highest"


@struct.dataclass
class Logistic:
    """Binary logistic regression with an l2 penalty, and its optimum for these data.

    `f_i(x) = sum_j w_ij (log(1 + exp(-y_ij a_ij . x)) + reg / 2 ||x||^2)`, where `w_ij = 1 / num_examples_i` on
    node i's examples and zero on its padding. A node without data has `f_i = 0`, penalty included. The global
    objective is the mean of `f_i` over the nodes that have data, each with the same weight. The mean over all nodes has
    the same minimiser.

    A minibatch consists of `batch_size` examples of the node, drawn with replacement; if `batch_size` is 0, or at least
    `m`, it consists of all of them.

    Args:
      features: f[n, m, d], `a_ij`, padded to the size m of the largest node.
      labels: f[n, m], `y_ij`, -1 or 1.
      weights: f[n, m], `w_ij`.
      num_examples: i32[n], the number of examples of each node; they come before the padding.
      regularization: f[], reg. The optimum depends on it: for another value, make another problem.
      optimum: the global minimum.
      batch_size: the number of examples of a minibatch; 0 for all examples of the node.
    """

    features: jax.Array
    labels: jax.Array
    weights: jax.Array
    num_examples: jax.Array
    regularization: jax.Array
    optimum: Optimum
    batch_size: int = struct.field(pytree_node=False, default=0)

    offers: ClassVar[frozenset[str]] = frozenset(
        {"pooled", "own", "parts", "predict", "labels", "losses", "with_inputs"}
    )
    by_node: ClassVar[tuple[str, ...]] = ("features", "labels", "weights")
    classes: ClassVar[int] = 2

    @classmethod
    def from_arrays(
        cls,
        features: np.ndarray,
        labels: np.ndarray,
        num_examples: np.ndarray,
        regularization: float = 0.1,
        batch_size: int = 0,
    ) -> Self:
        """Make the problem from data, and compute its optimum.

        Args:
          features: f[n, m, d], the features of each node, padded to the size m of the largest node.
          labels: [n, m], -1 or 1.
          num_examples: i[n], the number of examples of each node.
          regularization: the weight of the l2 penalty, above 0.
          batch_size: the number of examples of a minibatch; 0 for all examples of the node.

        Returns:
          The problem.

        Raises:
          InputError: if shapes or labels do not fit, if no node has data, or if Newton's method cannot reach the
            optimum.
        """
        dtype = jnp.result_type(float)
        features, labels = np.asarray(features, dtype), np.asarray(labels, dtype)
        counts = np.asarray(num_examples, np.int32)
        checks.require(
            features.ndim == 3 and labels.shape == features.shape[:2] and counts.shape == features.shape[:1],
            f"got features {features.shape}, labels {labels.shape} and num_examples {counts.shape}, need shapes "
            "[n, m, d], [n, m] and [n]; pad every node to the size m of the largest",
        )
        most = counts.max(initial=0)
        least = counts.min(initial=most)
        checks.require(
            0 <= least and 0 < most <= features.shape[1],
            f"got num_examples from {least} to {most}, need them between 0 and m={features.shape[1]}, and a node "
            "with data; try the number of rows of each node that are not padding",
        )
        real = np.arange(features.shape[1]) < counts[:, None]
        odd = ~np.isfinite(features[real]).all(axis=1)
        got = f"got features that are not finite for {odd.sum()} of {odd.size} examples"
        checks.require(not odd.any(), f"{got}, need finite numbers; leave those examples out, or fill them in")
        checks.require(
            bool(np.all(np.abs(labels[real]) == 1)),
            "got labels other than -1 and 1, need -1 and 1 for the two classes; try 2 * labels - 1",
        )
        checks.require(
            np.isfinite(regularization) and regularization > 0,
            f"got regularization={regularization!r}, a unique optimum needs a finite number above 0; "
            "try regularization=0.1",
        )
        regularization = np.asarray(regularization, dtype)
        weights = real / np.maximum(counts, 1)[:, None]
        share = weights[real] / np.sum(counts > 0)
        optimum = minimise(features[real], labels[real], share, float(regularization))
        return cls(
            features=tree.copied(features),  # since the caller may change its own array later
            labels=tree.copied(labels),
            weights=tree.copied(weights, dtype),
            num_examples=tree.copied(counts),
            regularization=tree.copied(regularization),
            optimum=Optimum(*(tree.copied(part, dtype) for part in optimum)),
            batch_size=checks.whole("batch_size", batch_size, 0),
        )

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.num_examples.shape[0]

    @property
    def smoothness(self) -> jax.Array:
        """L, f[]: `max_i lambda_max(sum_j w_ij a_ij a_ij^T) / 4 + reg`, a bound for every node's Hessian."""
        weighted = self.weights[:, :, None] * self.features
        moments = jnp.einsum("nmd,nme->nde", weighted, self.features, precision=PRECISION)
        return jnp.max(jnp.linalg.eigvalsh(moments)) / 4 + self.regularization

    @property
    def strong_convexity(self) -> jax.Array:
        """mu, f[]: reg, a lower bound of the curvature of every node with data."""
        return self.regularization

    @property
    def heterogeneity(self) -> jax.Array:
        """zeta^2, f[]: the mean over nodes with data of `||grad f_i(x*)||^2`."""

        def grad(id):
            return jax.grad(lambda x: self.loss(x, self.full_batch(id))[0])(self.optimum.params)

        squares = jnp.sum(jnp.square(jax.vmap(grad)(jnp.arange(self.n))), axis=1)
        return jnp.sum(squares) / self._holders()

    def init(self, key: Key) -> jax.Array:
        """The initial model, f[d], standard normal."""
        return jax.random.normal(key, self.features.shape[2:], self.features.dtype)

    def batch(self, id: jax.Array, batch_id: BatchId) -> Batch:
        """A minibatch of node `id`: features f[B, d], labels f[B] and weights f[B]."""
        if not 0 < self.batch_size < self.features.shape[1]:
            return self.full_batch(id)
        slots, row = self.places(id, batch_id), self._row(id)
        # Each slot is drawn with probability 1 / count, so that the gradient is unbiased for any weights.
        weights = self.weights[row, slots] * (self.num_examples[id].astype(self.weights.dtype) / self.batch_size)
        return self.features[row, slots], self.labels[row, slots], weights

    def full_batch(self, id: jax.Array) -> Batch:
        """All examples of node `id`; the padding has weight zero."""
        row = self._row(id)
        return self.features[row], self.labels[row], self.weights[row]

    def part(self, id: jax.Array, part: jax.Array, parts: int) -> tuple[Batch, jax.Array]:
        """The examples `part`, `part + parts`, ... of node `id`, with weights that sum to one, and their share."""
        slots, row = self.places(id, Part(part, parts)), self._row(id)
        features, labels, weights = (
            x.at[row, slots].get(mode="fill", fill_value=0) for x in (self.features, self.labels, self.weights)
        )
        share = jnp.sum(weights)
        return (features, labels, weights / jnp.where(share > 0, share, 1)), share

    @property
    def width(self) -> int:
        """The number of places for examples of a node."""
        return self.features.shape[1]

    def places(self, id: jax.Array, which: BatchId | Full | Part) -> jax.Array:
        """The places of a batch among the examples of node `id`, i32[B]."""
        if isinstance(which, Part):
            return which.index + which.parts * jnp.arange(-(-self.width // which.parts), dtype=jnp.int32)
        if isinstance(which, Full) or not 0 < self.batch_size < self.width:
            return jnp.arange(self.width, dtype=jnp.int32)
        count = jnp.maximum(self.num_examples[id], 1)
        return integers(which.key, self.batch_size, count)

    def alone(self, batch: Batch) -> tuple[Batch, jax.Array]:
        """The examples of a batch as batches of one with weight one, and which of them are no padding, bool[B]."""
        features, labels, weights = (x[:, None] for x in batch)
        real = weights > 0
        return (features, labels, real.astype(weights.dtype)), real[:, 0]

    def classes_of(self, batch: Batch) -> jax.Array:
        """The classes, 1 for the label 1 and 0 for the label -1, i32[B]."""
        return (batch[1] > 0).astype(jnp.int32)

    def relabelled(self, batch: Batch, labels: jax.Array) -> Batch:
        """A batch whose examples have other classes."""
        return batch[0], 2 * labels.astype(batch[1].dtype) - 1, batch[2]

    def with_inputs(self, batch: Batch, inputs: jax.Array) -> Batch:
        """A batch whose examples have other features."""
        return inputs, batch[1], batch[2]

    def inputs(self, batch: Batch) -> jax.Array:
        """The features of a batch, zeros where there is no example."""
        return jnp.where(batch[2][:, None] > 0, batch[0], 0)

    def predict(self, params: jax.Array, inputs: jax.Array) -> jax.Array:
        """The logits `a . x` of features f[B, d], f[B]."""
        return jnp.matmul(inputs, params, precision=PRECISION)

    def loss(self, params: jax.Array, batch: Batch, weights: jax.Array | None = None) -> tuple[jax.Array, tuple[()]]:
        """The weighted sum over examples of `log(1 + exp(-y a . x)) + reg / 2 ||x||^2`, each times its factor."""
        factors, (features, labels, weights) = weights, batch
        weights = weights if factors is None else factors.astype(weights.dtype) * weights
        margins = labels * jnp.matmul(features, params, precision=PRECISION)
        penalty = self.regularization / 2 * jnp.sum(jnp.square(params))
        return jnp.sum(weights * _softplus(-margins)) + jnp.sum(weights) * penalty, ()

    def evaluate(self, params: jax.Array, id: jax.Array | None = None) -> dict[str, jax.Array]:
        """The global objective at one model, or that of node `id`, as "loss"."""
        if id is not None:
            return {"loss": self.loss(params, self.full_batch(id))[0]}
        flat = self.features.reshape(-1, self.features.shape[2])
        loss, _ = self.loss(params, (flat, self.labels.reshape(-1), self.weights.reshape(-1) / self._holders()))
        return {"loss": loss}

    def evaluate_for_all(self, params: jax.Array) -> dict[str, jax.Array]:
        """The objectives of all nodes at one model, f[n], as "loss"."""
        each = lambda *batch: self.loss(params, batch)[0]
        return {"loss": jax.vmap(each)(self.features, self.labels, self.weights)}

    def pooled(self) -> Logistic:
        """The same examples held by one node, weighted so that its objective is the global one exactly.

        A full batch stays full; a minibatch keeps its size. For concrete arrays, not inside `jit`.
        """
        width = self.features.shape[1]
        real = np.arange(width) < np.asarray(self.num_examples)[:, None]
        return self.replace(
            features=self.features[real][None],
            labels=self.labels[real][None],
            weights=(self.weights / self._holders())[real][None],
            num_examples=tree.copied([real.sum()], np.int32),
            batch_size=self.batch_size if self.batch_size < width else 0,
        )

    def _row(self, id: jax.Array) -> int | jax.Array:
        """The row with the data of node `id`; see `by_node` of `jdl.types.Problem`."""
        return 0 if self.features.shape[0] == 1 else id

    def _holders(self) -> jax.Array:
        return jnp.sum(self.num_examples > 0, dtype=jnp.int32).astype(self.weights.dtype)


@jax.custom_jvp
def _softplus(x: jax.Array) -> jax.Array:
    """`log(1 + exp(x))`, with the derivative in closed form: JAX's computes the function itself as well."""
    return jax.nn.softplus(x)


@_softplus.defjvp
def _softplus_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (tangent,) = primals, tangents
    return _softplus(x), jax.nn.sigmoid(x) * tangent


def logistic(
    nodes: int = 16,
    dim: int = 10,
    examples: int = 32,
    heterogeneity: float = 1.0,
    regularization: float = 0.1,
    batch_size: int = 0,
    seed: int = 0,
) -> Logistic:
    """Draw synthetic binary logistic regression. The optimum is computed to a gradient norm of 1e-10.

    Node i draws features `a ~ N(heterogeneity u_i, I) / sqrt(dim)`, about of unit norm, and labels 1 with
    probability `1 / (1 + exp(-a . (v + heterogeneity v_i)))`, else -1; `u_i`, `v` and `v_i` are standard normal.
    With heterogeneity 0, the nodes differ only by sampling. `Logistic.from_arrays` takes other data.

    Args:
      nodes: n, the number of nodes.
      dim: d, the number of parameters.
      examples: the number of examples of each node.
      heterogeneity: how much features and teachers differ between nodes, at least 0. The heterogeneity that theory
        uses, zeta^2 at the optimum, is `problem.heterogeneity`.
      regularization: reg, the weight of the l2 penalty, above 0; a lower bound of the curvature.
      batch_size: the number of examples of a minibatch, drawn with replacement; 0 for all examples of the node.
      seed: the seed of the draw.

    Returns:
      The problem.

    Raises:
      InputError: if a number is out of range, or if the arrays `[nodes, examples, dim]` do not fit in memory.

    >>> problem = logistic(nodes=4, dim=3)
    >>> abs(float(problem.evaluate(problem.optimum.params)["loss"] - problem.optimum.loss)) < 1e-6
    True
    """
    nodes, dim = checks.whole("nodes", nodes, 1), checks.whole("dim", dim, 1)
    examples = checks.whole("examples", examples, 1)
    checks.bounded("heterogeneity", heterogeneity, 0, None)
    checks.require(
        np.isfinite(heterogeneity), f"got heterogeneity={heterogeneity!r}, need a finite number; try heterogeneity=1"
    )
    # At the peak six arrays [nodes, examples, dim] of at most 8 bytes: the draw, the features in the default type
    # and again without padding, in double precision, with their signs, and times the curvature.
    needed = 6 * 8 * nodes * examples * dim
    checks.fits(needed, f"nodes={nodes} with examples={examples} and dim={dim}")

    rng = np.random.default_rng(seed)
    teacher = rng.standard_normal(dim) + heterogeneity * rng.standard_normal((nodes, dim))
    shift = heterogeneity * rng.standard_normal((nodes, 1, dim))
    features = rng.standard_normal((nodes, examples, dim))
    features += shift
    features /= np.sqrt(dim)
    chance = expit(np.einsum("nmd,nd->nm", features, teacher))
    labels = np.where(rng.random((nodes, examples)) < chance, 1.0, -1.0)
    return Logistic.from_arrays(features, labels, np.full(nodes, examples), regularization, batch_size)
