"""What a function holds while it runs, read off its program without running it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import Jaxpr

__all__ = ["held_bytes", "multiplies"]


def held_bytes(function: Callable[..., Any], *args: Any) -> int:
    """Bytes of all intermediate values of `function(*args)`, arrays or shapes: an upper bound, before fusion.

    >>> import jax.numpy as jnp
    >>> held_bytes(lambda x: (x + 1) * 2, jax.ShapeDtypeStruct((10,), jnp.float32))
    80
    """
    equations = _equations(jax.make_jaxpr(function)(*args).jaxpr)
    return sum(out.aval.size * out.aval.dtype.itemsize for equation in equations for out in equation.outvars)


def multiplies(function: Callable[..., Any], *args: Any) -> bool:
    """Whether `function(*args)` takes matrix products or convolutions.

    >>> multiplies(lambda x: x @ x, jax.ShapeDtypeStruct((2, 2), "float32"))
    True
    """
    equations = _equations(jax.make_jaxpr(function)(*args).jaxpr)
    return any(equation.primitive.name in ("dot_general", "conv_general_dilated") for equation in equations)


def _equations(program: Jaxpr) -> Iterator[Any]:
    """All equations of a program, those of the programs inside it in place of the one that holds them."""
    for equation in program.eqns:
        inner = [getattr(value, "jaxpr", value) for value in equation.params.values()]
        inner = [value for value in inner if isinstance(value, Jaxpr)]
        for value in inner:
            yield from _equations(value)
        if not inner:
            yield equation
