"""What a function holds while it runs, read off its program without running it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Jaxpr

__all__ = ["held_bytes"]


def held_bytes(function: Callable[..., Any], *args: Any) -> int:
    """Bytes of all intermediate values of `function(*args)`, arrays or shapes: an upper bound, before fusion.

    >>> import jax.numpy as jnp
    >>> held_bytes(lambda x: (x + 1) * 2, jax.ShapeDtypeStruct((10,), jnp.float32))
    80
    """
    return _held(jax.make_jaxpr(function)(*args).jaxpr)


def _held(program: Any) -> int:
    total = 0
    for equation in program.eqns:
        inner = [getattr(value, "jaxpr", value) for value in equation.params.values()]
        inner = [value for value in inner if isinstance(value, Jaxpr)]
        if inner:
            total += sum(_held(value) for value in inner)
        else:
            total += sum(out.aval.size * out.aval.dtype.itemsize for out in equation.outvars)
    return total
