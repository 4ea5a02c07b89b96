"""Short labels of values for tables and figures, made unique by what differs."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jdl import checks
from jdl.runs.describe import part_name
from jdl.sweeps.identity import identity
from jdl.sweeps.places import children, replaced
from jdl.topology import Topology

__all__ = ["key_of", "labels_of", "short", "unique"]

DIFFERENCES = 4  # in one label
ARRAY = "array"
PLAIN = str | bool | int | float | None


def short(value: Any) -> Any:
    """The short label of a value: itself if it is a number, a word or None, the name of a part, graph or function.

    >>> from jdl import algorithms, compressors, topology
    >>> short(0.1), short(topology.ring(8)), short([compressors.TopK(), algorithms.DPSGD()])
    (0.1, 'ring', 'top_k, dpsgd')
    """
    if isinstance(value, checks.Mark):
        return "|".join(value.shown())
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return _array(value)
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, Topology):
        return value.name
    if isinstance(value, functools.partial):
        return short(value.func)
    if hasattr(value, "_fields"):  # a named tuple, such as an optimizer of optax, is known by the maker of its function
        return getattr(getattr(value, "update", None), "__qualname__", type(value).__name__).partition(".")[0]
    if isinstance(value, list | tuple):
        return ", ".join(str(short(one)) for one in value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={short(one)}" for key, one in value.items()) or "none"
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__.strip("<>")
    return _part(value)


def _part(value: Any) -> str:
    """The name of a part: of its file, or of its class if there are several in the file."""
    name, kind = part_name(value), type(value).__name__
    if name.replace("_", "") == kind.lower():
        return name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()


def _array(value: Any) -> Any:
    return value.item() if value.shape == () else f"{ARRAY} {'x'.join(map(str, value.shape))}"


def labels_of(values: Sequence[Any]) -> list[Any]:
    """Labels of values: equal for values of equal content, different for others, by what differs between them.

    >>> from jdl import algorithms, topology
    >>> labels_of([topology.ring(32), topology.ring(64), topology.star(8)])
    ['ring(32)', 'ring(64)', 'star']
    >>> labels_of([algorithms.DPSGD(lr=0.1), algorithms.DPSGD(lr=0.3)])
    ['dpsgd(lr=0.1)', 'dpsgd(lr=0.3)']
    """
    found = [short(value) for value in values]
    for label in dict.fromkeys(map(key_of, found)):
        alike = [index for index, one in enumerate(found) if key_of(one) == label]
        if len(alike) > 1 and not all(isinstance(values[index], PLAIN) for index in alike):
            for index, text in zip(alike, _apart([values[index] for index in alike]), strict=True):
                found[index] = text
    contents = [key_of(value) if isinstance(value, PLAIN) else _content(value) for value in values]
    return unique(found, contents if len(set(map(key_of, found))) < len(found) else list(range(len(found))))


def unique(labels: Sequence[Any], contents: Sequence[Any]) -> list[Any]:
    """Number those labels that are equal although their contents differ: `ring`, `ring #2`.

    >>> unique(["ring", "ring", "ring"], [1, 2, 1])
    ['ring', 'ring #2', 'ring']
    """
    different: dict[Any, list[Any]] = {}
    out = []
    for label, content in zip(labels, contents, strict=True):
        seen = different.setdefault(key_of(label), [])
        if content not in seen:
            seen.append(content)
        number = seen.index(content) + 1
        out.append(label if number == 1 else f"{label} #{number}")
    return out


def key_of(label: Any) -> Any:
    """What distinguishes labels: 1 and 1.0 are equal, 1 and True are not."""
    return isinstance(label, bool), label


def _content(value: Any) -> str:
    """What distinguishes values; marks inside it are axes of their own."""
    return identity({"value": replaced(value, short)})


def _apart(values: list[Any]) -> list[Any]:
    """Labels of values with the same short one, with the details that differ, as far as there are any."""
    details = [dict(_details(value)) for value in values]
    paths = list(dict.fromkeys(path for one in details for path in one))
    varying = [path for path in paths if len({key_of(one.get(path, "")) for one in details}) > 1]
    clear = [path for path in varying if not any(str(one.get(path)).startswith(ARRAY) for one in details)]
    varying = (clear or varying)[:DIFFERENCES]
    last = [path[-1] for path in varying]
    names = [step if last.count(step) == 1 else ".".join(path) for path, step in zip(varying, last, strict=True)]
    out = []
    for value, one in zip(values, details, strict=True):
        pairs = [(name, one[path]) for path, name in zip(varying, names, strict=True) if path in one]
        pairs = [(name, text) for name, text in pairs if not isinstance(text, checks.Mark)]
        only_n = [name for name, _ in pairs] == ["n"]
        inside = ", ".join(str(text) if only_n else f"{name}={text}" for name, text in pairs)
        out.append(f"{short(value)}({inside})" if inside else short(value))
    return out


def _details(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The numbers, words, names and marks inside a value, by the path to each."""
    if isinstance(value, checks.Mark):
        yield path, value  # keeps the place of the field, and is no text
        return
    if path and not isinstance(value, list | tuple | dict):
        yield path, short(value)
    if isinstance(getattr(value, "n", None), int):
        yield (*path, "n"), value.n
    if isinstance(value, Topology):
        low, high = int(value.degree.min()), int(value.degree.max())
        yield (*path, "degree"), low if low == high else f"{low} to {high}"
        return
    for name, inside in children(value):
        yield from _details(inside, (*path, str(name)))
