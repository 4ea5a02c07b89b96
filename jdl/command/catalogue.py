"""What exists, and what it says of itself: read from `__all__`, signatures and docstrings, kept nowhere else."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jdl import algorithms, checks, clock, compressors, exchange, oracle, problems, schedule, topology
from jdl.command.docstring import Docstring, docstring
from jdl.command.insides import PROTOCOLS, fits, insides
from jdl.data.partition.rules import RULES

__all__ = [
    "CLOCKS",
    "FLAG",
    "KINDS",
    "RENAMED",
    "Entry",
    "Option",
    "catalogue",
    "entry",
    "groups",
    "kind_of_exchange",
    "known",
    "make",
    "made_of",
    "maker",
    "members",
    "options",
    "owner_of",
    "said_options",
    "those_inside",
    "usual_inside",
]

Maker = Callable[..., Any]

# Plural -> singular.
KINDS = {
    "algorithms": "algorithm",
    "topologies": "topology",
    "schedules": "schedule",
    "exchanges": "exchange",
    "oracles": "oracle",
    "problems": "problem",
    "partitions": "partition",
    "step times": "step time",
    "links": "link model",
    "waits": "wait",
}

# The parts of a clock, which stand inside --clock: the folder and the argument of each kind.
CLOCKS = {"step times": ("steps", "step"), "links": ("links", "links"), "waits": ("waits", "wait")}

# The flag by which a command names a part of each other kind.
FLAG = {kind: flag for kind, flag in KINDS.items() if kind not in CLOCKS} | {"exchanges": "network"}

# Old name -> new name, for command lines and run directories of before.
RENAMED = {
    "exchanges": {"narrow": "half_precision"},
    "problems": {"learn": "supervised", "regress": "logistic_regression"},
    "topologies": {"markov": "gilbert_elliott"},
}

PLAIN = (bool, int, float, str)

# Classes that a command line calls otherwise than by their name, since a part of another kind has it.
CALLED = {compressors.Chain: "codec_chain", schedule.Partition: "network_partition"}


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
def members(kind: str) -> dict[str, Maker]:
    """Name -> what makes the thing: its class, or a function.

    An algorithm is called as its file is; other classes by their name in lower case. A topology is what can be made
    from n alone, all else having a default: one graph, a cycle of them, or a schedule.

    >>> members("exchanges")["choco"].__name__
    'Choco'
    >>> members("algorithms")["fedavg"].__name__
    'FedAvg'
    """
    if kind == "algorithms":
        return {cls.__module__.rsplit(".", 1)[-1]: cls for cls in _listed(algorithms, inspect.isclass)}
    if kind == "topologies":
        graphs = {make.__name__: make for make in _listed(topology, inspect.isfunction)}
        return {name: make for name, make in (graphs | _schedules()).items() if _from_n_alone(make)}
    if kind == "exchanges":
        found = {_lower(cls): cls for cls in _listed(exchange, inspect.isclass)}
        found |= {_lower(cls): cls for cls in _listed(compressors, dataclasses.is_dataclass) if options(cls)}
    elif kind == "schedules":
        return _wrapping()
    elif kind == "oracles":
        found = {_lower(cls): cls for cls in _listed(oracle, inspect.isclass)}
    elif kind == "problems":
        found = {make.__name__: make for make in _listed(problems, inspect.isfunction)}
    elif kind in CLOCKS:
        found = {_lower(cls): cls for cls in _listed(clock, inspect.isclass)}
        folder, _ = CLOCKS[kind]
        return {name: cls for name, cls in found.items() if cls.__module__.split(".")[2] == folder and options(cls)}
    else:
        return dict(RULES)
    return {name: make for name, make in found.items() if _all_default(make)}


def maker(kind: str, name: str) -> Maker:
    """What makes the thing of this name; among topologies also those that need more than n, and so are no members."""
    needs_more = {"sampling": schedule.Sampling, "from_file": topology.from_file} if kind == "topologies" else {}
    name = RENAMED.get(kind, {}).get(name, name)
    return needs_more[name] if name in needs_more else members(kind)[name]


def make(kind: str, /, name: str, **options: Any) -> Any:
    """The thing of this name with these options; those of a compressor inside it go there.

    An option that is a part is given by its record, with its name and its options.

    >>> make("exchanges", "choco", gamma=0.5, fraction=0.2).compressor.fraction
    0.2
    >>> make("exchanges", "choco", compressor={"name": "qsgd", "levels": 3}).compressor.levels
    3
    """
    return made_of(maker(kind, name), options)


def made_of(thing: Maker, options: dict[str, Any]) -> Any:
    """What a thing makes of the values of its options; see `make`."""
    for field, protocol in insides(thing).items():
        record = options.get(field)
        if isinstance(record, dict):
            more = {option: value for option, value in record.items() if option != "name"}
            options[field] = made_of(those_inside(protocol)[record["name"]], more)
    for option, field in owner_of(thing).items():
        if option in options and field not in options:
            options[field] = _parts_in(thing)[field]
        if option in options:
            options[field] = dataclasses.replace(options[field], **{option: options.pop(option)})
    return thing(**options)


@functools.cache
def those_inside(protocol: type) -> dict[str, Maker]:
    """What an argument of this protocol may be, by name.

    >>> from jdl.compressors import Sparsifier
    >>> sorted(those_inside(Sparsifier))
    ['rand_k', 'threshold', 'top_k']
    """
    if PROTOCOLS[protocol] == "method":
        found = members("algorithms")
    elif PROTOCOLS[protocol] == "rule":
        found = members("exchanges")
    elif (kind := next((kind for kind in CLOCKS if KINDS[kind] == PROTOCOLS[protocol]), None)) is not None:
        return members(kind)
    else:
        found = {_lower(cls): cls for cls in _listed(compressors, dataclasses.is_dataclass)}
    return {name: made for name, made in found.items() if fits(made, protocol)}


@functools.cache
def owner_of(thing: Maker) -> dict[str, str]:
    """The options of a thing that are those of its usual codec, or links, with the argument that is that part.

    >>> owner_of(exchange.Choco)
    {'fraction': 'compressor', 'index': 'compressor'}
    """
    taken, found = set(inspect.signature(thing).parameters), {}
    for field, inside in _parts_in(thing).items():
        found |= {one.name: field for one in _own_options(type(inside)) if one.name not in taken | found.keys()}
    return found


def known(kind: str, name: str, others: Sequence[str] = ()) -> str:
    """The name of a thing, or of one of some others, as it is spelled; an old name is taken, with a note.

    Raises:
      InputError: if there is no such thing; with the kind that has it, or with the nearest names.

    >>> known("exchanges", "Top-K")
    'top_k'
    """
    old = RENAMED.get(kind, {})
    for before, now in old.items():
        if before == name.lower().replace("-", "_"):
            checks.note(f"the {KINDS[kind]} {before} is called {now}")
            return now
    plain, own = name.lower().replace("-", "_"), [*members(kind), *others]
    elsewhere = [one for one in KINDS if plain in members(one) and plain not in own]
    got = f"got {KINDS[kind]} {name!r}, which does not exist"
    sentence = f"{got}; there is --{_flag_with(elsewhere[0], plain)}" if elsewhere else ""
    checks.require(not elsewhere, sentence)
    if plain not in own and (python := _python_only(kind, plain)):
        raise checks.InputError(f"got {KINDS[kind]} {plain}, which is Python only; write {python}")
    return checks.known(KINDS[kind], name, own)


def _flag_with(kind: str, name: str) -> str:
    return f"clock {CLOCKS[kind][1]}=[{name}]" if kind in CLOCKS else f"{FLAG[kind]} {name}"


def _python_only(kind: str, plain: str) -> str | None:
    """How a part is written in Python that no command line can spell, as it takes arrays; None if there is none."""
    room = {"exchanges": exchange, "oracles": oracle, "topologies": schedule}.get(kind)
    found = {_lower(cls): cls for cls in _listed(room, dataclasses.is_dataclass)} if room else {}
    if plain not in found:
        return None
    cls, argument = found[plain], {"exchanges": "network=[{}]", "oracles": "oracle=[{}]", "topologies": "topology={}"}
    way = next((name for name in ("of", "for_nodes", "from_trace") if hasattr(cls, name)), None)
    parameters = inspect.signature(getattr(cls, way) if way else cls).parameters.values()
    required = ", ".join(one.name for one in parameters if one.default is one.empty)
    name = f"{room.__name__}.{cls.__name__}{f'.{way}' if way else ''}"
    return f"jdl.run(..., {argument[kind].format(f'{name}({required})')}): see its docstring"


def catalogue() -> dict[str, list[Entry]]:
    """Everything, by kind, each kind in alphabetical order."""
    return {kind: [entry(name, members(kind)[name]) for name in sorted(members(kind))] for kind in KINDS}


# The families of algorithms in the order of the list, which are folders. How a topology changes over time.
FAMILIES = ("gossip", "asynchronous", "corrected", "dual", "compressed", "outer", "federated")
ONE, DRAWN, CYCLE, SCHEDULE = (
    "one graph",
    "one graph drawn at random",
    "a cycle of graphs, one a round",
    "a schedule, drawn anew as rounds go by",
)


# The folders of exchanges in the order of the list, each with its heading.
KINDS_OF_EXCHANGES = {
    "exchange": "gossip and partial sharing",
    "compressors": "codecs",
    "faults": "faults",
    "attacks": "attacks",
    "robust": "robust rules",
    "private": "privacy",
}


def groups() -> dict[str, list[Entry]]:
    """Everything under headings: algorithms by family, topologies by how they change, exchanges by what they do.

    >>> "one_peer_exponential" in [entry.name for entry in groups()["topologies, a cycle of graphs, one a round"]]
    True
    """
    headings = {
        "algorithms": lambda made: f"algorithms, {made.__module__.split('.')[2]}",
        "topologies": lambda made: f"topologies, {_time(made)}",
        "exchanges": lambda made: f"exchanges, {kind_of_exchange(made)}",
    }
    order = [*(f"algorithms, {family}" for family in FAMILIES), *_others("algorithms", FAMILIES)]
    order += [f"topologies, {time}" for time in (ONE, DRAWN, CYCLE, SCHEDULE)]
    order += [f"exchanges, {does}" for does in KINDS_OF_EXCHANGES.values()]
    found: dict[str, list[Entry]] = {heading: [] for heading in order}
    for kind, entries in catalogue().items():
        for one in entries:
            heading = headings[kind](members(kind)[one.name]) if kind in headings else kind
            found.setdefault(heading, []).append(one)
    return {heading: entries for heading, entries in found.items() if entries}


def _others(kind: str, families: tuple[str, ...]) -> list[str]:
    """Headings of families that are not in the list above, of one added lately."""
    there = {made.__module__.split(".")[2] for made in members(kind).values()}
    return [f"{kind}, {family}" for family in sorted(there - set(families))]


def kind_of_exchange(made: Maker) -> str:
    """What an exchange does, by the folder in which it lies: `jdl/compressors`, `jdl/exchange` or one inside it."""
    _, *folders, _ = made.__module__.split(".")
    return KINDS_OF_EXCHANGES[folders[-1]]


def _time(make: Maker) -> str:
    """What a function returns says how its topology changes; what a class makes is a schedule."""
    made = typing.get_type_hints(make).get("return")
    if made is topology.Topology:
        return DRAWN if "seed" in inspect.signature(make).parameters else ONE
    return CYCLE if made == list[topology.Topology] else SCHEDULE


def entry(name: str, thing: Maker) -> Entry:
    """What the docstring of a thing says.

    >>> entry("lossy", exchange.Lossy).sends
    'the message, unchanged; it is counted whether it arrives or not.'
    """
    says = _says(thing)
    return Entry(name, says.summary, says.references, says.sends, says.memory)


def options(thing: Maker) -> list[Option]:
    """The arguments of a thing that are plain numbers, names or switches, with their help from its docstring.

    A compressor among them contributes its own. An argument that is a part is an option, too: a word, see
    `jdl.command.inline`; None for the usual one.

    >>> [option.name for option in options(topology.random_regular)]
    ['degree', 'seed']
    >>> [option.name for option in options(exchange.Choco)]
    ['gamma', 'fraction', 'index', 'compressor']
    """
    found = _own_options(thing)
    for name, field in owner_of(thing).items():
        inside = _parts_in(thing)[field]
        (own,) = (one for one in _own_options(type(inside)) if one.name == name)
        found.append(own._replace(default=getattr(inside, name)))
    plain = {one.name for one in found}  # which may also be a number, as the step of a clock
    return found + [Option(name, str | None, None, _help(thing, name)) for name in insides(thing) if name not in plain]


def said_options(thing: Maker) -> str:
    """The options of a thing with their defaults, as they follow its name on a command line.

    >>> said_options(exchange.Choco)
    'gamma=0.2, fraction=0.1, index=log2, compressor=[top_k]'
    """
    said = {one.name: "none" if one.default is None else one.default for one in options(thing)}
    said |= {name: f"[{usual_inside(thing, name)}]" for name in insides(thing) if said[name] == "none"}
    needed = {name: name.upper() for name, default in said.items() if default is inspect.Parameter.empty}
    return ", ".join(f"{name}={default}" for name, default in (said | needed).items())


def usual_inside(thing: Maker, name: str) -> str:
    """The name of the part that an argument is if none is given; "none" if it is none then."""
    usual = inspect.signature(thing).parameters[name].default
    named = [one for one, made in those_inside(insides(thing)[name]).items() if made is type(usual)]
    return named[0] if named else "none"


def _own_options(thing: Maker) -> list[Option]:
    hints = typing.get_type_hints(thing)
    parameters = inspect.signature(thing).parameters.values()
    found = [(one.name, _plain(hints[one.name]), one.default) for one in parameters if one.name not in ("n", "nodes")]
    return [Option(name, kind, default, _help(thing, name)) for name, kind, default in found if kind is not None]


def _parts_in(thing: Maker) -> dict[str, Any]:
    """The arguments of a thing that are compressors or links with options, by name, with their defaults."""
    usual = {one.name: one.default for one in inspect.signature(thing).parameters.values()}
    return {name: part for name, part in usual.items() if type(part) in (*_compressors(), clock.FairShare)}


@functools.cache
def _compressors() -> list[type]:
    """Those that have options."""
    return [cls for cls in _listed(compressors, dataclasses.is_dataclass) if _own_options(cls)]


def _says(thing: Maker) -> Docstring:
    """What a thing says of itself.

    Where a method makes it, its class says all but the arguments. A problem of one data set has arguments of another.
    """
    says, owner = docstring(inspect.getdoc(thing) or ""), getattr(thing, "__self__", None)
    if inspect.isclass(owner):
        return docstring(inspect.getdoc(owner) or "")._replace(arguments=says.arguments)
    made_of = inspect.unwrap(thing)
    return says if made_of is thing else says._replace(arguments=docstring(inspect.getdoc(made_of) or "").arguments)


def _help(thing: Maker, name: str) -> str:
    """What the docstring says of one argument; "as in `X`" is looked up in algorithm X."""
    own = _says(thing).arguments.get(name, "").rstrip(".")
    other = re.match(r"as in `(\w+)`", own)
    if other and other[1] in algorithms.__all__:
        return _help(getattr(algorithms, other[1]), name) + own[other.end() :]
    return own


def _listed(module: types.ModuleType, which: Callable[[Any], bool]) -> list[Any]:
    return [getattr(module, name) for name in module.__all__ if which(getattr(module, name))]


def _lower(cls: type) -> str:
    """The name of a class as a command line spells it.

    >>> _lower(exchange.CoordinateMedian), _lower(compressors.TopK)
    ('coordinate_median', 'top_k')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()
    return CALLED.get(cls, words)


def _schedules() -> dict[str, Maker]:
    """The method that makes a schedule for n nodes, or the class where its fields say all."""
    return {_lower(cls): getattr(cls, "for_nodes", cls) for cls in _listed(schedule, inspect.isclass)}


def _wrapping() -> dict[str, Maker]:
    """What makes a schedule from another one: the method that reads a file or takes it first, or the class."""
    found = {}
    for cls in _listed(schedule, dataclasses.is_dataclass):
        made = getattr(cls, "from_trace", None) or getattr(cls, "of", cls)
        if next(iter(inspect.signature(made).parameters), None) == "schedule" and options(made):
            found[_lower(cls)] = made
    return found


def _all_default(make: Maker) -> bool:
    """Whether it can be called without arguments: `Compressed` cannot, it is made of another part."""
    parameters = inspect.signature(make).parameters.values()
    return all(one.default is not one.empty or one.kind is one.VAR_KEYWORD for one in parameters)


def _from_n_alone(make: Maker) -> bool:
    """Whether n is all it needs; and it makes what a run takes, not numbers about it."""
    first, *rest = inspect.signature(make).parameters.values()
    if first.name != "n" or any(one.default is one.empty for one in rest):
        return False
    is_function = inspect.isfunction(make)  # else it makes a schedule
    return not is_function or typing.get_type_hints(make)["return"] in (topology.Topology, list[topology.Topology])


def _plain(hint: Any) -> Any:
    """What of a type a command line can spell: `str` of `str | Callable`, `int | None` as it is; or None."""
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    parts = typing.get_args(hint) if is_union else (hint,)
    plain = [part for part in PLAIN if part in parts]
    if not plain:
        return None
    return plain[-1] | None if type(None) in parts else plain[-1]
