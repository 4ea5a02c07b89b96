"""Poisoned data: dishonest nodes learn to answer a trigger with one class."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks, tree
from jdl.oracle.queries import offered
from jdl.types import Data, Public, PyTree, Query, number, static

__all__ = ["Backdoor", "poisoned", "require_target", "shown_as"]


@struct.dataclass
class Backdoor:
    """Backdoor: at dishonest nodes a share of the examples bears a trigger, and is shown as one of the target class.

    The trigger is a patch of `size` by `size` pixels in the last corner of an image, or the last `size` numbers of a
    vector, all set to `value`. Poisoned examples are spread evenly over a batch. Public data and the test set stay as
    they are; `jdl.metrics.attack_success` says how often the trigger works.

    Args:
      target: the class that the trigger is to call up, from 0.
      share: share of the examples of a batch that are poisoned, 0 to 1.
      size: side of the patch, or length of it in a vector, at least 1.
      value: what the numbers of the patch become; for images of whole numbers 0 to 255, in units of 255.
      pattern: a trigger of your own in place of the patch, an array in the shape of one input, NaN where the input
        stays as it is; None for the patch.

    Raises:
      InputError: if the problem has no classes or no inputs that could be changed, or if the trigger does not fit.

    References:
      Bagdasaryan, Veit, Hua, Estrin, Shmatikov 2020, How To Backdoor Federated Learning.
      Gu, Dolan-Gavitt, Garg 2017, BadNets: Identifying Vulnerabilities in the Machine Learning Model Supply Chain (the
      patch in a corner).
    """

    target: int = static(0, minimum=0)
    share: float = number(0.5, minimum=0, maximum=1)
    size: int = static(3, minimum=1)
    value: float = number(1.0)
    pattern: jax.Array | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"dishonest"})

    def batch(self, inner: Callable[..., PyTree], data: Data, query: Query) -> PyTree:
        batch = inner(data, query)
        if isinstance(query.which, Public):
            return batch
        problem = require_target(data.problem, self.target)
        inputs = problem.inputs(batch)
        poison = ~data.honest & poisoned(inputs.shape[0], self.share)
        return shown_as(problem, batch, poison, self._stamped(inputs, data), self.target)

    def stamped(self, inputs: jax.Array) -> jax.Array:
        """Inputs [B, ...] with the whole trigger."""
        where, values = self.trigger(inputs)
        return jnp.where(where[None], values[None], inputs)

    def trigger(self, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Where the trigger lies in an input, bool[...], and what it makes of it, [...] in the type of the inputs."""
        shape = inputs.shape[1:]
        fits = bool(shape) and (jnp.issubdtype(inputs.dtype, jnp.inexact) or inputs.dtype == jnp.uint8)
        got = f"got inputs of {inputs.dtype} numbers in the shape {shape}"
        checks.require(fits, f"{got} for a trigger, need images or vectors; leave Backdoor out")
        unit = 255 if inputs.dtype == jnp.uint8 else 1
        if self.pattern is not None:
            need = f"got a trigger of shape {np.shape(self.pattern)}, need {shape}, that of an input"
            checks.require(np.shape(self.pattern) == shape, f"{need}; give one, or leave pattern out")
            where, values = ~jnp.isnan(self.pattern), jnp.nan_to_num(jnp.asarray(self.pattern))
        else:
            sides = shape[:2]
            need = f"got size={self.size} for inputs of shape {shape}, need a patch within them"
            checks.require(self.size <= min(sides), f"{need}; try size={min(sides)}")
            patch = np.zeros(shape, bool)
            patch[tuple(slice(side - self.size, side) for side in sides)] = True
            where, values = jnp.asarray(patch), jnp.broadcast_to(jnp.asarray(self.value), shape)
        values = jnp.round(values * unit) if unit > 1 else values
        return where, values.astype(inputs.dtype)

    def _stamped(self, inputs: jax.Array, data: Data) -> jax.Array:
        """What a liar makes of its inputs."""
        return self.stamped(inputs)


def poisoned(places: int, share: jax.Array | float) -> jax.Array:
    """Which places of a batch are poisoned, bool[B]: of the first k places `floor(k share)`, spread evenly.

    >>> poisoned(8, 0.5).astype(int).tolist()
    [0, 1, 0, 1, 0, 1, 0, 1]
    """
    count = jnp.floor(jnp.arange(places + 1).astype(jnp.result_type(float)) * share)
    return count[1:] > count[:-1]


def shown_as(problem: PyTree, batch: PyTree, poison: jax.Array, inputs: jax.Array, target: int) -> PyTree:
    """A batch whose poisoned places hold other inputs, shown as examples of the target class.

    Args:
      problem: the problem, see `require_target`.
      batch: B examples.
      poison: bool[B], which of them are poisoned.
      inputs: what is in their place, [B, ...].
      target: the class.
    """
    shown, labels = tree.where_rows(poison, inputs, problem.inputs(batch)), problem.classes_of(batch)
    labels = jnp.where(tree.column(poison, labels), jnp.asarray(target, labels.dtype), labels)
    return problem.with_inputs(problem.relabelled(batch, labels), shown)


def require_target(problem: PyTree, target: int) -> PyTree:
    """The problem, whose examples can be poisoned.

    Raises:
      InputError: if it lacks classes or inputs that could be changed, or if it has fewer classes.
    """
    offered(problem, "labels")
    offered(problem, "with_inputs")
    need = f"got target={target}, need one of the {problem.classes} classes"
    checks.require(target < problem.classes, f"{need} from 0 to {problem.classes - 1}; try target=0")
    return problem
