"""The marks inside the arguments of a sweep: where they are, and the arguments with values in their places."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from jdl import checks

__all__ = ["Path", "children", "dotted", "marks", "replaced"]

Path = tuple[str | int, ...]


def marks(value: Any, path: Path = ()) -> Iterator[tuple[Path, checks.Mark]]:
    """The marks in a value with their paths, in the order in which they are written; not those inside other marks.

    Args:
      value: arguments, or any part of them: marks are looked for in dicts, lists, tuples, the fields of dataclasses,
        and the arguments of `functools.partial`.
      path: the path of the value itself.

    Yields:
      The path (names of arguments and fields, indices of lists) and the mark.

    Raises:
      InputError: if there is a mark in an array or in a set.
    """
    if isinstance(value, checks.Mark):
        yield path, value
        return
    if isinstance(value, set | frozenset) or (isinstance(value, np.ndarray) and value.dtype.hasobject):
        inside = value if isinstance(value, set | frozenset) else value.ravel()
        found = next((one for one in inside if isinstance(one, checks.Mark)), None)
        kind = "a set" if isinstance(value, set | frozenset) else "an array"
        need = f"got {found!r} within {kind} at {dotted(path)}, need marks in lists, dicts, fields or arguments"
        checks.require(found is None, f"{need}; mark whole arrays, over(array, other)")
    for step, inside in children(value):
        yield from marks(inside, (*path, step))


def children(value: Any) -> Iterator[tuple[str | int, Any]]:
    """What is inside a value, by the name of the field or argument, or the index."""
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, functools.partial):
        names = _parameters(value)
        yield from ((names.get(index, index), one) for index, one in enumerate(value.args))
        yield from value.keywords.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value))


def _parameters(recipe: functools.partial) -> dict[int, str]:
    """The names of the positional parameters of a recipe's function, as far as it tells them."""
    try:
        return dict(enumerate(inspect.signature(recipe.func).parameters))
    except (TypeError, ValueError):
        return {}


def replaced(value: Any, choose: Callable[[checks.Mark], Any]) -> Any:
    """A value with each mark replaced by what `choose(mark)` returns; what holds no mark stays the same object.

    >>> from jdl import algorithms
    >>> from jdl.sweeps.over import over
    >>> replaced({"algorithm": algorithms.DPSGD(lr=over(0.1, 0.3))}, lambda mark: mark.values[1])["algorithm"].lr
    0.3
    """
    if isinstance(value, checks.Mark):
        return choose(value)
    if next(marks(value), None) is None:
        return value
    if isinstance(value, Mapping):
        changed = {key: replaced(one, choose) for key, one in value.items()}
        return changed if type(value) is dict else type(value)(changed)
    if isinstance(value, functools.partial):
        keywords = {key: replaced(one, choose) for key, one in value.keywords.items()}
        return functools.partial(value.func, *(replaced(one, choose) for one in value.args), **keywords)
    if isinstance(value, list | tuple):
        items = [replaced(one, choose) for one in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    changed = {name: replaced(one, choose) for name, one in children(value) if next(marks(one), None) is not None}
    return dataclasses.replace(value, **changed)


def dotted(path: Path) -> str:
    """A path as text.

    >>> dotted(("network", 0, "share"))
    'network.0.share'
    """
    return ".".join(map(str, path))
