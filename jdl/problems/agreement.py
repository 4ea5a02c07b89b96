"""Whether examples, their division and a model go together, told from shapes and ranges before anything is learnt.

What does not would now and then run all the same, and learn something else: NumPy's rules stretch outputs f[B, 1] over
targets f[B] to a table of B x B differences, and an index beyond the end of an array is moved to its last entry.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from flax import errors

from jdl import checks
from jdl.data import Dataset, Partition
from jdl.types import Key, PyTree

__all__ = [
    "Model",
    "require_examples",
    "require_frozen",
    "require_model",
    "require_outputs",
    "require_variables",
    "told",
]

KINDS = {"f": "floats", "i": "whole numbers", "u": "whole numbers"}


@runtime_checkable
class Model(Protocol):
    """What is learnt, as flax.linen modules are: variables from a key and inputs, outputs from variables and inputs."""

    def init(self, key: Key, x: jax.Array) -> PyTree: ...

    def apply(self, variables: PyTree, x: jax.Array) -> jax.Array: ...


def require_examples(data: Dataset, split: Partition) -> None:
    """A sentence unless there is something to train and to test on, alike in shape and type, and `split` divides it."""
    train_x, train_y, test_x, test_y = (np.asarray(array) for array in data[:4])
    for part, x, y in (("train", train_x, train_y), ("test", test_x, test_y)):
        got = f"got {len(x)} {part}ing examples and {len(y)} targets"
        checks.require(len(x) == len(y) > 0, f"{got}, need as many of both, at least one; hold some examples out")
        kinds = f"got {part}ing examples of type {x.dtype} and targets of {y.dtype}"
        checks.require(
            x.dtype.kind in KINDS and y.dtype.kind in (*KINDS, "b"),
            f"{kinds}, need floats, bytes of images or whole numbers; try x.astype(np.float32)",
        )
    for what, train, test in (("examples", train_x, test_x), ("targets", train_y, test_y)):
        one, other = (f"{x.dtype}{list(x.shape[1:])}" for x in (train, test))
        checks.require(
            train.shape[1:] == test.shape[1:] and _meaning(train) == _meaning(test),
            f"got {what} of {one} to train and of {other} to test on, need one shape and type; convert one of them",
        )
    got = f"got real targets, {train_y.dtype}, and num_classes={data.num_classes}"
    need = "need whole numbers for classes, y.astype(np.int32) or y.argmax(-1), and num_classes=0 for real targets"
    checks.require(train_y.dtype.kind != "f" or not data.num_classes, f"{got}, {need}")
    held = np.asarray(split.indices)[np.arange(split.indices.shape[1]) < np.asarray(split.counts)[:, None]]
    least, most = int(held.min(initial=0)), int(held.max(initial=0))
    fits = least >= 0 and most < len(train_x) and int(np.max(split.counts)) <= split.indices.shape[1]
    got = f"got a partition of examples {least} to {most}, up to {np.max(split.counts)} in a row, for "
    got += f"{len(train_x)} examples in a table of {split.indices.shape[1]} columns"
    checks.require(fits, f"{got}; divide these data anew, see jdl.data.partition")


def _meaning(x: np.ndarray) -> str:
    """Bytes are images, to be divided by 255; other whole numbers are not."""
    return "bytes" if x.dtype == np.uint8 else KINDS.get(x.dtype.kind, "truths")


def require_model(module: Any) -> None:
    """A sentence unless `module` is an instance with `init` and `apply`, which `jit` can tell from others."""
    got = f"got a model of type {type(module).__name__}"
    if isinstance(module, type):
        got = f"got the class {module.__name__}, not a model made of it"
    need = "need an object with init(key, x) and apply(variables, x)"
    do = "try one of jdl.models, models.Functions(start, run), or models.FromNNX(make)"
    checks.require(isinstance(module, Model) and not isinstance(module, type), f"{got}, {need}; {do}")
    try:
        hash(module)
    except TypeError as error:
        sentence = f"{got}, which cannot be hashed ({error}), need one that can, to know its compiled program by; "
        raise checks.InputError(f"{sentence}make its fields tuples and numbers, its class frozen") from error


def require_variables(variables: Any) -> None:
    """A sentence unless `variables` are collections by name, "params" among them."""
    good = isinstance(variables, Mapping) and "params" in variables
    got = f"got a model with the variables {sorted(variables) if isinstance(variables, Mapping) else type(variables)}"
    checks.require(good, f"{got}, need a dict with 'params', what is learnt; is there nothing to learn?")


@contextlib.contextmanager
def told(module: Any) -> Iterator[None]:
    """A sentence where flax refuses what is asked of `module`."""
    try:
        yield
    except errors.FlaxError as error:
        said = str(error).partition(" (https://")[0].rstrip(".")
        raise checks.InputError(
            f"got {type(module).__name__}, of which flax says: {said}. Need a model that is called with the inputs "
            "alone, without keys, changes no variable, and whose parameters do not depend on the number of examples; "
            "build it with dropout off, say"
        ) from error


def require_frozen(given: PyTree, made: PyTree) -> None:
    """A sentence unless what is given as `frozen` has the names and shapes of what the model makes."""
    names = lambda tree: {jax.tree_util.keystr(k, simple=True, separator="/"): v.shape for k, v in _leaves(tree)}
    got, need = names(given), names(made)
    odd = sorted(name for name in {*got, *need} if got.get(name) != need.get(name))
    listed = "; ".join(f"{name} of shape {got.get(name)} for {need.get(name)}" for name in odd[:3])
    sentence = f"got frozen variables that differ from the model's in {len(odd)} arrays ({listed})"
    checks.require(not odd, f"{sentence}; give the collections of module.init(key, x) but for 'params', or None")


def _leaves(tree: PyTree) -> list:
    return jax.tree_util.tree_flatten_with_path(tree)[0]


def require_outputs(outputs: Any, data: Dataset) -> None:
    """A sentence unless `outputs`, shapes for two examples, can be held against the targets, see `losses`."""
    one = isinstance(outputs, jax.ShapeDtypeStruct)
    got = f"got a model that returns a {type(outputs).__name__}, need one array"
    checks.require(one, f"{got}; wrap it: models.Functions(start, run) with a `run` that returns one")
    ys = [np.asarray(y) for y in (data.train_y, data.test_y)]
    own, real = ys[0].shape[1:], ys[0].dtype.kind == "f"
    fits = outputs.shape in ((2, *own), (2, *own, 1)) if real else outputs.shape[:-1] == (2, *own)
    got = f"got outputs of {list(outputs.shape)} for two examples with targets of {[2, *own]}"
    need = "a number for each target" if real else f"{len(own) + 2} axes, the last for the classes"
    checks.require(fits, f"{got}, need {need}; try another model, or inputs reshaped for it")
    low, high = min(int(y.min()) for y in ys), max(int(y.max()) for y in ys)
    got = f"got classes from {low} to {high} and a model with {outputs.shape[-1]} outputs"
    good = real or 0 <= low <= high < outputs.shape[-1]
    checks.require(good, f"{got}, need classes from 0 on and an output for each; try np.unique(y, return_inverse=True)")
