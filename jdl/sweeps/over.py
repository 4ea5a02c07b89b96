"""The mark of a sweep: several values for one place in the arguments of `jdl.sweep`."""

from __future__ import annotations

import numbers
from typing import Any

from jdl import checks
from jdl.sweeps.labels import short

__all__ = ["Over", "over"]

SHOWN = 4  # values in the text of a mark
COLUMNS = ("point", "seed", "round", "seeds", "diverged")  # of the tables of a sweep; no axis is named like them


class Over(checks.Mark):
    """Several values for one place, see `jdl.over`.

    Args:
      values: the values, at least one.
      labels: the user's label of each value, or None.
      name: the user's name of the axis, or None.
    """

    def __init__(self, values: tuple[Any, ...], labels: tuple[Any, ...] | None, name: str | None):
        self.values, self.labels, self.name = values, labels, name

    def shown(self) -> list[str]:
        shown = [_text(value) for value in (self.labels or self.values)]
        return shown if len(shown) <= SHOWN else [*shown[: SHOWN - 1], "...", shown[-1]]

    def __repr__(self) -> str:
        name = [] if self.name is None else [f"name={self.name!r}"]
        return f"over({', '.join(self.shown() + name)})"


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(short(value))


def over(*values: Any, name: str | None = None) -> Any:
    """Mark a place in the arguments of `jdl.sweep` with the values that it is to take.

    A mark may stand for a number, a part, a whole problem, an item of a list, the value of a dict, an argument of a
    `functools.partial`, or a keyword such as `rounds`. Values may contain further marks. Several marks are a grid, in
    which the last mark varies fastest. Marks of one name go together: they take their first values at once, then their
    second, and so on. One mark in several places does so, too.

    A mark has no value, so that a function which computes with its arguments, such as `jdl.topology.ring`, cannot take
    one: mark its results, `over(ring(32), ring(64))`, or give `jdl.sweep` a recipe that it calls later,
    `functools.partial(jdl.problems.digits, nodes=over(16, 64))`.

    Args:
      *values: the values; or one dict of them, whose keys are their labels in tables and figures.
      name: the name of the axis; by default the name of the place, such as `lr` or `topology`.

    Returns:
      The mark.

    Raises:
      InputError: if there are no values, or one list of them; or if a label or the name is not usable.

    >>> over(0.03, 0.1, 0.3)
    over(0.03, 0.1, 0.3)
    >>> over({"slow": 0.03, "fast": 0.3}, name="speed")
    over('slow', 'fast', name='speed')
    """
    labels = None
    if len(values) == 1:
        values, labels = _unpacked(values[0])
    checks.require(len(values) > 0, "got over() without values, need at least one; write over(0.1, 0.3)")
    named = name is None or (isinstance(name, str) and name != "")
    checks.require(named, f"got over(..., name={name!r}), need a word; leave the name out")
    taken = f"got over(..., name={name!r}), which is a column of every table ({', '.join(COLUMNS)}); take another name"
    checks.require(name not in COLUMNS, taken)
    return Over(*_flat(values, labels), name)


def _unpacked(value: Any) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """The values and labels of a dict; a single other value as it is."""
    if isinstance(value, dict):
        usable = [key is None or isinstance(key, str | numbers.Real) for key in value]
        odd = [key for key, good in zip(value, usable, strict=True) if not good]
        checks.require(not odd, f"got over({{{odd[:1]}: ...}}), need labels that are words or numbers; change them")
        return tuple(value.values()), tuple(value)
    listed = isinstance(value, list | tuple | range) or hasattr(type(value), "__next__") or _is_row(value)
    is_record = hasattr(value, "_fields")  # a named tuple, such as an optimizer of optax
    need = f"got over({_text(value)}), one value that is a list, need the values one by one; write over(*values)"
    checks.require(not listed or is_record, need)
    return (value,), None


def _is_row(value: Any) -> bool:
    return getattr(value, "ndim", 0) == 1 and hasattr(value, "dtype")


def _flat(values: tuple[Any, ...], labels: tuple[Any, ...] | None) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """Lay marks that are themselves values of a mark into one: both are of the same place."""
    if not any(isinstance(value, Over) for value in values):
        return values, labels
    need = "got a mark directly within a mark with labels or a name, need one mark of all values; write one over(...)"
    inner = [value for value in values if isinstance(value, Over)]
    checks.require(labels is None and all(one.name is None and one.labels is None for one in inner), need)
    flat = (value.values if isinstance(value, Over) else (value,) for value in values)
    return tuple(one for several in flat for one in several), None
