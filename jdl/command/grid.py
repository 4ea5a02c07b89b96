"""The grid of `jdl sweep`: for each point its parts, the values of its flags, and its labels.

Parts are chosen first, since each part has flags of its own. A flag applies to the points that have it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jdl import checks
from jdl.command import unknown
from jdl.command.axes import LISTS, Axis, Dimension
from jdl.command.catalogue import known, members
from jdl.command.choices import Choices, Chosen, choose, has_server, in_order
from jdl.command.flags import flags_of
from jdl.command.slots import Slot, slots_of, value_in

__all__ = ["Cell", "cells"]

# The flags that name parts.
PARTS = ("algorithm", "topology", "problem", "partition", "rule", *LISTS)


class Cell(NamedTuple):
    """One point of a grid.

    Args:
      labels: the value of each flag that varies, by the name of the flag.
      chosen: the names of its parts.
      values: the value of each other flag that was given, by the name of the flag.
    """

    labels: dict[str, Any]
    chosen: Chosen
    values: dict[str, Any]


def cells(dimensions: Sequence[Dimension]) -> list[Cell]:
    """Expand a grid. The last dimension varies fastest.

    Args:
      dimensions: those of `jdl.command.axes.dimensions`.

    Raises:
      InputError: if no point has a flag, if a part or a value does not exist, or if two points are equal.
    """
    texts = [{axis.flag: axis.values for axis in one.axes} for one in dimensions]
    with_parts = [place for place, one in enumerate(texts) if any(flag in PARTS for flag in one)]
    found: dict[tuple[int, ...], Cell] = {}
    used: set[str] = set()
    refused: tuple[Chosen, Mapping[str, Slot]] | None = None
    for named, places in _combinations(dimensions, with_parts):
        chosen, slots = _chosen_and_slots(tuple(named.items()))
        refused = refused or (chosen, slots)
        own = [place for place, one in enumerate(texts) if place in places or any(flag in slots for flag in one)]
        free = [place for place in own if place not in places]
        used |= {flag for place in own for flag in texts[place] if flag in slots or flag in named}
        for chosen_free in itertools.product(*(range(dimensions[place].length) for place in free)):
            at = places | dict(zip(free, chosen_free, strict=True))
            key = tuple(at.get(place, -1) for place in range(len(dimensions)))
            if key not in found:
                found[key] = _cell(dimensions, at, chosen, slots, named)
    unused = [axis for one in dimensions for axis in one.axes if axis.flag not in used]
    if unused and refused is not None:
        _refuse(unused[0], refused[0])
    points = [found[key] for key in sorted(found)]
    _all_different(points)
    return points


def _combinations(
    dimensions: Sequence[Dimension], with_parts: Sequence[int]
) -> Iterator[tuple[dict[str, str], dict[int, int]]]:
    """All combinations of parts: the text of each flag that names parts and applies, and the place in each dimension.

    A graph applies to methods without a server, a way down to those with one, a partition to data that are divided.
    """
    seen = set()
    for indices in itertools.product(*(range(dimensions[place].length) for place in with_parts)):
        at = dict(zip(with_parts, indices, strict=True))
        named = {
            axis.flag: axis.values[index]
            for place, index in at.items()
            for axis in dimensions[place].axes
            if axis.flag in PARTS and _has_values(axis)
        }
        applied = {flag: text for flag, text in named.items() if _applies(flag, named)}
        at = {place: index for place, index in at.items() if _is_used(dimensions[place], named, applied)}
        if tuple(at.items()) not in seen:
            seen.add(tuple(at.items()))
            yield applied, at


def _has_values(axis: Axis) -> bool:
    checks.require(bool(axis.values), f"got --{axis.flag} without a value; name a part, see `jdl list`")
    return True


def _is_used(dimension: Dimension, named: Mapping[str, str], applied: Mapping[str, str]) -> bool:
    """Whether a dimension says anything about these parts: one of its parts applies, or it sets another flag too."""
    return any(axis.flag in applied or axis.flag not in named for axis in dimension.axes)


def _applies(flag: str, named: Mapping[str, str]) -> bool:
    if flag in ("topology", "schedule", "network_down"):
        served = "server" in members("algorithms")[known("algorithms", named.get("algorithm", "dpsgd"))]().needs
        of_server = flag == "topology" and flag in named and has_server(named[flag])
        return served == (flag == "network_down" or of_server)
    if flag == "partition":
        return choose(Choices(problem=named.get("problem", "digits"))).partition is not None
    return True


@functools.lru_cache(maxsize=4096)
def _chosen_and_slots(named: tuple[tuple[str, str], ...]) -> tuple[Chosen, Mapping[str, Slot]]:
    texts = dict(named)
    lists = {flag: (_parts_in(flag, texts[flag]),) for flag in LISTS if flag in texts}
    chosen = choose(Choices(**{**texts, **lists}))
    return chosen, slots_of(chosen)


def _parts_in(flag: str, text: str) -> tuple[str, ...]:
    """The parts of one value of a list, such as "top_k+lossy"; none of "none"."""
    parts = tuple(text.split("+"))
    if parts == ("none",):
        return ()
    checks.require("none" not in parts, f"got --{flag} {text}, need parts, or none alone; leave none out")
    return parts


def _cell(
    dimensions: Sequence[Dimension],
    at: Mapping[int, int],
    chosen: Chosen,
    slots: Mapping[str, Slot],
    named: Mapping[str, str],
) -> Cell:
    labels, values = {}, {}
    for place, dimension in enumerate(dimensions):
        for axis in dimension.axes if place in at else ():
            if axis.flag in named:
                label: Any = _label(axis.flag, named[axis.flag], chosen)
            elif axis.flag in slots:
                slot = slots[axis.flag]
                label = values[slot.flag] = value_in(slot, axis.values[at[place]] if axis.values else None, axis.flag)
            else:
                continue
            if len(set(axis.values)) > 1:
                labels[axis.flag] = label
    return Cell(labels, chosen, values)


def _label(flag: str, text: str, chosen: Chosen) -> str:
    """The names of the parts as they are spelled."""
    if flag not in (*LISTS, "rule"):
        return getattr(chosen, flag)
    parts = (text,) if flag == "rule" else _parts_in(flag, text)
    kind = {"oracle": "oracles", "schedule": "schedules"}.get(flag, "exchanges")
    return "+".join(in_order(kind, (parts,))) or "none"


def _refuse(axis: Axis, chosen: Chosen) -> None:
    """Say of which part a flag would be that no point has."""
    if axis.flag in PARTS:
        lists = {axis.flag: (_parts_in(axis.flag, axis.values[0]),)} if axis.flag in LISTS else {}
        one = {"algorithm": chosen.algorithm, "problem": chosen.problem}
        choose(Choices(**{**one, axis.flag: axis.values[0], **lists}))
    unknown.refuse([f"--{axis.flag}"], chosen, flags_of(chosen), "sweep")


def _all_different(points: Sequence[Cell]) -> None:
    seen: dict[str, int] = {}
    for number, point in enumerate(points):
        first = seen.setdefault(repr(point), number)
        name = ", ".join(f"{flag}={label}" for flag, label in point.labels.items())
        checks.require(
            first == number, f"got points {first + 1} and {number + 1} that are equal, {name}; leave one out"
        )
