"""The dense layers of a flax.linen module: their paths, and the selection of some of them by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import linen as nn

from jdl import checks
from jdl.models import layers
from jdl.types import Key, PyTree

__all__ = ["chosen", "is_dense", "with_paths"]

DENSE = (nn.Dense, layers.Dense)


def with_paths(module: nn.Module, key: Key, x: jax.Array) -> tuple[PyTree, list[str]]:
    """The variables of a module, initialised with `key`, and the paths of the dense layers that it calls, in order.

    Raises:
      InputError: if the module calls no dense layer.
    """
    paths: dict[str, None] = {}

    def note(call: Callable, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        if is_dense(context):
            paths["/".join(context.module.path)] = None
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        variables = module.init(key, x)
    need = "need a flax.linen module with nn.Dense or jdl.models.layers.Dense in it"
    checks.require(bool(paths), f"got {type(module).__name__}, {need}; build it from those")
    return variables, list(paths)


def is_dense(context: nn.module.InterceptorContext) -> bool:
    """Whether the intercepted call is that of a dense layer."""
    return isinstance(context.module, DENSE) and context.method_name == "__call__"


def chosen(paths: Sequence[str], targets: Sequence[str]) -> list[str]:
    """The paths that contain a target, by whole names; all paths if there are no targets.

    Raises:
      InputError: if a target is in no path.

    >>> chosen(["block_0/attention/query", "block_0/mlp/in", "block_10/mlp/in"], ["query", "block_0/mlp"])
    ['block_0/attention/query', 'block_0/mlp/in']
    """
    for target in targets:
        names = sorted({name for path in paths for name in path.split("/")})
        got = f"got target {target!r}, which no dense layer has in its path; need one of {', '.join(names)}"
        checks.require(any(_within(target, path) for path in paths), got)
    return [path for path in paths if not targets or any(_within(target, path) for target in targets)]


def _within(target: str, path: str) -> bool:
    return f"/{target}/" in f"/{path}/"
