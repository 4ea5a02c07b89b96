"""The points of `jdl sweep`: from the words of a command line to arguments of `jdl.run`, with labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jdl import checks
from jdl.command.axes import axes_in, dimensions
from jdl.command.grid import Cell, cells
from jdl.command.record import build, record
from jdl.command.slots import filled, slots_of
from jdl.sweeps.jobs import naming
from jdl.sweeps.points import Point

__all__ = ["SHARED", "commands", "points", "shared"]

# The flags of a sweep that each of its runs has.
SHARED = ("seed", "seeds", "vary", "until", "until_accuracy", "until_seconds", "until_bits")

# The arguments of `jdl.run` that a sweep has once, not each of its points.
ONCE = ("seed", "seeds", "checkpoint_every")


def commands(words: Sequence[str], zips: Sequence[str], given: Any) -> list[tuple[Cell, dict[str, Any]]]:
    """The points of a command line, each with the record of its run, see `jdl.command.record`.

    Args:
      words: the flags of runs, with lists of values.
      zips: which flags go together.
      given: the flags of the sweep itself.

    Raises:
      InputError: if a flag or a value cannot be used; of a point, the sentence names it.
    """
    found = []
    of_sweep = {name: getattr(given, name) for name in SHARED}
    for cell in cells(dimensions(axes_in(words), zips)):
        with naming(cell.labels):
            slots = slots_of(cell.chosen)
            found.append((cell, record(filled(cell.chosen, cell.values, slots, of_sweep), cell.chosen)))
    return found


def points(found: Sequence[tuple[Cell, Mapping[str, Any]]]) -> list[Point]:
    """Build the parts of points. Equal parts, such as a data set, are one object.

    Args:
      found: the points with their records.

    Raises:
      InputError: if a part cannot be built; the sentence names the point.
    """
    once, out = _once(), []
    for cell, command in found:
        with naming(cell.labels):
            arguments = build(dict(command), once)
        out.append(Point(cell.labels, {name: value for name, value in arguments.items() if name not in ONCE}))
    return out


def _once() -> Callable[[Any, Callable[[], Any]], Any]:
    made: dict[str, Any] = {}

    def once(content: Any, make: Callable[[], Any]) -> Any:
        key = json.dumps(content, sort_keys=True)
        if key not in made:
            made[key] = make()
        return made[key]

    return once


def shared(several: Sequence[Point]) -> tuple[dict[str, Any], list[Point]]:
    """Part the arguments that all points share from those in which they differ.

    A directory of a sweep may be extended by points, but keeps what its points share; so a command with another problem
    does not go into it by mistake.

    Args:
      several: the points.

    Returns:
      The shared arguments, and the points with the others.

    Raises:
      InputError: if there are no points.
    """
    checks.require(len(several) > 0, "got a sweep without points, need one at least; give a flag with values")
    first = several[0].arguments
    same = {
        name: value
        for name, value in first.items()
        if all(point.arguments[name] is value or _equal(point.arguments[name], value) for point in several)
    }
    own = [{name: value for name, value in one.arguments.items() if name not in same} for one in several]
    return same, [Point(one.labels, arguments) for one, arguments in zip(several, own, strict=True)]


def _equal(one: Any, other: Any) -> bool:
    """Whether plain values are equal; parts are equal if they are one object."""
    plain = (bool, int, float, str, dict, type(None))
    return isinstance(one, plain) and type(one) is type(other) and one == other
