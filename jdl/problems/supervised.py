"""Supervised learning: the examples are held once, and each node has a row of a table of its examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks, tree
from jdl.data import Dataset, Partition
from jdl.data.partition.table import validated
from jdl.data.readers.handed_over import as_dataset
from jdl.engine import xla
from jdl.models import without_batch_statistics
from jdl.problems import arrays
from jdl.problems.evaluation import by_group, in_parts, mean_of
from jdl.problems.losses import losses, right
from jdl.problems.minibatches import SAMPLING, batches, in_row, minibatch
from jdl.problems.model_checks import (
    model_errors_explained,
    require_frozen,
    require_model,
    require_outputs,
    require_variables,
)
from jdl.problems.own import own_groups
from jdl.problems.set_aside import held_apart
from jdl.rng import integers
from jdl.types import BatchId, Full, Key, Part, PyTree

__all__ = ["PRECISIONS", "SAMPLING", "Supervised"]

Batch = tuple[jax.Array, jax.Array, jax.Array]

# The types that a model computes in; its parameters, gradients and loss are in the default type.
PRECISIONS = {"float32": None, "bfloat16": jnp.bfloat16}


@struct.dataclass
class Supervised:
    """The loss of a model, averaged over the examples of each node.

    `f_i(x) = sum_j mask_j loss(model(x, a_j), y_j) / max(sum_j mask_j, 1)`. For a node without data, loss and gradient
    are zero. The loss is cross-entropy for classes and tokens, and squared error for numbers (see `losses`).

    The compiled program draws the minibatches in one of five ways. "replacement" draws each example at random. "round"
    draws without replacement: the local steps k = 0, 1, ... of a round follow a random order of the node's examples,
    and the last minibatch of a pass has the remaining examples. "epochs" does the same, but the order continues over
    rounds, each of `steps_per_round` minibatches. "stream" follows the order in which the node holds its examples, and
    begins again after the last. In "poisson" each example joins a minibatch by itself, `batch_size` of them in the
    mean, as accounts of privacy assume. If `batch_size` is 0, or is at least `m` (except for "stream"), a minibatch
    consists of all examples of the node.

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
      public_x: [P, ...], inputs that all nodes have and nobody owns, or None.
      public_y: their targets, or None.
      held: i32[n, h], the rows of `train_x` that each node keeps aside and never trains on, or None.
      num_held: i32[n], the number of these rows of each node.
      test_group: i32[T], the group of each test example: its class, or its owner; see `jdl.problems.own`.
      group_weights: f[n, G], how much a test example of each group counts at each node.
      module: the model, with `init(key, x) -> variables` and `apply(variables, x) -> outputs`, like a flax module.
      batch_size: the number of examples of a minibatch; 0 for all examples of the node.
      sampling: how minibatches are drawn, one of `SAMPLING`.
      steps_per_round: the number of minibatches of a round, for "epochs" and "stream". It should equal the number of
        local steps of the algorithm: if it is smaller, rounds overlap, and examples return before the end of a pass.
      precision: the type in which the model computes, "float32" or "bfloat16", which some devices compute faster.
      classes: the number of classes, or 0 for real targets.
    """

    train_x: jax.Array
    train_y: jax.Array
    test_x: jax.Array
    test_y: jax.Array
    indices: jax.Array
    num_examples: jax.Array
    frozen: PyTree = struct.field(default_factory=dict)
    public_x: jax.Array | None = None
    public_y: jax.Array | None = None
    held: jax.Array | None = None
    num_held: jax.Array | None = None
    test_group: jax.Array | None = None
    group_weights: jax.Array | None = None
    module: Any = struct.field(pytree_node=False, default=None)
    batch_size: int = struct.field(pytree_node=False, default=0)
    sampling: str = struct.field(pytree_node=False, default="replacement")
    steps_per_round: int = struct.field(pytree_node=False, default=1)
    precision: str = struct.field(pytree_node=False, default="float32")
    classes: int = struct.field(pytree_node=False, default=0)

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
        validation: float = 0.0,
        public: tuple[Any, Any] = (None, None),
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
          validation: the share of each node's examples, its last ones, that it keeps aside and never trains on.
          public: inputs that all nodes have and nobody owns, shaped like the training examples, and their targets; None
            where there are none.

        Returns:
          The problem.

        Raises:
          InputError: if a word is unknown, if the model has batch statistics, or if data, partition, model and `frozen`
            do not fit together (see `jdl.data.validate` and `jdl.problems.model_checks`).
        """
        data = as_dataset(data)
        if np.ndim(data.train_x) > 2:  # images, for networks that convolve
            xla.split_cpu()
        split = validated(split, len(data.train_x))
        require_model(module)
        sampling = checks.known("sampling", sampling, SAMPLING)
        precision = checks.known("precision", precision, PRECISIONS)
        batch_size = checks.whole("batch_size", batch_size, 1 if sampling == "stream" else 0)
        groups = own_groups(data, split)
        split, held = held_apart(split, validation)
        problem = cls(  # copies the arrays, since the caller may change its own later
            train_x=arrays.on_device(data.train_x),
            train_y=arrays.targets(data.train_y),
            test_x=arrays.on_device(data.test_x),
            test_y=arrays.targets(data.test_y),
            indices=tree.copied(arrays.widened(split.indices, batch_size), jnp.int32),
            num_examples=tree.copied(split.counts, jnp.int32),
            public_x=None if public[0] is None else arrays.on_device(public[0]),
            public_y=None if public[1] is None else arrays.targets(public[1]),
            held=None if held is None else tree.copied(held.indices, jnp.int32),
            num_held=None if held is None else tree.copied(held.counts, jnp.int32),
            test_group=None if groups is None else tree.copied(groups[0], jnp.int32),
            group_weights=None if groups is None else tree.copied(groups[1], jnp.result_type(float)),
            module=module,
            batch_size=batch_size,
            sampling=sampling,
            steps_per_round=checks.whole("steps_per_round", steps_per_round, 1),
            precision=precision,
            classes=int(data.num_classes),
        )
        shape, dtype = problem.train_x.shape[1:], problem.train_x.dtype
        one, two = (jax.ShapeDtypeStruct((size, *shape), dtype) for size in (1, 2))
        with model_errors_explained(module):
            shapes = without_batch_statistics(module, jax.eval_shape(arrays.inputs, one))
            require_variables(shapes)
            require_outputs(arrays.logits(jax.eval_shape(problem._outputs, shapes, two)), data)
        rest = arrays.not_learnt(shapes)
        if frozen is None:
            frozen = arrays.not_learnt(jax.jit(problem._variables)(jax.random.key(seed))) if rest else {}
        require_frozen(frozen, rest)
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
    def offers(self) -> frozenset[str]:
        """See `jdl.problems.offers`."""
        own = self.group_weights is not None or self.held is not None
        said = {
            "advances": self.sampling in ("epochs", "stream"),
            "public": self.public_x is not None,
            "held_out": self.held is not None,
            "own": own,
            "labels": self.classes > 0,
            "test_set": self.classes > 0,
        }
        always = {"pooled", "batches", "parts", "predict", "losses", "with_inputs"}
        return frozenset(always | {word for word, holds in said.items() if holds})

    @property
    def width(self) -> int:
        """The number of places for examples of a node."""
        return self.indices.shape[1]

    @property
    def widths(self) -> tuple[int, int]:
        """The widths of the tables of the nodes' examples and of those that they keep aside, 0 without these."""
        return self.width, 0 if self.held is None else self.held.shape[1]

    def widened(self, widths: tuple[int, int]) -> Self:
        """The same problem with padded tables, for one program with problems of other partitions.

        Tables stay as they are where another width would turn full batches into minibatches.

        Args:
          widths: those to pad to, at least as wide as the tables.
        """
        drawn = [0 < self.batch_size < width or self.sampling == "stream" for width in (self.width, widths[0])]
        if drawn[0] != drawn[1]:
            return self
        wide = lambda table, width: None if table is None else jnp.pad(table, ((0, 0), (0, width - table.shape[1])))
        return self.replace(indices=wide(self.indices, widths[0]), held=wide(self.held, widths[1]))

    @property
    def mean_batch(self) -> int | None:
        """The mean number of examples of a minibatch where it is random; None where it is not."""
        return self.batch_size if self.sampling == "poisson" and 0 < self.batch_size < self.width else None

    @property
    def advances(self) -> int | None:
        """The number of minibatches by which the order advances in a round; None if every round begins a new order."""
        return self.steps_per_round if self.sampling in ("epochs", "stream") else None

    def init(self, key: Key) -> PyTree:
        """The initial parameters, as the model draws them."""
        return {"params": self._variables(key)["params"]}

    def batch(self, id: jax.Array, batch_id: BatchId) -> Batch:
        """A minibatch of node `id`: examples f[B, ...], targets i32[B, ...] or f[B, ...], and the mask bool[B]."""
        return self._examples(id, *self._places(id, batch_id))

    def batches(self, id: jax.Array) -> jax.Array:
        """The number of minibatches of a pass over the examples of node `id`, i32[]; 0 without data."""
        return batches(self.num_examples[id], self.batch_size)

    def full_batch(self, id: jax.Array) -> Batch:
        """All examples of node `id`, padded: f[m, ...], their targets, and the mask bool[m]."""
        return self._examples(id, *self._places(id, Full()))

    def part(self, id: jax.Array, part: jax.Array, parts: int) -> tuple[Batch, jax.Array]:
        """The examples `part`, `part + parts`, ... of node `id`, padded, and their share of all its examples."""
        places, mask = self._places(id, Part(part, parts))
        return self._examples(id, places, mask), jnp.sum(mask, dtype=jnp.int32) / jnp.maximum(self.num_examples[id], 1)

    def public_batch(self, batch_id: BatchId) -> tuple[jax.Array, jax.Array | None, jax.Array]:
        """Public inputs [B, ...], their targets or None, and a mask that is true; drawn with replacement."""
        total = self.public_x.shape[0]
        if not 0 < self.batch_size < total:
            return self.public_x, self.public_y, jnp.ones(total, bool)
        rows = integers(batch_id.key, self.batch_size, jnp.int32(total))
        targets = None if self.public_y is None else self.public_y[rows]
        return self.public_x[rows], targets, jnp.ones(self.batch_size, bool)

    def places(self, id: jax.Array, which: BatchId | Full | Part) -> jax.Array:
        """The places of a batch among the examples of node `id`, i32[B]."""
        return self._places(id, which)[0]

    def alone(self, batch: Batch) -> tuple[Batch, jax.Array]:
        """The examples of a batch as batches of one, [B, 1, ...], and which of them are no padding, bool[B]."""
        return jax.tree.map(lambda x: x[:, None], batch), batch[2]

    def classes_of(self, batch: Batch) -> jax.Array:
        """The classes of the examples of a batch, or of their tokens."""
        return batch[1]

    def relabelled(self, batch: Batch, labels: jax.Array) -> Batch:
        """A batch with other targets."""
        return batch[0], labels, batch[2]

    def with_inputs(self, batch: Batch, inputs: jax.Array) -> Batch:
        """A batch whose examples have other inputs."""
        return inputs, batch[1], batch[2]

    @property
    def test_set(self) -> tuple[jax.Array, jax.Array]:
        """The inputs of the test set, [T, ...], and their classes, i32[T, ...]."""
        return self.test_x, self.test_y

    def inputs(self, batch: Batch) -> jax.Array:
        """The inputs of a batch, zeros where there is no example."""
        x, _, mask = batch
        return jnp.where(mask.reshape(mask.shape + (1,) * (x.ndim - 1)), x, jnp.zeros((), x.dtype))

    def predict(self, params: PyTree, inputs: PyTree) -> PyTree:
        """The outputs of the model for inputs, or for a dict of the keyword arguments of the model."""
        return self._outputs(params, inputs)

    def loss(self, params: PyTree, batch: Batch, weights: jax.Array | None = None) -> tuple[jax.Array, tuple[()]]:
        """The loss, averaged over the examples whose mask is true, each times its weight, f[B]."""
        x, y, mask = batch
        checks.require(y is not None, "got public inputs without targets, need targets for a loss; use their outputs")
        each = losses(arrays.logits(self._outputs(params, x)), y)
        each = each if weights is None else weights.astype(each.dtype) * each
        mask = mask.astype(each.dtype)
        return jnp.sum(mask * each) / jnp.maximum(jnp.sum(mask), 1), ()

    def evaluate(self, params: PyTree, id: jax.Array | None = None) -> dict[str, jax.Array]:
        """The loss of one model and, for classes, its accuracy: on the test set, or as node `id` meets it."""
        if id is None:
            each = self._each(params, self.test_x, self.test_y)
            return {name: jnp.mean(values) for name, values in each.items()}
        if self.group_weights is None:
            return self.held_out(params, id)
        each = self._each(params, self.test_x, self.test_y)
        return by_group(each, self.test_group, self.group_weights[id])

    def evaluate_for_all(self, params: PyTree) -> dict[str, jax.Array]:
        """The metrics of one model as each node meets them, f[n], from one evaluation on the test set."""
        if self.group_weights is None:
            return jax.lax.map(lambda id: self.held_out(params, id), jnp.arange(self.n, dtype=jnp.int32))
        return by_group(self._each(params, self.test_x, self.test_y), self.test_group, self.group_weights)

    def held_out(self, params: PyTree, id: jax.Array) -> dict[str, jax.Array]:
        """The metrics of one model on the examples that node `id` keeps aside; zeros if there are none."""
        rows, real = self.held[id], jnp.arange(self.held.shape[1], dtype=jnp.int32) < self.num_held[id]
        return mean_of(self._each(params, self.train_x[rows], self.train_y[rows]), real)

    def pooled(self) -> Supervised:
        """Give all examples to one node: `f = sum_i num_examples_i f_i / N`.

        Minibatches keep their size, and full batches remain full. This function needs concrete arrays; it cannot be
        called inside `jit`.
        """
        width = self.indices.shape[1]
        real = np.arange(width) < np.asarray(self.num_examples)[:, None]
        rows = np.asarray(self.indices)[real]
        shares = np.asarray(self.num_examples) / max(rows.size, 1)
        kept = None
        if self.held is not None:
            kept = np.asarray(self.held)[np.arange(self.held.shape[1]) < np.asarray(self.num_held)[:, None]]
        weights = self.group_weights
        return self.replace(
            indices=tree.copied(rows[None, :], jnp.int32),
            num_examples=tree.copied([rows.size], jnp.int32),
            held=None if kept is None else tree.copied(kept[None, :], jnp.int32),
            num_held=None if kept is None else tree.copied([kept.size], jnp.int32),
            group_weights=None if weights is None else jnp.asarray(shares @ np.asarray(weights), weights.dtype)[None],
            batch_size=self.batch_size if self.batch_size < width or self.sampling == "stream" else 0,
        )

    def _variables(self, key: Key) -> PyTree:
        return self.module.init(key, arrays.inputs(self.train_x[:1]))

    def _places(self, id: jax.Array, which: BatchId | Full | Part) -> tuple[jax.Array, jax.Array]:
        """The places of a batch in the row of node `id`, and which of them are examples and not padding."""
        count, width = self.num_examples[id], self.indices.shape[1]
        if isinstance(which, Part):
            return in_row(count, width, which.index, which.parts)
        if isinstance(which, Full) or (self.sampling != "stream" and not 0 < self.batch_size < width):
            return in_row(count, width)
        return minibatch(self.sampling, which, count, self.batch_size, self.steps_per_round)

    def _examples(self, id: jax.Array, places: jax.Array, mask: jax.Array) -> Batch:
        rows = self.indices.at[id, places].get(mode="fill", fill_value=0)
        return self.train_x[rows], self.train_y[rows], mask

    def _each(self, params: PyTree, x: jax.Array, y: jax.Array) -> dict[str, jax.Array]:
        """The metrics of single examples, f[T]."""

        def measured(x: jax.Array, y: jax.Array) -> dict[str, jax.Array]:
            outputs = arrays.logits(self._outputs(params, x))
            found = {"loss": losses(outputs, y), "accuracy": right(outputs, y)}
            return {name: values for name, values in found.items() if values is not None}

        return in_parts(measured, x, y)

    def _outputs(self, params: PyTree, x: PyTree) -> PyTree:
        dtype, x = PRECISIONS[self.precision], jax.tree.map(arrays.inputs, x)
        variables = {**self.frozen, **params}
        if dtype is None:
            return self._apply(variables, x)
        narrow = lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
        outputs = self._apply(*jax.tree.map(narrow, (variables, x)))
        return jax.tree.map(lambda leaf: leaf.astype(jnp.result_type(float)), outputs)

    def _apply(self, variables: PyTree, x: PyTree) -> PyTree:
        return self.module.apply(variables, **x) if isinstance(x, Mapping) else self.module.apply(variables, x)
