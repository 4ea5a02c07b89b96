"""Models with batch statistics: they are refused, or normalised by each batch alone if the user chooses so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import linen as nn

from jdl import checks
from jdl.models.from_nnx import BY_THE_BATCH, STATISTICS, FromNNX, path_name
from jdl.types import Key, PyTree

__all__ = ["PersonalStatistics", "by_the_batch", "without_batch_statistics"]


@dataclasses.dataclass(frozen=True)
class PersonalStatistics:
    """A model with batch normalisation in which each batch is always normalised by its own mean and variance.

    It is the explicit alternative where `without_batch_statistics` refuses. Running averages do not exist: they are not
    kept, not sent and not averaged, and "params" (including scales and biases of the normalisation) is all that a node
    has.

    In training, this is what batch normalisation always does, with the node's own minibatch. Examples that pad a batch
    (in the last batch of a pass, or at a node with fewer examples than the batch size) count in its statistics, so
    prefer `sampling="replacement"`. In evaluation, the evaluated batch is normalised by its own statistics. So a
    prediction depends on the other examples in the batch, and a single example has no useful statistics.

    Args:
      module: a flax.linen module with `nn.BatchNorm`, or `FromNNX` of a module with `nnx.BatchNorm`, called in any
        mode: the layers are switched to the statistics of the batch, and their axis names are ignored. (Only a call
        `nnx.BatchNorm()(x, use_running_average=True)` cannot be switched: its outputs are NaN.)

    Raises:
      InputError: if the module has no batch normalisation, or has statistics in other layers.

    References:
      Ioffe and Szegedy, "Batch Normalization", ICML 2015; Li et al., "FedBN: Federated Learning on Non-IID Features via
      Local Batch Normalization", ICLR 2021, which also keeps scales and biases on the node: `jdl.exchange.PerModule`.

    >>> import jax, jax.numpy as jnp
    >>> from flax import linen as nn
    >>> model = PersonalStatistics(nn.BatchNorm(use_running_average=True))
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 1)))
    >>> list(variables), model.apply(variables, jnp.array([[1.0], [3.0]])).round(2).tolist()
    (['params'], [[-1.0], [1.0]])
    """

    module: nn.Module | FromNNX

    def init(self, key: Key, x: jax.Array) -> PyTree:
        """The variables of the module without its batch statistics."""
        good = isinstance(self.module, nn.Module | FromNNX)
        checks.require(good, f"got {self.module!r}, need a flax.linen module or FromNNX(make); statistics are theirs")
        normalised: set[str] = set()
        if isinstance(self.module, FromNNX):
            from flax import nnx

            variables = self.module.init(key, x)
            parts = nnx.iter_modules(self.module.module(variables))
            normalised |= {path_name(path) for path, part in parts if isinstance(part, nnx.BatchNorm)}
        else:
            with nn.intercept_methods(by_the_batch(normalised)):
                variables = self.module.init(key, x)
        layers = _layers(variables)
        checks.require(
            bool(layers), "got a model without batch statistics, which needs no PersonalStatistics; leave it out"
        )
        others = ", ".join(sorted(set(layers) - normalised))
        checks.require(
            not others, f"got batch statistics in {others}, need them in BatchNorm alone; take such layers out"
        )
        return {name: values for name, values in variables.items() if name != STATISTICS}

    def apply(self, variables: PyTree, x: jax.Array) -> jax.Array:
        """The outputs for x, normalised by the statistics of x."""
        if isinstance(self.module, FromNNX):
            return self.module.by_the_batch(variables, x)
        with nn.intercept_methods(by_the_batch(set())):
            outputs, _ = self.module.apply(variables, x, mutable=[STATISTICS])  # the new statistics are dropped
        return outputs


def without_batch_statistics(module: Any, x: jax.Array) -> PyTree:
    """The shapes of a model's variables, after a check that no batch statistics are among them.

    Args:
      module: the model.
      x: inputs of one example, `f[1, ...]`, or their shape.

    Raises:
      InputError: if the variables have a collection "batch_stats" (flax's name; `FromNNX` uses it for
        `nnx.BatchStat`), or if the model is an nnx module itself.

    >>> import jax.numpy as jnp
    >>> from flax import linen as nn
    >>> without_batch_statistics(nn.Sequential([nn.Dense(3), nn.BatchNorm(True)]), jnp.zeros((1, 2)))
    Traceback (most recent call last):
    jdl.checks.InputError: got batch statistics in layers_1: between nodes they would be averaged over other data, or \
stay at their start unnoticed; use GroupNorm, or models.PersonalStatistics(module), under which each batch has its own
    """
    wrap = f"got {type(module).__name__}, an nnx module; hand over what makes it: models.FromNNX(lambda rngs: ...)"
    checks.require(not any(kind.__module__.startswith("flax.nnx.") for kind in type(module).__mro__), wrap)
    shapes = jax.eval_shape(module.init, jax.eval_shape(jax.random.key, 0), x)
    layers = _layers(shapes)
    checks.require(
        not layers,
        f"got batch statistics in {', '.join(layers)}: between nodes they would be averaged over other data, or "
        "stay at their start unnoticed; use GroupNorm, or models.PersonalStatistics(module), under which each batch "
        "has its own",
    )
    return shapes


def _layers(variables: PyTree) -> list[str]:
    """The names of the layers with batch statistics, at any depth of the variables."""
    paths = [tuple(map(_word, path)) for path, _ in jax.tree_util.tree_flatten_with_path(variables)[0]]
    return list(dict.fromkeys(path_name(path[path.index(STATISTICS) + 1 : -1]) for path in paths if STATISTICS in path))


def by_the_batch(paths: set[str], more: Mapping[str, Any] | None = None) -> Callable:
    """An interceptor that makes each `nn.BatchNorm` normalise by the current batch, and records its path in `paths`.

    Args:
      paths: takes the paths.
      more: further options that the layers take, or None.
    """
    options = BY_THE_BATCH | dict(more or {})

    def switched(call: Callable, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        layer = context.module
        if not isinstance(layer, nn.BatchNorm) or context.method_name != "__call__":
            return call(*args, **kwargs)
        paths.add(path_name(layer.path))
        kwargs = {"x": args[0] if args else kwargs["x"], "mask": kwargs.get("mask")}
        if all(getattr(layer, name) == value for name, value in options.items()):
            return call(**kwargs)
        # A clone in the same scope has the same parameters; its call returns here and passes the test above.
        return layer.clone(parent=layer.scope, **options)(**kwargs)

    return switched


def _word(key: Any) -> str:
    return jax.tree_util.keystr((key,), simple=True)
