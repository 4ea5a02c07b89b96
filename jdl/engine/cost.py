"""What a function computes and holds in memory, read from its program without running it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
from jax.extend.core import Jaxpr

__all__ = ["Cost", "convolves", "cost_of"]


# The second name in each set is that of jdl.models.layers.
CONVOLUTIONS = {"conv_general_dilated", "convolution"}
PRODUCTS = {"dot_general", "dense"} | CONVOLUTIONS


class Cost(NamedTuple):
    """What a program computes.

    Attributes:
      held_bytes: the size of all intermediate values, an upper bound, since XLA fuses some.
      multiplies: whether there are matrix products or convolutions.
      convolves: whether there are convolutions.
    """

    held_bytes: int
    multiplies: bool
    convolves: bool


def cost_of(function: Callable[..., Any], *args: Any) -> Cost:
    """The cost of `function(*args)`, where arguments are arrays or shapes.

    >>> cost_of(lambda x: (x + 1) * 2, jax.ShapeDtypeStruct((10,), "float32"))
    Cost(held_bytes=80, multiplies=False, convolves=False)
    >>> cost_of(lambda x: x @ x, jax.ShapeDtypeStruct((2, 2), "float32"))
    Cost(held_bytes=16, multiplies=True, convolves=False)
    """
    program = jax.make_jaxpr(function)(*args).jaxpr
    outs = (out.aval for equation in _equations(program) for out in equation.outvars)
    held = sum(out.size * out.dtype.itemsize for out in outs)
    return Cost(held, _has(program, PRODUCTS), convolves(program))


def convolves(program: Jaxpr) -> bool:
    """Whether there are convolutions in a program."""
    return _has(program, CONVOLUTIONS)


def _has(program: Jaxpr, names: set[str]) -> bool:
    return any(equation.primitive.name in names for equation in _equations(program))


def _equations(program: Jaxpr) -> Iterator[Any]:
    """All equations of a program. An equation that holds a program is replaced by the equations of that program."""
    for equation in program.eqns:
        inner = [getattr(value, "jaxpr", value) for value in equation.params.values()]
        inner = [value for value in inner if isinstance(value, Jaxpr)]
        for value in inner:
            yield from _equations(value)
        if not inner:
            yield equation
