"""The fields of a part and other numbers, checked against their types and bounds."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any

from jdl.checks.mark import settled
from jdl.checks.sentences import InputError, require

__all__ = ["bounded", "fields", "one_number", "whole"]


def fields(part: Any) -> None:
    """Check the fields of a part (see `types.number`, `types.static`), and of the parts inside it.

    Raises:
      InputError: if a field is not of its type, or not within its bounds.
    """
    if not dataclasses.is_dataclass(part) or isinstance(part, type):
        return
    for field in dataclasses.fields(part):
        value, usual = settled(getattr(part, field.name)), field.default
        minimum, maximum = field.metadata.get("minimum"), field.metadata.get("maximum")
        name = f"{type(part).__name__}.{field.name}"
        if dataclasses.is_dataclass(value):
            fields(value)
        elif value is None and usual is None:
            continue
        elif field.type in ("float", float):
            one_number(name, value, usual)
            bounded(name, value, minimum, maximum, usual)
        elif field.type in ("bool", bool):
            require(isinstance(value, bool), f"got {name}={value!r}, need True or False; try {name}={usual}")
        elif field.type in ("str", str):
            require(isinstance(value, str), f"got {name}={value!r}, need a word; try {name}={usual!r}")
        elif minimum is None and maximum is None:
            continue
        elif field.metadata.get("pytree_node", True):
            bounded(name, value, minimum, maximum, usual)
        else:
            whole(name, value, minimum)


def one_number(name: str, value: Any, usual: Any) -> None:
    """Check that `value` is one real number: neither an array, nor a list, nor a function.

    Raises:
      InputError: if it is not.
    """
    import numpy as np

    settled(value)
    try_ = f"try {name}={usual}" if isinstance(usual, numbers.Real) else "give one"
    more = "; a rate that changes from round to round is lr=0.1 with decay=lambda t: 1 / (1 + 0.01 * t)"
    require(not callable(value), f"got {name}={value!r}, a function, need one number; {try_}{more}")
    good = isinstance(value, numbers.Real | np.generic) or hasattr(value, "dtype")
    shape = f"an array of shape {np.shape(value)}" if hasattr(value, "dtype") else repr(value)
    good = good and np.shape(value) == () and not isinstance(value, bool | np.bool_)
    require(good, f"got {name}={shape}, need one number, the same for all nodes and coordinates; {try_}")


def bounded(name: str, value: Any, minimum: float | None, maximum: float | None, usual: Any = None) -> None:
    """Check that a number, or an array of numbers, lies within inclusive bounds.

    Raises:
      InputError: if it does not; it advises the `usual` value.
    """
    import numpy as np

    if minimum is None and maximum is None:
        return
    array = np.asarray(value)
    low, high = -math.inf if minimum is None else minimum, math.inf if maximum is None else maximum
    numeric = np.issubdtype(array.dtype, np.number)
    if numeric and array.size and bool(np.all((array >= low) & (array <= high))):  # NaN fails both comparisons
        return
    if minimum is not None and maximum is not None:
        span = f"between {low} and {high}"
    else:
        span = f"of at least {low}" if maximum is None else f"of at most {high}"
    known = [one for one in (usual, minimum, maximum) if isinstance(one, numbers.Real)]
    raise InputError(f"got {name}={value!r}, need a number {span}; try {name}={known[0]}")


def whole(name: str, value: Any, minimum: int, why: str = "") -> int:
    """Check that `value` is a whole number of at least `minimum`, and return it as an int.

    Raises:
      InputError: if it is not.

    >>> whole("rounds", 0, 1)
    Traceback (most recent call last):
    jdl.checks.InputError: got rounds=0, need a whole number of at least 1; try rounds=1
    """
    settled(value)
    good = isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= minimum
    meant = int(value) if isinstance(value, float) and value.is_integer() and value >= minimum else minimum
    require(good, f"got {name}={value!r}, {why or 'need'} a whole number of at least {minimum}; try {name}={meant}")
    return int(value)
