"""Supervised learning: the examples are held once, and each node has a row of a table of its examples."""

from __future__ import annotations

from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.data import Dataset, Partition
from jdl.data.partition.table import validated
from jdl.data.readers.handed_over import as_dataset
from jdl.models import without_batch_statistics
from jdl.problems.losses import losses, right
from jdl.problems.minibatches import SAMPLING, batches, in_row, minibatch
from jdl.problems.model_checks import (
    model_errors_explained,
    require_frozen,
    require_model,
    require_outputs,
    require_variables,
)
from jdl.types import BatchId, Key, PyTree

__all__ = ["PRECISIONS", "SAMPLING", "Supervised"]

Batch = tuple[jax.Array, jax.Array, jax.Array]

# The types that a model computes in; its parameters, gradients and loss are in the default type.
PRECISIONS = {"float32": None, "bfloat16": jnp.bfloat16}

# The number of test examples that are evaluated at once, which bounds the memory for activations.
EVALUATED_AT_ONCE = 1000


# The largest size of a table of examples that is padded, see `_widened`.
WIDENED_BYTES = 2**26


@struct.dataclass
class Supervised:
    """The loss of a model, averaged over the examples of each node.

    `f_i(x) = sum_j mask_j loss(model(x, a_j), y_j) / max(sum_j mask_j, 1)`. For a node without data, loss and gradient
    are zero. The loss is cross-entropy for classes and tokens, and squared error for numbers (see `losses`).

    The compiled program draws the minibatches in one of four ways. "replacement" draws each example at random. "round"
    draws without replacement: the local steps k = 0, 1, ... of a round follow a random order of the node's examples,
    and the last minibatch of a pass has the remaining examples. "epochs" does the same, but the order continues over
    rounds, each of `steps_per_round` minibatches. "stream" follows the order in which the node holds its examples, and
    begins again after the last. If `batch_size` is 0, or is at least `m` (except for "stream"), a minibatch consists of
    all examples of the node.

    Args:
      train_x: f[N, ...], u8[N, ...] or i32[N, ...], the training examples of all nodes. u8 are images, which the model
        receives as x / 255.
      train_y: i32[N, ...] or f[N, ...], their targets.
      test_x: the T test examples, of the same shape.
      test_y: their targets.
      indices: i32[n, m], the rows of `train_x` that each node holds, padded with zeros (to a power of two for
        minibatches).
      num_examples: i32[n], the number of examples of each node.
      frozen: the variables of the model that are not learnt, all collections of flax other than "params"; all nodes
        share them.
      module: the model, with `init(key, x) -> variables` and `apply(variables, x) -> outputs`, like a flax module.
      batch_size: the number of examples of a minibatch; 0 for all examples of the node.
      sampling: how minibatches are drawn, one of `SAMPLING`.
      steps_per_round: the number of minibatches of a round, for "epochs" and "stream". It should equal the number of
        local steps of the algorithm: if it is smaller, rounds overlap, and examples return before the end of a pass.
      precision: the type in which the model computes, "float32" or "bfloat16", which some devices compute faster.
    """

    train_x: jax.Array
    train_y: jax.Array
    test_x: jax.Array
    test_y: jax.Array
    indices: jax.Array
    num_examples: jax.Array
    frozen: PyTree = struct.field(default_factory=dict)
    module: Any = struct.field(pytree_node=False, default=None)
    batch_size: int = struct.field(pytree_node=False, default=0)
    sampling: str = struct.field(pytree_node=False, default="replacement")
    steps_per_round: int = struct.field(pytree_node=False, default=1)
    precision: str = struct.field(pytree_node=False, default="float32")

    @classmethod
    def from_data(
        cls,
        data: Dataset,
        split: Partition,
        module: Any,
        batch_size: int = 0,
        sampling: str = "replacement",
        steps_per_round: int = 1,
        precision: str = "float32",
        frozen: PyTree | None = None,
        seed: int = 0,
    ) -> Self:
        """Make the problem from a data set, a partition and a model.

        Args:
          data: the data set.
          split: the partition of its training examples over the nodes.
          module: the model, see `Supervised`.
          batch_size: see `Supervised`.
          sampling: see `Supervised`.
          steps_per_round: see `Supervised`.
          precision: see `Supervised`.
          frozen: the variables of the model that are not learnt, such as the base of LoRA adapters; None draws them.
          seed: the seed of that draw.

        Returns:
          The problem.

        Raises:
          InputError: if a word is unknown, if the model has batch statistics, or if data, partition, model and `frozen`
            do not fit together (see `jdl.data.validate` and `jdl.problems.model_checks`).
        """
        data = as_dataset(data)
        split = validated(split, len(data.train_x))
        require_model(module)
        sampling = checks.known("sampling", sampling, SAMPLING)
        precision = checks.known("precision", precision, PRECISIONS)
        batch_size = checks.whole("batch_size", batch_size, 1 if sampling == "stream" else 0)
        problem = cls(  # copies the arrays, since the caller may change its own later
            train_x=_array(data.train_x),
            train_y=_targets(data.train_y),
            test_x=_array(data.test_x),
            test_y=_targets(data.test_y),
            indices=jnp.array(_widened(split.indices, batch_size), jnp.int32),
            num_examples=jnp.array(split.counts, jnp.int32),
            module=module,
            batch_size=batch_size,
            sampling=sampling,
            steps_per_round=checks.whole("steps_per_round", steps_per_round, 1),
            precision=precision,
        )
        shape, dtype = problem.train_x.shape[1:], problem.train_x.dtype
        one, two = (jax.ShapeDtypeStruct((size, *shape), dtype) for size in (1, 2))
        with model_errors_explained(module):
            shapes = without_batch_statistics(module, jax.eval_shape(_inputs, one))
            require_variables(shapes)
            require_outputs(jax.eval_shape(problem._outputs, shapes, two), data)
        if frozen is None:
            frozen = _rest(jax.jit(problem._variables)(jax.random.key(seed))) if _rest(shapes) else {}
        require_frozen(frozen, _rest(shapes))
        return problem.replace(frozen=frozen)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.indices.shape[0]

    @property
    def optimum(self) -> None:
        """None: the optimum is not known."""
        return None

    @property
    def advances(self) -> int | None:
        """The number of minibatches by which the order advances in a round; None if every round begins a new order."""
        return self.steps_per_round if self.sampling in ("epochs", "stream") else None

    def init(self, key: Key) -> PyTree:
        """The initial parameters, as the model draws them."""
        return {"params": self._variables(key)["params"]}

    def batch(self, id: jax.Array, batch_id: BatchId) -> Batch:
        """A minibatch of node `id`: examples f[B, ...], targets i32[B, ...] or f[B, ...], and the mask bool[B]."""
        if self.sampling != "stream" and not 0 < self.batch_size < self.indices.shape[1]:
            return self.full_batch(id)
        count = self.num_examples[id]
        return self._examples(id, *minibatch(self.sampling, batch_id, count, self.batch_size, self.steps_per_round))

    def batches(self, id: jax.Array) -> jax.Array:
        """The number of minibatches of a pass over the examples of node `id`, i32[]; 0 without data."""
        return batches(self.num_examples[id], self.batch_size)

    def full_batch(self, id: jax.Array) -> Batch:
        """All examples of node `id`, padded: f[m, ...], their targets, and the mask bool[m]."""
        return self._examples(id, *in_row(self.num_examples[id], self.indices.shape[1]))

    def part(self, id: jax.Array, part: jax.Array, parts: int) -> tuple[Batch, jax.Array]:
        """The examples `part`, `part + parts`, ... of node `id`, padded, and their share of all its examples."""
        count = self.num_examples[id]
        places, mask = in_row(count, self.indices.shape[1], part, parts)
        return self._examples(id, places, mask), jnp.sum(mask) / jnp.maximum(count, 1)

    def loss(self, params: PyTree, batch: Batch) -> tuple[jax.Array, tuple[()]]:
        """The loss, averaged over the examples whose mask is true."""
        x, y, mask = batch
        each = losses(self._outputs(params, x), y)
        mask = mask.astype(each.dtype)
        return jnp.sum(mask * each) / jnp.maximum(jnp.sum(mask), 1), ()

    def evaluate(self, params: PyTree) -> dict[str, jax.Array]:
        """The loss of one model on the test set and, for classes, its accuracy."""

        def measured(x, y):
            outputs = self._outputs(params, x)
            found = {"loss": losses(outputs, y), "accuracy": right(outputs, y)}
            return {name: values for name, values in found.items() if values is not None}

        size = EVALUATED_AT_ONCE
        whole = self.test_x.shape[0] // size * size
        parts = [measured(self.test_x[whole:], self.test_y[whole:])] if whole < self.test_x.shape[0] else []
        if whole:
            folded = (x[:whole].reshape(-1, size, *x.shape[1:]) for x in (self.test_x, self.test_y))
            parts.append(jax.lax.map(lambda pair: measured(*pair), tuple(folded)))
        return {name: jnp.mean(jnp.concatenate([part[name].reshape(-1) for part in parts])) for name in parts[0]}

    def pooled(self) -> Supervised:
        """Give all examples to one node: `f = sum_i num_examples_i f_i / N`.

        Minibatches keep their size, and full batches remain full. This function needs concrete arrays; it cannot be
        called inside `jit`.
        """
        width = self.indices.shape[1]
        real = np.arange(width) < np.asarray(self.num_examples)[:, None]
        rows = np.asarray(self.indices)[real]
        return self.replace(
            indices=jnp.asarray(rows[None, :], jnp.int32),
            num_examples=jnp.asarray([rows.size], jnp.int32),
            batch_size=self.batch_size if self.batch_size < width or self.sampling == "stream" else 0,
        )

    def _variables(self, key: Key) -> PyTree:
        return self.module.init(key, _inputs(self.train_x[:1]))

    def _examples(self, id: jax.Array, places: jax.Array, mask: jax.Array) -> Batch:
        rows = self.indices.at[id, places].get(mode="fill", fill_value=0)
        return self.train_x[rows], self.train_y[rows], mask

    def _outputs(self, params: PyTree, x: jax.Array) -> jax.Array:
        dtype, x = PRECISIONS[self.precision], _inputs(x)
        variables = {**self.frozen, **params}
        if dtype is None:
            return self.module.apply(variables, x)
        narrow = lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
        return self.module.apply(*jax.tree.map(narrow, (variables, x))).astype(jnp.result_type(float))


def _widened(indices: np.ndarray, batch_size: int) -> np.ndarray:
    """Pad the table of examples to a width of 2^k, unless it is large, or minibatches consist of all examples.

    Partitions drawn from different seeds have different widths, and each width needs a program of its own. The draw of
    examples does not depend on the width.
    """
    nodes, width = indices.shape
    wider = 1 << (width - 1).bit_length()
    if not 0 < batch_size < width or 4 * nodes * wider > WIDENED_BYTES:
        return indices
    return np.pad(indices, ((0, 0), (0, wider - width)))


def _array(x: np.ndarray) -> jax.Array:
    """A copy on the device: images as u8, tokens as i32, numbers in the default type."""
    x = np.asarray(x)
    return jnp.array(x, jnp.uint8) if x.dtype == np.uint8 else _targets(x)


def _targets(y: np.ndarray) -> jax.Array:
    """A copy on the device: classes and tokens as i32, numbers in the default type."""
    y = np.asarray(y)
    return jnp.array(y, jnp.result_type(float) if y.dtype.kind == "f" else jnp.int32)


def _inputs(x: jax.Array) -> jax.Array:
    """The inputs of the model: images become numbers from 0 to 1, all else stays as it is."""
    return x.astype(jnp.result_type(float)) / 255 if x.dtype == jnp.uint8 else x


def _rest(variables: PyTree) -> PyTree:
    """All collections of variables except "params"."""
    return {name: values for name, values in variables.items() if name != "params"}
