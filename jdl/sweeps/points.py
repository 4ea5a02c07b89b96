"""The points of a sweep: all combinations of the values of its marks, or a list of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jdl import checks
from jdl.sweeps.labels import key_of, labels_of, short
from jdl.sweeps.over import Over
from jdl.sweeps.places import Path, children, dotted, marks, replaced

__all__ = ["Point", "points", "points_of"]


class Point(NamedTuple):
    """One point of a sweep.

    Args:
      labels: the label of the point on each axis that it has, by the name of the axis.
      arguments: the arguments of `jdl.run`.
    """

    labels: dict[str, Any]
    arguments: dict[str, Any]


class _Choice(NamedTuple):
    """The choice of a value for one group of marks: those of a name, or a single one.

    Args:
      index: the number of the value.
      places: the paths of the marks, with the marks.
    """

    index: int
    places: tuple[tuple[Path, Over], ...]


Chosen = dict[Any, _Choice]  # by the name of the marks, or by the mark where it has none


def points(arguments: Mapping[str, Any]) -> list[Point]:
    """Expand the marks in the arguments of a sweep into its points. Nothing is run, and no recipe is called.

    Args:
      arguments: the arguments of `jdl.run` by name, with marks (`jdl.over`) anywhere inside.

    Returns:
      The points: one without labels if there are no marks. The last mark varies fastest.

    Raises:
      InputError: if marks of one name have different numbers of values, if a mark has a value twice, if two axes have
        one name, or if there is a mark within an array.

    >>> from jdl.sweeps.over import over
    >>> for point in points({"rounds": over(10, 20), "seed": over(1, 2)}):
    ...     print(point.labels)
    {'rounds': 10, 'seed': 1}
    {'rounds': 10, 'seed': 2}
    {'rounds': 20, 'seed': 1}
    {'rounds': 20, 'seed': 2}
    """
    found = list(_expand(dict(arguments), {}))
    names = _names([chosen for chosen, _ in found], _spoken(found))
    labels: dict[Any, list[Any]] = {}
    out = []
    for chosen, concrete in found:
        of_point = {}
        for key, choice in chosen.items():
            group = (key, *(id(mark) for _, mark in choice.places))
            if group not in labels:
                labels[group] = _labels(choice.places)
            of_point[names[_axis(key, choice)]] = labels[group][choice.index]
        out.append(Point(of_point, concrete))
    return out


def _expand(arguments: dict[str, Any], chosen: Chosen) -> Iterator[tuple[Chosen, dict[str, Any]]]:
    """All ways to choose: the outermost marks first, then those inside the chosen values."""
    found = list(marks(arguments))
    if not found:
        yield chosen, arguments
        return
    keys = [_group(mark) for _, mark in found]
    # A mark of a known group takes the value of the group; otherwise the first mark opens its group.
    known = [key for key in keys if key in chosen]
    key = known[0] if known else keys[0]
    places = tuple(place for place, one in zip(found, keys, strict=True) if one == key)
    before = chosen[key].places if known else ()
    _equally_long(before + places)
    for index in [chosen[key].index] if known else range(len(places[0][1].values)):
        choose = lambda mark, index=index: mark.values[index] if _group(mark) == key else mark
        yield from _expand(replaced(arguments, choose), chosen | {key: _Choice(index, before + places)})


def _group(mark: Over) -> Any:
    return ("name", mark.name) if mark.name is not None else ("mark", id(mark))


def _equally_long(places: Sequence[tuple[Path, Over]]) -> None:
    (first, mark), *others = places
    for path, other in others:
        one, two = len(mark.values), len(other.values)
        got = f"got {mark!r} at {dotted(first)} with {one} values and {other!r} at {dotted(path)} with {two}"
        need = "need equally many, since marks of one name go together; add values, or change a name"
        checks.require(one == two, f"{got}, {need}")


def _axis(key: Any, choice: _Choice) -> Any:
    """What has a name of its own: the marks of an explicit name, or a place."""
    return key if key[0] == "name" else ("place", choice.places[0][0])


def _spoken(found: Sequence[tuple[Chosen, Mapping[str, Any]]]) -> dict[Path, Path]:
    """The paths of marks with the names of parts in place of their numbers in a list, where a name says which it is."""
    spoken: dict[Path, set[Path]] = {}
    for chosen, arguments in found:
        for choice in chosen.values():
            path = choice.places[0][0]
            spoken.setdefault(path, set()).add(_with_parts(path, arguments))
    return {path: said.pop() if len(said) == 1 else path for path, said in spoken.items()}


def _with_parts(path: Path, value: Any) -> Path:
    said: list[str | int] = []
    for place, step in enumerate(path):
        inside = dict(children(value))
        part, last = inside.get(step), place == len(path) - 1
        alike = [one for one in inside.values() if type(one) is type(part)]
        named = isinstance(step, int) and not last and dataclasses.is_dataclass(part) and len(alike) == 1
        said.append(short(part) if named else step)
        value = part
    return tuple(said)


def _names(all_chosen: Sequence[Chosen], spoken: Mapping[Path, Path]) -> dict[Any, str]:
    """The name of each axis: the user's, or the shortest end of its path that no other axis of a point has."""
    axes = [[_axis(key, choice) for key, choice in chosen.items()] for chosen in all_chosen]
    names = {axis: axis[1] if axis[0] == "name" else _ending(spoken[axis[1]], 1) for one in axes for axis in one}
    lengths = dict.fromkeys(names, 1)
    while True:
        clash = _clash(names, axes)
        if clash is None:
            return names
        # All places of this name get a longer one, as far as there is one.
        longer = [axis for axis in names if names[axis] == clash and axis[0] == "place"]
        before = dict(names)
        for axis in longer:
            lengths[axis] += 1
            names[axis] = _ending(spoken[axis[1]], lengths[axis])
        if names == before:
            where = " and ".join(
                dotted(axis[1]) if axis[0] == "place" else f"name={clash!r}" for axis in before if before[axis] == clash
            )
            raise checks.InputError(f"got two axes of the name {clash!r} ({where}), need different ones; give a name")


def _clash(names: Mapping[Any, str], axes: Sequence[Sequence[Any]]) -> str | None:
    """A name that two axes of one point have."""
    for one in axes:
        seen: set[str] = set()
        for axis in one:
            if names[axis] in seen:
                return names[axis]
            seen.add(names[axis])
    return None


def _ending(path: Path, length: int) -> str:
    """The last `length` steps of a path, from a name on; indices at its end are left out in the shortest one."""
    if length == 1:
        path = path[: max(index for index, step in enumerate(path) if isinstance(step, str)) + 1]
    while length < len(path) and not isinstance(path[-length], str):
        length += 1
    return dotted(path[-length:])


def _labels(places: Sequence[tuple[Path, Over]]) -> list[Any]:
    """The labels of the values of an axis: the user's, or those of what its marks choose together.

    Raises:
      InputError: if the axis has the same values twice.
    """
    several = list({id(mark): mark for _, mark in places}.values())
    full = [list(mark.labels) if mark.labels is not None else labels_of(mark.values) for mark in several]
    together = [tuple(map(key_of, row)) for row in zip(*full, strict=True)]
    firsts: dict[Any, int] = {}
    twice = [(firsts[one], index) for index, one in enumerate(together) if firsts.setdefault(one, index) != index]
    for first, index in twice[:1]:
        got = f"got {several[0]!r} at {dotted(places[0][0])}, whose values {first + 1} and {index + 1} are equal"
        raise checks.InputError(f"{got}, need different ones; leave one out")
    given = [one for one, mark in zip(full, several, strict=True) if mark.labels is not None]
    if len(several) == 1 or given:
        return _joined(given or full)
    brief = [[short(value) for value in mark.values] for mark in several]
    brief = _joined([one for one in brief if len(set(one)) > 1])
    return brief if len(set(brief)) == len(together) else _joined(full)


def _joined(columns: Sequence[list[Any]]) -> list[Any]:
    """One label for each row of columns; columns that are equal count once."""
    columns = [one for index, one in enumerate(columns) if one not in columns[:index]]
    if len(columns) == 1:
        return columns[0]
    return [", ".join(map(str, row)) for row in zip(*columns, strict=True)]


def points_of(several: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Points that the user lists: each is a dict of arguments of `jdl.run`, perhaps with its own "label".

    Args:
      several: the points. Marks inside them are expanded. If a point has the key "label", all have one, and it is their
        label; otherwise the labels are the arguments that differ between points.

    Returns:
      The points in their order.

    Raises:
      InputError: if there are none, if they are no dicts, if two are equal, or if only some have a label.

    >>> [point.labels for point in points_of([{"rounds": 5, "seed": 1}, {"rounds": 10, "seed": 1}])]
    [{'rounds': 5}, {'rounds': 10}]
    """
    listed = isinstance(several, Sequence) and len(several) > 0 and all(isinstance(one, Mapping) for one in several)
    checks.require(listed, f"got points={several!r:.80}, need a list of dicts of arguments; try [dict(...), dict(...)]")
    with_label = ["label" in one for one in several]
    missing = with_label.index(False) + 1 if False in with_label else 0
    need = f"got points of which number {missing} has no label, need one for each or for none; add it"
    checks.require(not any(with_label) or all(with_label), need)
    own = [{key: value for key, value in one.items() if key != "label"} for one in several]
    outer = [{"label": one["label"]} for one in several] if all(with_label) else _differences(own)
    found = []
    for labels, arguments in zip(outer, own, strict=True):
        found += [Point(labels | inner.labels, inner.arguments) for inner in points(arguments)]
    for index, point in enumerate(found):
        first = next(one for one, other in enumerate(found) if other.labels == point.labels)
        got = f"got points {first + 1} and {index + 1}, which are equal" + f", {point.labels}" * bool(point.labels)
        checks.require(first == index, f"{got}; leave one out, or give labels")
    return found


def _differences(several: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The labels of those arguments that are not the same in all points; marks are axes of their own."""
    labels: list[dict[str, Any]] = [{} for _ in several]
    for name in dict.fromkeys(name for one in several for name in one):
        holders = [index for index, one in enumerate(several) if name in one]
        values = labels_of([several[index][name] for index in holders])
        constant = len(holders) == len(several) and all(value == values[0] for value in values)
        for index, value in zip(holders, values, strict=True):
            if not constant and not isinstance(several[index][name], Over):
                labels[index][name] = value
    return labels
