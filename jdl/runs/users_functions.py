"""Checks of the functions that a user gives to a method: optimizers and decays of the rate."""

from __future__ import annotations

import dataclasses
import functools
import typing
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jdl import checks, local, tree
from jdl.types import PyTree

__all__ = ["check_functions"]


def check_functions(algorithm: Any, params: PyTree) -> None:
    """Check the optimizers and decays among the fields of a method, and of the methods that it contains.

    Args:
      algorithm: any method.
      params: the shapes of one model.

    Raises:
      InputError: if an optimizer is not an optax transform, is a function that makes one, or multiplies by a rate of
        its own; if a decay is not a function of the round that JAX can trace.
    """
    if not dataclasses.is_dataclass(algorithm) or isinstance(algorithm, type):
        return
    hints = _hints(type(algorithm))
    for field in dataclasses.fields(algorithm):
        value, name = getattr(algorithm, field.name), f"{type(algorithm).__name__}.{field.name}"
        if hints.get(field.name) == local.Optimizer or isinstance(value, optax.GradientTransformation):
            _optimizer(name, value, params)
        elif hints.get(field.name) == local.Decay | None and value is not None:
            _decay(name, value)
        elif dataclasses.is_dataclass(value):
            check_functions(value, params)


@functools.lru_cache(maxsize=256)
def _hints(kind: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind)
    except Exception:  # the user's class may have annotations that name nothing in its module
        return {}


# A warm-up from a rate of zero shows the sign of its rate within these many steps.
PROBED_STEPS = 3


def _optimizer(name: str, optimizer: Any, params: PyTree) -> None:
    """Check that an optimizer can be applied, and that it keeps the sign of a gradient of ones."""
    if isinstance(optimizer, str):
        local.transform(optimizer)
        return
    given = getattr(optimizer, "__name__", None) or repr(optimizer)
    names = ", ".join(sorted(local.OPTIMIZERS))
    made = callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None))
    call = f"; call it: {given}(...)" if callable(optimizer) else f"; try one of {names}"
    checks.require(made, f"got {name}={given}, need a name ({names}) or an optax transform without its rate{call}")
    start, up = tree.zeros_like(params), jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), params)
    try:
        with jax.numpy_dtype_promotion("standard"):
            state, along = optimizer.init(start), 0.0
            for _ in range(PROBED_STEPS):
                update, state = optimizer.update(up, state, start)
                along += float(sum(jnp.sum(leaf) for leaf in jax.tree.leaves(update)))
    except Exception as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise checks.InputError(
            f"got {name}, an optax transform that cannot be applied to a gradient of this model ({why}), need one that "
            "takes only the gradient, its state and the model; choose another"
        ) from error
    checks.require(
        not along < 0,
        f"got {name}, an optax transform that holds a rate of its own: it changes the sign of the gradient, and jdl "
        "itself multiplies the update by lr and subtracts it; give the transform without its rate (optax.identity() "
        "for optax.sgd, optax.scale_by_adam() for optax.adam), and give the rate as lr",
    )


def _decay(name: str, decay: Any) -> None:
    """Check that a decay maps a traced round to one factor."""
    need = "need a function of the round, t -> factor on lr, or None"
    try_ = "try lambda t: 1 / (1 + 0.01 * t)"
    checks.require(callable(decay), f"got {name}={decay!r}, {need}; {try_}")
    try:
        with jax.numpy_dtype_promotion("standard"):
            factor = jax.eval_shape(decay, jax.ShapeDtypeStruct((), jnp.int32))
    except Exception as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise checks.InputError(
            f"got {name}, which fails where t is a traced array, i32[] ({type(error).__name__}: {why}), {need} that "
            f"JAX can trace: jnp in place of float(t), math and `if`; {try_}"
        ) from error
    scalar = isinstance(factor, jax.ShapeDtypeStruct) and factor.shape == ()
    got = f"of shape {factor.shape}" if isinstance(factor, jax.ShapeDtypeStruct) else repr(factor)
    checks.require(scalar, f"got {name} that returns {got}, {need}; {try_}")
