"""Learning from examples with a model: the data is held once, and each node has a row of a table of examples."""

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
from jdl.problems.model_checks import require_frozen, require_model, require_outputs, require_variables, told
from jdl.types import BatchId, Key, PyTree

__all__ = ["PRECISIONS", "SAMPLING", "Supervised"]

Batch = tuple[jax.Array, jax.Array, jax.Array]

# What a model computes in; its parameters, gradients and loss are kept in the default type.
PRECISIONS = {"float32": None, "bfloat16": jnp.bfloat16}

# Test examples that a model is evaluated on at a time: their activations are what an evaluation holds.
EVALUATED_AT_ONCE = 1000


# Tables of examples up to this size are padded, see `_widened`.
WIDENED_BYTES = 2**26


@struct.dataclass
class Supervised:
    """The loss of a model, averaged over the examples of a node.

    `f_i(x) = sum_j mask_j loss(model(x, a_j), y_j) / max(sum_j mask_j, 1)`: exactly zero, with its gradient, for a node
    without data. The loss is cross-entropy for classes and tokens, squared error for numbers (see `losses`).

    Minibatches of `batch_size` are drawn inside the program by `sampling`, the same way for nodes with few and with
    many examples: "replacement"; "round", where the local steps k = 0, 1, ... of a round walk through a random order of
    the node's own examples, the last batch of each pass being what is left; "epochs", where rounds go on with that
    walk, `steps_per_round` batches each; "stream", in the order in which the node holds them, from the first to the
    last and again. If `batch_size` is 0, or at least `m` (and nothing streams), a batch is all of the node's examples.

    Args:
      train_x: f[N, ...] (or u8, i32) and i32[N, ...] or f[N], all nodes' examples, held once. u8 are images: the model
        is given x / 255.
      train_y: f[N, ...] (or u8, i32) and i32[N, ...] or f[N], all nodes' examples, held once. u8 are images: the model
        is given x / 255.
      test_x: the same for T examples.
      test_y: the same for T examples.
      indices: i32[n, m], the examples of each node, padded with zeros (to a power of two for minibatches).
      num_examples: i32[n], how many of each row of `indices` are real.
      frozen: variables of the model that are not learnt, held once: collections of flax other than "params".
      module: the model: `init(key, x) -> variables`, `apply(variables, x) -> outputs`, as flax modules have.
      batch_size: examples a minibatch, 0 for all of the node's.
      sampling: how they are drawn, a word of `SAMPLING`.
      steps_per_round: minibatches that a round takes, for "epochs" and "stream": the local steps of the algorithm. With
        fewer here than there, rounds overlap, and examples come again before the pass is over.
      precision: "float32", or "bfloat16" for what the model computes in, where the device is faster with it.
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
        """The problem of learning `data`, divided by `split`, with `module`.

        `frozen` are the values of what the model has but does not learn (the base under LoRA adapters); where there is
        such and it is None, it is drawn by `seed`.

        Raises:
          InputError: an unknown word, a model with batch statistics, or examples, division, model and `frozen` that do
            not go together: see `jdl.data.validate` and `jdl.problems.model_checks`.
        """
        data = as_dataset(data)
        split = validated(split, len(data.train_x))
        require_model(module)
        sampling = checks.known("sampling", sampling, SAMPLING)
        precision = checks.known("precision", precision, PRECISIONS)
        batch_size = checks.whole("batch_size", batch_size, 1 if sampling == "stream" else 0)
        made = cls(  # of copies: the caller may go on to change its own
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
        one, two = (jax.ShapeDtypeStruct((size, *made.train_x.shape[1:]), made.train_x.dtype) for size in (1, 2))
        with told(module):
            shapes = without_batch_statistics(module, jax.eval_shape(_inputs, one))
            require_variables(shapes)
            require_outputs(jax.eval_shape(made._outputs, shapes, two), data)
        if frozen is None:
            frozen = _rest(jax.jit(made._variables)(jax.random.key(seed))) if _rest(shapes) else {}
        require_frozen(frozen, _rest(shapes))
        return made.replace(frozen=frozen)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.indices.shape[0]

    @property
    def optimum(self) -> None:
        """Not known."""
        return None

    @property
    def advances(self) -> int | None:
        """How many minibatches a round takes of a walk that the next goes on with; None where each starts anew."""
        return self.steps_per_round if self.sampling in ("epochs", "stream") else None

    def init(self, key: Key) -> PyTree:
        """The model's own random start: what is learnt of its variables."""
        return {"params": self._variables(key)["params"]}

    def batch(self, id: jax.Array, batch_id: BatchId) -> Batch:
        """A minibatch of node `id`: f[B, ...], i32[B] and the mask bool[B]."""
        if self.sampling != "stream" and not 0 < self.batch_size < self.indices.shape[1]:
            return self.full_batch(id)
        count = self.num_examples[id]
        return self._examples(id, *minibatch(self.sampling, batch_id, count, self.batch_size, self.steps_per_round))

    def batches(self, id: jax.Array) -> jax.Array:
        """How many minibatches a pass over the examples of node `id` takes, i32[]; none without data."""
        return batches(self.num_examples[id], self.batch_size)

    def full_batch(self, id: jax.Array) -> Batch:
        """All of the examples of node `id`, padded: f[m, ...], i32[m] and the mask bool[m]."""
        return self._examples(id, *in_row(self.num_examples[id], self.indices.shape[1]))

    def part(self, id: jax.Array, part: jax.Array, parts: int) -> tuple[Batch, jax.Array]:
        """Examples `part`, `part + parts`, ... of node `id`, padded, and their share of all its examples."""
        count = self.num_examples[id]
        places, mask = in_row(count, self.indices.shape[1], part, parts)
        return self._examples(id, places, mask), jnp.sum(mask) / jnp.maximum(count, 1)

    def loss(self, params: PyTree, batch: Batch) -> tuple[jax.Array, tuple[()]]:
        """The loss, averaged over the examples where the mask is true."""
        x, y, mask = batch
        each = losses(self._outputs(params, x), y)
        mask = mask.astype(each.dtype)
        return jnp.sum(mask * each) / jnp.maximum(jnp.sum(mask), 1), ()

    def evaluate(self, params: PyTree) -> dict[str, jax.Array]:
        """The loss of one model on the test set, as "loss", and for classes the accuracy."""

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
        """The same examples held by one node, each with the same weight: `f = sum_i num_examples_i f_i / N`.

        A full batch stays full; a minibatch keeps its size. For concrete arrays, not inside `jit`.
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
    """The table padded to a width of 2^k, where minibatches are drawn from it and it stays small.

    Partitions by other seeds have other widths, and each width is another program to compile. Which examples are drawn
    does not depend on the width, but whether a batch is all of a node's examples does: that stays as it is.
    """
    nodes, width = indices.shape
    wider = 1 << (width - 1).bit_length()
    if not 0 < batch_size < width or 4 * nodes * wider > WIDENED_BYTES:
        return indices
    return np.pad(indices, ((0, 0), (0, wider - width)))


def _array(x: np.ndarray) -> jax.Array:
    """A copy on the device: images as they are, tokens as i32, numbers in the default type."""
    x = np.asarray(x)
    return jnp.array(x, jnp.uint8) if x.dtype == np.uint8 else _targets(x)


def _targets(y: np.ndarray) -> jax.Array:
    """A copy on the device: classes and tokens as i32, numbers in the default type."""
    y = np.asarray(y)
    return jnp.array(y, jnp.result_type(float) if y.dtype.kind == "f" else jnp.int32)


def _inputs(x: jax.Array) -> jax.Array:
    """What the model is given: images from 0 to 1 in the default type, anything else as it is."""
    return x.astype(jnp.result_type(float)) / 255 if x.dtype == jnp.uint8 else x


def _rest(variables: PyTree) -> PyTree:
    return {name: values for name, values in variables.items() if name != "params"}
