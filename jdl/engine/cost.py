"""What a function computes and holds in memory, read from its program without running it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
from jax.extend.core import Jaxpr, JaxprEqn

__all__ = ["Cost", "convolves", "cost_of", "work_of"]


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


# A core computes about so many multiply-adds of a matrix product while it computes one number of another operation.
MULTIPLY_ADDS = 8


def work_of(function: Callable[..., Any], *args: Any) -> float:
    """An estimate of how much `function(*args)` computes, the same on every machine; arguments are arrays or shapes.

    It is the number of numbers that all operations compute, and an eighth of the multiply-adds of products. The body of
    a loop counts as often as it runs, if the program says how often, and once otherwise.

    >>> work_of(lambda x: (x + 1) * 2, jax.ShapeDtypeStruct((10,), "float32"))
    20.0
    >>> work_of(lambda x: x @ x, jax.ShapeDtypeStruct((8, 8), "float32"))
    128.0
    >>> work_of(lambda x: jax.lax.map(lambda row: row + 1, x), jax.ShapeDtypeStruct((5, 10), "float32"))
    50.0
    """
    return _work(jax.make_jaxpr(function)(*args).jaxpr)


def _work(program: Jaxpr) -> float:
    total = 0.0
    for equation in program.eqns:
        inner = _inner(equation)
        if inner:
            total += equation.params.get("length", 1) * sum(map(_work, inner))
        else:
            made = sum(out.aval.size for out in equation.outvars)
            total += made * (1 + _multiply_adds(equation) / MULTIPLY_ADDS)
    return total


def _multiply_adds(equation: JaxprEqn) -> int:
    """The number of multiply-adds for each number of the result; 0 if the operation is not a product."""
    name = equation.primitive.name
    if name not in PRODUCTS:
        return 0
    left, right = (var.aval.shape for var in equation.invars[:2])
    if name == "dot_general":
        return math.prod(left[axis] for axis in equation.params["dimension_numbers"][0][0])
    if name == "conv_general_dilated":
        return math.prod(right) // right[equation.params["dimension_numbers"].rhs_spec[0]]
    return left[-1] if name == "dense" else math.prod(right) // right[-1]


@functools.lru_cache(maxsize=128)
def convolves(program: Jaxpr) -> bool:
    """Whether there are convolutions in a program."""
    return _has(program, CONVOLUTIONS)


def _has(program: Jaxpr, names: set[str]) -> bool:
    return any(equation.primitive.name in names for equation in _equations(program))


def _equations(program: Jaxpr) -> Iterator[Any]:
    """All equations of a program. An equation that holds a program is replaced by the equations of that program."""
    for equation in program.eqns:
        inner = _inner(equation)
        for value in inner:
            yield from _equations(value)
        if not inner:
            yield equation


def _inner(equation: JaxprEqn) -> list[Jaxpr]:
    """The programs that an equation holds."""
    inner = [getattr(value, "jaxpr", value) for value in equation.params.values()]
    return [value for value in inner if isinstance(value, Jaxpr)]
