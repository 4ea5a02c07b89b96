"""What exists, and what it says of itself: read from `__all__`, signatures and docstrings, kept nowhere else."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
import types
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

from jdl import algorithms, data, exchange, problems, schedule, topology

__all__ = ["KINDS", "Entry", "Option", "catalogue", "entry", "groups", "maker", "members", "options"]

# Plural -> singular.
KINDS = {
    "algorithms": "algorithm",
    "topologies": "topology",
    "exchanges": "exchange",
    "problems": "problem",
    "partitions": "partition",
}

PLAIN = (bool, int, float, str)


class Entry(NamedTuple):
    """A thing in words. paper, sends, memory: what its docstring states under these headings, or None."""

    name: str
    summary: str
    paper: str | None
    sends: str | None
    memory: str | None


class Option(NamedTuple):
    """An argument of a thing that a command line can spell. type: plain (float, say), or plain | None."""

    name: str
    type: Any
    default: Any
    help: str


@functools.cache
def members(kind: str) -> dict[str, Callable[..., Any]]:
    """Name -> algorithm class, function that makes a topology, exchange or problem, or rule of a partition.

    An algorithm is called as its file is. A topology is what can be made from n alone, all else having a default:
    one graph, a cycle of them, or a schedule.

    >>> sorted(members("exchanges"))[:2]
    ['chebyshev', 'choco']
    >>> members("algorithms")["fedavg"].__name__
    'FedAvg'
    """
    if kind == "algorithms":
        classes = (getattr(algorithms, name) for name in algorithms.__all__)
        return {cls.__module__.rsplit(".", 1)[-1]: cls for cls in classes}
    if kind == "topologies":
        return {name: make for name, make in (_makers(topology) | _makers(schedule)).items() if _from_n_alone(make)}
    made = _makers({"exchanges": exchange, "problems": problems, "partitions": data.partition}[kind])
    return {name: make for name, make in made.items() if kind == "partitions" or _all_default(make)}


def maker(kind: str, name: str) -> Callable[..., Any]:
    """What makes the thing of this name; among topologies also those that need more than n, and so are no members."""
    needs_more = {"sampling": schedule.sampling, "from_file": topology.from_file} if kind == "topologies" else {}
    return needs_more[name] if name in needs_more else members(kind)[name]


def catalogue() -> dict[str, list[Entry]]:
    """Everything, by kind, each kind in alphabetical order."""
    return {kind: [entry(name, members(kind)[name]) for name in sorted(members(kind))] for kind in KINDS}


def groups() -> dict[str, list[Entry]]:
    """Everything under headings: algorithms by who they are for, topologies by how they change over time, the rest.

    >>> "one_peer_exponential" in [entry.name for entry in groups()["topologies, a cycle of graphs, one a round"]]
    True
    """
    found = {}
    for kind, entries in catalogue().items():
        for one in entries:
            made = members(kind)[one.name]
            heading = f"{kind}, {_time(made)}" if kind == "topologies" else kind
            if kind == "algorithms":
                heading = f"{kind}, {SERVER if 'server' in made.needs else PEERS}"
            found.setdefault(heading, []).append(one)
    return {heading: found[heading] for heading in sorted(found, key=_rank)}


# Who an algorithm is for.
PEERS, SERVER = "among peers", "with a server"
# How a topology changes over time, in the order of the list.
ONE, DRAWN, CYCLE, SCHEDULE = (
    "one graph",
    "one graph drawn at random",
    "a cycle of graphs, one a round",
    "a schedule, drawn anew as rounds go by",
)


def _time(make: Callable[..., Any]) -> str:
    """What a function returns says how its topology changes."""
    made = typing.get_type_hints(make)["return"]
    if made is topology.Topology:
        return DRAWN if "seed" in inspect.signature(make).parameters else ONE
    return CYCLE if made == list[topology.Topology] else SCHEDULE


def _rank(heading: str) -> tuple[int, int]:
    kind, _, time = heading.partition(", ")
    return list(KINDS).index(kind), ["", PEERS, SERVER, ONE, DRAWN, CYCLE, SCHEDULE].index(time)


def entry(name: str, thing: Callable[..., Any]) -> Entry:
    """What the docstring of a thing says.

    >>> entry("lossy", exchange.lossy).sends
    'what the sender puts on the link is counted, lost or not.'
    """
    summary = inspect.getdoc(thing).splitlines()[0]
    return Entry(name, summary, *(_section(thing, heading) or None for heading in ("References", "Sends", "Memory")))


def options(thing: Callable[..., Any]) -> list[Option]:
    """The arguments of a thing that are plain numbers, names or switches, with their help from its docstring.

    >>> [option.name for option in options(topology.random_regular)]
    ['degree', 'seed']
    """
    hints = typing.get_type_hints(thing)
    parameters = inspect.signature(thing).parameters.values()
    found = [(one.name, _plain(hints[one.name]), one.default) for one in parameters if one.name not in ("n", "nodes")]
    return [Option(name, kind, default, _help(thing, name)) for name, kind, default in found if kind is not None]


def _makers(module: types.ModuleType) -> dict[str, Callable[..., Any]]:
    return {name: getattr(module, name) for name in module.__all__ if inspect.isfunction(getattr(module, name))}


def _all_default(make: Callable[..., Any]) -> bool:
    """Whether it can be called without arguments: `stack` cannot, it is made of others."""
    parameters = inspect.signature(make).parameters.values()
    return all(one.default is not one.empty or one.kind is one.VAR_KEYWORD for one in parameters)


def _from_n_alone(make: Callable[..., Any]) -> bool:
    """Whether n is all it needs; and it makes what a run takes, not numbers about it."""
    first, *rest = inspect.signature(make).parameters.values()
    if first.name != "n" or any(one.default is one.empty for one in rest):
        return False
    made = typing.get_type_hints(make)["return"]
    return made in (topology.Topology, list[topology.Topology]) or made.__module__.startswith(schedule.__name__)


def _plain(hint: Any) -> Any:
    """What of a type a command line can spell: `str` of `str | Callable`, `int | None` as it is; or None."""
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    parts = typing.get_args(hint) if is_union else (hint,)
    plain = [part for part in PLAIN if part in parts]
    if not plain:
        return None
    return plain[-1] | None if type(None) in parts else plain[-1]


def _section(thing: Callable[..., Any], heading: str) -> str:
    """The text under a heading of a docstring, as one line; it ends at an empty line or at the next heading."""
    doc = inspect.getdoc(thing) or ""
    found = re.search(rf"^{heading}:(.*(?:\n(?![A-Z]\w*:)[^\n]*\S[^\n]*)*)", doc, re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def _help(thing: Callable[..., Any], name: str) -> str:
    """What the docstring says of one argument, `name: text` or `name, other: text`; "as in `X`" is looked up in X."""
    text = _section(thing, "Args")
    names = "|".join(re.escape(one) for one in inspect.signature(thing).parameters)
    starts = list(re.finditer(rf"(?:^|(?<=\s))((?:{names})(?:, (?:{names}))*): ", text))
    said = {}
    for start, end in itertools.pairwise([*starts, None]):
        words = text[start.end() : end.start() if end else None]
        said |= dict.fromkeys(start[1].split(", "), words.strip().rstrip("."))
    own = said.get(name, "" if said else text.rstrip("."))
    other = re.match(r"as in `(\w+)`", own)
    if other and other[1] in algorithms.__all__:
        return _help(getattr(algorithms, other[1]), name) + own[other.end() :]
    return own
