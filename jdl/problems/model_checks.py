"""Check that a model fits the data, by shapes alone, before anything is computed.

Some models that do not fit would run and learn something else: NumPy's broadcasting turns outputs f[B, 1] minus targets
f[B] into a table of B x B differences. `jdl.data.validate` checks the data themselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import errors

from jdl import checks
from jdl.data import Dataset
from jdl.types import Key, PyTree

__all__ = [
    "Model",
    "model_errors_explained",
    "require_frozen",
    "require_model",
    "require_outputs",
    "require_variables",
]


@runtime_checkable
class Model(Protocol):
    """The interface of flax.linen modules.

    `init` makes the variables from a key and inputs; `apply` computes the outputs from variables and inputs.
    """

    def init(self, key: Key, x: jax.Array) -> PyTree: ...

    def apply(self, variables: PyTree, x: jax.Array) -> jax.Array: ...


def require_model(module: Any) -> None:
    """Check that a model has `init` and `apply`, and can be hashed.

    Args:
      module: the caller's model.

    Raises:
      InputError: if it lacks a method, is a class and not an instance, or cannot be hashed.
    """
    got = f"got a model of type {type(module).__name__}"
    if isinstance(module, type):
        got = f"got the class {module.__name__}, not a model made of it"
    need = "need an object with init(key, x) and apply(variables, x)"
    do = "try one of jdl.models, models.Functions(start, run), or models.FromNNX(make)"
    checks.require(isinstance(module, Model) and not isinstance(module, type), f"{got}, {need}; {do}")
    try:
        hash(module)
    except TypeError as error:
        sentence = (
            f"{got}, which cannot be hashed ({error}), need one that can: its hash identifies its compiled program; "
        )
        raise checks.InputError(f"{sentence}make its fields tuples and numbers, its class frozen") from error


def require_variables(variables: Any) -> None:
    """Check that the variables of a model have a collection "params" of real numbers.

    Args:
      variables: the variables, or their shapes.

    Raises:
      InputError: if there is no such collection, or if it holds numbers that are not real.
    """
    good = isinstance(variables, Mapping) and "params" in variables
    got = f"got a model with the variables {sorted(variables) if isinstance(variables, Mapping) else type(variables)}"
    checks.require(good, f"{got}, need a dict with 'params', the parameters to learn; give the model some")
    odd = [(path, leaf) for path, leaf in _leaves(variables["params"]) if not jnp.issubdtype(leaf.dtype, jnp.floating)]
    name = jax.tree_util.keystr(odd[0][0], simple=True, separator="/") if odd else ""
    got = f"got a model with the parameter {name} of type {odd[0][1].dtype if odd else ''}"
    do = "put variables that are not learnt into the collection 'frozen': self.variable('frozen', ...)"
    checks.require(not odd, f"{got}, need real numbers, which have gradients; {do}")


@contextlib.contextmanager
def model_errors_explained(module: Any) -> Iterator[None]:
    """A context in which errors of a model become `InputError`.

    Args:
      module: the model.

    Raises:
      InputError: if flax refuses a call of the model, or if the model needs more arguments than the inputs.
    """
    try:
        yield
    except TypeError as error:
        if "required" not in str(error) or "argument" not in str(error):
            raise
        raise checks.InputError(
            f"got {type(module).__name__}, of which Python says: {error}. Need a model that is called with the inputs "
            "alone; give its other arguments defaults, such as train=False"
        ) from error
    except errors.FlaxError as error:
        message = str(error).partition(" (https://")[0].rstrip(".")
        raise checks.InputError(
            f"got {type(module).__name__}, of which flax says: {message}. Need a model that is called with the inputs "
            "alone, without keys, changes no variable, and whose parameters do not depend on the number of examples; "
            "for example, build it without dropout"
        ) from error


def require_frozen(given: PyTree, made: PyTree) -> None:
    """Check that the frozen variables have the names and shapes of those that the model makes.

    Args:
      given: the caller's frozen variables.
      made: the shapes of the model's own.

    Raises:
      InputError: if a name or a shape differs.
    """
    names = lambda tree: {jax.tree_util.keystr(k, simple=True, separator="/"): v.shape for k, v in _leaves(tree)}
    got, need = names(given), names(made)
    odd = sorted(name for name in {*got, *need} if got.get(name) != need.get(name))
    listed = "; ".join(f"{name} of shape {got.get(name)} for {need.get(name)}" for name in odd[:3])
    sentence = f"got frozen variables that differ from the model's in {len(odd)} arrays ({listed})"
    checks.require(not odd, f"{sentence}; give all collections of module.init(key, x) except 'params', or None")


def _leaves(tree: PyTree) -> list:
    return jax.tree_util.tree_flatten_with_path(tree)[0]


def require_outputs(outputs: Any, data: Dataset) -> None:
    """Check that the outputs of a model fit the targets, see `losses`.

    Args:
      outputs: the shapes of the outputs for two examples.
      data: the data set.

    Raises:
      InputError: if the shape does not fit, if the outputs are not real, or if there are fewer outputs than classes.
    """
    one = isinstance(outputs, jax.ShapeDtypeStruct)
    got = f"got a model that returns a {type(outputs).__name__}, need one array"
    checks.require(one, f"{got}; wrap it: models.Functions(start, run) with a `run` that returns one")
    got = f"got a model that returns {outputs.dtype}"
    checks.require(jnp.issubdtype(outputs.dtype, jnp.floating), f"{got}, need real numbers; return them before argmax")
    ys = [np.asarray(y) for y in (data.train_y, data.test_y)]
    own, real = ys[0].shape[1:], ys[0].dtype.kind == "f"
    fits = outputs.shape in ((2, *own), (2, *own, 1)) if real else outputs.shape[:-1] == (2, *own)
    got = f"got outputs of {list(outputs.shape)} for two examples with targets of {[2, *own]}"
    need = "a number for each target" if real else f"{len(own) + 2} axes, the last for the classes"
    checks.require(fits, f"{got}, need {need}; try another model, or reshape its inputs")
    high = max(int(y.max()) for y in ys)
    got = f"got classes from 0 to {high} and a model with {outputs.shape[-1]} outputs"
    checks.require(
        real or high < outputs.shape[-1], f"{got}, need an output for each class; give the model more outputs"
    )
