"""flax.nnx modules as models: their variables by collection, and their call as a function of the variables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from jdl import checks
from jdl.types import Key, PyTree

if TYPE_CHECKING:  # importing it takes half a second and loads IPython, so functions import it where they use it
    from flax import nnx

__all__ = ["BY_THE_BATCH", "STATISTICS", "FromNNX", "path_name"]

STATISTICS = "batch_stats"  # flax.linen's name of the collection
# The options that make a batch normalisation layer, of linen or nnx, use only the statistics of the current batch.
BY_THE_BATCH = {"use_running_average": False, "axis_name": None, "axis_index_groups": None}
COLLECTIONS = ("params", STATISTICS, "frozen")  # in the order of `_split`


@dataclasses.dataclass(frozen=True)
class FromNNX:
    """A flax.nnx model: `make(rngs) -> nnx.Module`, which is called with the inputs only.

    `nnx.Param` variables are learnt and belong to "params". `nnx.BatchStat` variables belong to "batch_stats", see
    `PersonalStatistics`. The other variables are constants and belong to "frozen", which a problem holds once. `make`
    runs again (for shapes only) whenever a program is traced. Two `FromNNX` of the same `make` are the same model and
    the same program, so define `make` once, outside of loops.

    Args:
      make: function that builds the module from its keys, with the same structure every time.
      deterministic: a module that keeps random keys (dropout) is refused by default, because `apply` has no keys. True
        accepts it and sets `deterministic=True` in all its parts: dropout is then off, in training as well.

    Raises:
      InputError: if the module keeps keys and `deterministic` is False, or if its call changes a variable.

    >>> import jax, jax.numpy as jnp
    >>> from flax import nnx
    >>> model = FromNNX(lambda rngs: nnx.Linear(4, 2, rngs=rngs))
    >>> variables = model.init(jax.random.key(0), jnp.ones((1, 4)))
    >>> jax.tree.map(jnp.shape, variables), model.apply(variables, jnp.ones((5, 4))).shape
    ({'params': {'bias': (2,), 'kernel': (4, 2)}}, (5, 2))
    """

    make: Callable[[nnx.Rngs], nnx.Module]
    deterministic: bool = False

    def init(self, key: Key, x: jax.Array) -> PyTree:
        """The variables of a new module, by collection, without empty collections."""
        from flax import nnx

        graph, *states = _split(self.make(nnx.Rngs(key)))
        keys = [path_name(path) for path, _ in nnx.to_flat_state(states[-1])]
        checks.require(
            self.deterministic or not keys,
            f"got an nnx module that draws random numbers ({', '.join(keys[:3])}), need one that does not: a model is "
            "applied without keys; build it without dropout, or turn it off by FromNNX(make, deterministic=True)",
        )
        jax.eval_shape(lambda states: _unchanged(nnx.merge(graph, *states), x), states)
        pure = {name: _pure(state) for name, state in zip(COLLECTIONS, states, strict=False)}
        return {name: values for name, values in pure.items() if name == "params" or jax.tree.leaves(values)}

    def apply(self, variables: PyTree, x: jax.Array) -> jax.Array:
        """The outputs for x; batches are normalised by the statistics in the variables."""
        made = self.module(variables)
        made.set_attributes(use_running_average=True, raise_if_not_found=False)
        return made(x)

    def by_the_batch(self, variables: PyTree, x: jax.Array) -> jax.Array:
        """The outputs for x, normalised by the statistics of x."""
        from flax import nnx

        made = self.module(variables)
        made.set_attributes(nnx.BatchNorm, **BY_THE_BATCH, raise_if_not_found=False)
        return made(x)

    def statistics(self, variables: PyTree, x: jax.Array) -> PyTree:
        """The statistics of x in each layer of batch normalisation, as "batch_stats"."""
        from flax import nnx

        made = self.module(variables)
        # With momentum 0 a layer forgets what it has, but a NaN would stay one.
        nnx.update(made, jax.tree.map(jnp.zeros_like, nnx.state(made, nnx.BatchStat)))
        made.set_attributes(nnx.BatchNorm, **BY_THE_BATCH, momentum=0.0, raise_if_not_found=False)
        made(x)
        return _pure(_split(made)[1 + COLLECTIONS.index(STATISTICS)])

    def module(self, variables: PyTree) -> nnx.Module:
        """The nnx module with these values. Without "batch_stats" its statistics are NaN and must not be read."""
        from flax import nnx

        graph, *states = _split(nnx.eval_shape(lambda: self.make(nnx.Rngs(0))))
        for name, state in zip(COLLECTIONS, states, strict=False):
            if name in variables or (name != STATISTICS and jax.tree.leaves(state)):
                nnx.replace_by_pure_dict(state, variables[name])
        made = nnx.merge(graph, *jax.tree.map(_filler, states))
        made.set_attributes(deterministic=True, raise_if_not_found=False)
        return made


def _split(module: nnx.Module) -> tuple:
    """The structure of a module, and its parameters, batch statistics, constants and keys."""
    from flax import nnx

    graph, params, statistics, keys, rest = nnx.split(module, nnx.Param, nnx.BatchStat, nnx.RngState, ...)
    return graph, params, statistics, rest, keys


def _pure(state: nnx.State | dict) -> dict:
    """The values as nested dicts with string keys: integer keys of a list could not be sorted among strings."""
    from flax import nnx

    values = nnx.to_pure_dict(state) if isinstance(state, nnx.State) else state
    return {str(key): _pure(value) if isinstance(value, dict) else value for key, value in values.items()}


def _filler(leaf: Any) -> Any:
    """A placeholder value for a shape: keys that are never used, and statistics that are never read."""
    if not isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jnp.broadcast_to(jax.random.key(0), leaf.shape)
    return jnp.full(leaf.shape, jnp.nan if jnp.issubdtype(leaf.dtype, jnp.floating) else 0, leaf.dtype)


def _unchanged(module: nnx.Module, x: jax.Array) -> None:
    """Check that a call does not change the module's variables: under tracing, a changed value is another object.

    Raises:
      InputError: if a call changes a variable.
    """
    from flax import nnx

    module.set_attributes(deterministic=True, use_running_average=True, raise_if_not_found=False)
    held = lambda: {path_name(path): leaf.get_value() for path, leaf in nnx.to_flat_state(nnx.state(module))}
    before = held()
    module(x)
    after = held()
    changed = [name for name in before if after.get(name) is not before[name]]
    checks.require(
        not changed,
        f"got an nnx module whose call changes {', '.join(changed[:3])}: a model is a function of parameters and "
        "inputs, the change would be lost; take it out, or pass what it remembers with the inputs",
    )


def path_name(path: tuple) -> str:
    """A path in a model as a string."""
    return "/".join(map(str, path)) or "the module itself"
