"""The flags of `jdl run` and `jdl topo`: their own, and those of the parts chosen, derived from their signatures."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

import tyro

from jdl import checks, local, problems
from jdl.command.catalogue import KINDS, Option, entry, known, maker, members, options
from jdl.problems import MODELS, PRECISIONS, SAMPLING
from jdl.runs.needs import STOCHASTIC
from jdl.topology.weights.weighted import SCHEMES

__all__ = [
    "FLAG",
    "Choices",
    "Chosen",
    "Common",
    "FirstGraph",
    "Graph",
    "choose",
    "choose_graph",
    "flags_of",
    "options_of",
    "refuse",
    "spelled",
    "usual",
]

# Defaults of algorithms, and what takes their place on some problems: the best of a few rates and optimizers tried. An
# algorithm that has not all of these options, or other defaults, keeps its own.
DEFAULTS = {"lr": 0.1, "optimizer": "sgd"}
BETTER = {
    "digits": {"lr": 0.3},
    "shakespeare": {"lr": 0.003, "optimizer": "adam"},
    "sst2": {"lr": 0.01, "optimizer": "adam"},
}

# Rounds where none are given, on data sets whose models are a hundred times that of the digits.
DATA_ROUNDS = 300

# What is meant most often where a flag belongs to several parts.
USUAL = ("dpsgd", "fedavg", "dsgdm", "random_regular", "torus", "dirichlet", "shards", "top_k", "lossy", "beer")

# The words for a seed of a part, since --seed is that of the run.
SEEDS = {"topologies": "graph_seed", "problems": "data_seed"}

FLAG = KINDS | {"exchanges": "network"}

# What a part is given by another: a partition its seed by the problem, and the problem its partition by --partition.
GIVEN = {"partitions": "seed", "problems": "partition"}


def _note(metavar: str | None = None, default: str | None = None, help: str | None = None, aliases: Any = None) -> Any:
    """How the help writes a flag; `default` in words, where the value itself would say little."""
    hint = {} if default is None else {"help_behavior_hint": f"(default: {default})"}
    return tyro.conf.arg(metavar=metavar, help=help, aliases=aliases, **hint)


def _one_of(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"


@dataclasses.dataclass(frozen=True)
class Choices:
    """What decides which further flags there are."""

    algorithm: Annotated[str, _note(_one_of(members("algorithms")))] = "dpsgd"
    """the method"""
    topology: Annotated[
        str | None, _note(_one_of(members("topologies")), "random_regular, or a tree, if the method mixes")
    ] = None
    """who talks to whom"""
    network: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], _note(_one_of(members("exchanges")) + " ...", "linear")
    ] = ()
    """what happens to messages, in the order in which a message meets it"""
    problem: Annotated[str, _note(_one_of(members("problems")))] = "digits"
    """what is learnt"""
    partition: Annotated[str | None, _note(_one_of(members("partitions")), "the problem's own, mostly iid")] = None
    """how the examples of a data set are shared"""
    json: bool = False
    """print one JSON object, and nothing else, on standard output"""


@dataclasses.dataclass(frozen=True)
class Common(Choices):
    """Simulate a run: show how it goes, how it compares, and where it is kept. Each part brings flags of its own."""

    nodes: int = 1024
    """how many peers"""
    rounds: int = 3000
    """each is one send, exchange and absorb of every node"""
    seed: int = 0
    """of all randomness of the run; graph and data have their own"""
    weights: Annotated[str | None, _note(_one_of(SCHEMES), "the topology's own")] = None
    """how neighbours weigh, where the topology is one graph"""
    eval_every: Annotated[int | None, _note("INT", "a 25th of all")] = None
    """rounds between evaluations"""
    checkpoint_every: Annotated[int | None, _note("INT", "at evaluations, every ten seconds at most")] = None
    """rounds between checkpoints"""
    mapping: Annotated[str, _note("{auto,vmap,loop,INT}")] = "auto"
    """all nodes at once; a Python loop, to debug; so many nodes at a time; or chosen by size (auto)"""
    devices: Annotated[str, _note("{auto,INT}")] = "auto"
    """how many share the nodes, cores of a CPU among them; all for networks with convolutions there, else one (auto)"""
    out: Annotated[str | None, _note("DIR", "runs/ALGORITHM-TOPOLOGY-NODES")] = None
    """where the run is kept: a directory that is new or empty"""
    baselines: Annotated[bool, _note(default="on; off with --json")] = True
    """train alone, and on all data in one place, to compare"""
    progress: bool = True
    """show how the run goes, on standard error"""
    compile_cache: bool = True
    """keep compiled programs for the next run of the same shapes"""


@dataclasses.dataclass(frozen=True)
class Graph:
    """What a graph is like before anything is learnt over it: how far, how fast, at how many messages."""

    graph: Annotated[str, _note(_one_of(members("topologies")), aliases=["--topology"], help="who talks to whom")] = (
        "random_regular"
    )
    nodes: int = 1024
    """how many peers"""
    weights: Annotated[str | None, _note(_one_of(SCHEMES), "the graph's own")] = None
    """how neighbours weigh, where it is one graph"""
    gamma: float = 0.95
    """decay for the effective number of neighbours; 1 / (1 - gamma) rounds count"""
    eps: float = 1e-3
    """what gossip is to shrink disagreement to"""
    sampled_rounds: int = 100
    """of a random schedule, to estimate from"""
    seed: int = 0
    """of these rounds, as in a run; a random graph has its own"""
    plot: Annotated[str | None, _note("FILE", "none")] = None
    """draw it: graph.png, say, or .svg or .pdf"""
    json: bool = False
    """print one JSON object, and nothing else, on standard output"""


@dataclasses.dataclass(frozen=True)
class FirstGraph:
    """What is read first, of all flags of `jdl topo`."""

    graph: Annotated[str, _note(aliases=["--topology"])] = "random_regular"


class Chosen(NamedTuple):
    """Names of parts that exist. topology: None where nobody mixes, "sampling" where a server talks to clients.

    partition: None where the problem's data are not divided.
    """

    algorithm: str
    topology: str | None
    problem: str
    partition: str | None
    network: tuple[str, ...]

    @property
    def parts(self) -> list[tuple[str, str]]:
        """(kind, name) of each part, once."""
        one_each = zip(("algorithms", "topologies", "problems", "partitions"), self[:4], strict=True)
        return [part for part in one_each if part[1]] + [("exchanges", name) for name in dict.fromkeys(self.network)]


def choose(choices: Choices) -> Chosen:
    """The names as they are spelled; a sentence for one that does not exist.

    >>> chosen = choose(Choices(algorithm="gradient-tracking", network=(("top_k", "lossy"),)))
    >>> chosen.algorithm, chosen.topology, chosen.partition, chosen.network
    ('gradient_tracking', 'random_regular', 'iid', ('top_k', 'lossy'))
    """
    algorithm = known("algorithms", choices.algorithm)
    needs = members("algorithms")[algorithm].needs
    topology = choices.topology and _known_topology(choices.topology)
    checks.require(
        not topology or "server" not in needs,
        f"got topology {topology!r} with {algorithm}, which has a server in place of one; leave --topology out, and "
        "give --participants for the number of clients in a round",
    )
    if "server" in needs:
        topology = "sampling"
    elif topology is None and needs & STOCHASTIC:
        topology = "tree" if "tree" in needs else "random_regular"
    problem = known("problems", choices.problem)
    names = [name for group in choices.network for name in group]
    network = tuple(known("exchanges", name) for name in names)
    own, partition = inspect.signature(maker("problems", problem)).parameters.get("partition"), choices.partition
    need = "whose nodes have data of their own; leave --partition out, or give --problem digits"
    checks.require(own is not None or partition is None, f"got partition {partition!r} with {problem}, {need}")
    partition = own and known("partitions", partition or own.default)
    return Chosen(algorithm, topology, problem, partition, network)


def choose_graph(first: FirstGraph) -> Chosen:
    """The one part of `jdl topo`, its name as it is spelled."""
    return Chosen("", _known_topology(first.graph), "", None, ())


def _known_topology(name: str) -> str:
    return known("topologies", name, ["from_file"])


def options_of(kind: str, name: str) -> list[Option]:
    """The options of a part that are flags of its own."""
    return [option for option in options(maker(kind, name)) if option.name != GIVEN.get(kind)]


def flags_of(chosen: Chosen, base: type = Common) -> type:
    """The dataclass of all flags of these parts: those of `base`, and a group for each part that has some."""
    groups = [_group(kind, name, chosen) for kind, name in chosen.parts if options_of(kind, name)]
    made = dataclasses.make_dataclass("Flags", groups, bases=(base,), frozen=True)
    made.__doc__ = base.__doc__
    return made


def usual(chosen: Chosen) -> dict[str, int]:
    """Numbers of a run that are others for this problem than those of `Common`."""
    if chosen.problem not in problems.named.DATA_SETS:
        return {}
    nodes = inspect.signature(maker("problems", chosen.problem)).parameters["nodes"].default
    return {"nodes": nodes, "rounds": DATA_ROUNDS}


def _group(kind: str, name: str, chosen: Chosen) -> tuple[str, Any, Any]:
    """The flags of one part, as a field of the whole. Those of an exchange carry its name."""
    fields, found = [], options_of(kind, name)
    better = BETTER.get(chosen.problem, {}) if kind == "algorithms" else {}
    plain = {option.name: option.default for option in found if option.default == DEFAULTS.get(option.name)}
    for option in found:
        hint, default, note = option.type, option.default, _note(help=option.help or None)
        words = _words().get(option.name) if kind == "problems" else None
        if option.name == "optimizer":
            note = _note(_one_of(local.OPTIMIZERS), help="what turns gradients into steps")
        if words:
            note = _note(_one_of(words), help=option.help)
        if default is inspect.Parameter.empty or default is None:  # left to the part itself
            hint, default = hint | None, None
            metavar = _metavar(option.type)
            default_said = "all" if name == "sampling" else "none" if metavar == "TEXT" else "its own choice"
            if words:
                metavar, default_said = _one_of(words), "the usual one for the data"
            note = _note(metavar, default_said, option.help or None)
        if better.keys() <= plain.keys():
            default = better.get(option.name, default)
        fields.append((spelled(kind, option), Annotated[hint, note], default))
    made = dataclasses.make_dataclass(name, fields, frozen=True)
    made.__doc__ = entry(name, maker(kind, name)).summary
    return name, made if kind == "exchanges" else tyro.conf.OmitArgPrefixes[made], made()


@functools.cache
def _words() -> dict[str, Iterable[str]]:
    """The options of problems that are one of several words."""
    return {"model": MODELS, "sampling": SAMPLING, "precision": PRECISIONS}


def _metavar(kind: Any) -> str:
    """FLOAT for `float` and for `float | None`."""
    plain = next((part for part in typing.get_args(kind) if part is not type(None)), kind)
    return "TEXT" if plain is str else plain.__name__.upper()


def spelled(kind: str, option: Option) -> str:
    """The name of a part's option as a flag: an algorithm's says so where data or graphs have one of its name."""
    if kind == "algorithms" and option.name in _names_elsewhere():
        return f"algorithm_{option.name}"
    return SEEDS[kind] if option.name == "seed" and kind in SEEDS else option.name


@functools.cache
def _names_elsewhere() -> frozenset[str]:
    parts = [(kind, name) for kind in ("topologies", "problems", "partitions") for name in members(kind)]
    return frozenset(option.name for part in parts for option in options_of(*part))


def refuse(unknown: list[str], chosen: Chosen, flags: type) -> None:
    """A sentence for arguments that no part chosen takes: which one would, or which flag was meant."""
    if not unknown:
        return
    word, command = unknown[0].partition("=")[0], "run" if issubclass(flags, Common) else "topo"
    see, what = f"see `jdl {command} --help`", "this run" if command == "run" else "this graph"
    checks.require(word.startswith("--"), f"got {word!r}, which follows no flag; {see}")
    plain = word[2:].replace("_", "-").removeprefix("no-")
    takers = [part for *part, flag in _all_flags() if flag == plain and (command == "run" or part[0] == "topologies")]
    if takers:
        takers.sort(key=lambda part: USUAL.index(part[1]) if part[1] in USUAL else len(USUAL))
        kind, name = takers[0]
        names = " and ".join(name for _, name in takers[:3]) + f" and {len(takers) - 3} others" * (len(takers) > 3)
        others = ", ".join(name for _, name in chosen.parts)
        do = f"leave it out, or give --{FLAG[kind]} {name}"
        raise checks.InputError(f"got {word}, which belongs to {names}, not to {others}; {do}")
    groups = {name for _, name in chosen.parts}
    common = [one.name.replace("_", "-") for one in dataclasses.fields(flags) if one.name not in groups]
    own = [flag for kind, name, flag in _all_flags() if (kind, name) in chosen.parts]
    near = " or --".join(checks.nearest(plain, [*common, *own])[:2])
    raise checks.InputError(f"got {word}, which is no flag of {what}; did you mean --{near}? S{see[1:]}")


def _all_flags() -> Iterable[tuple[str, str, str]]:
    """(kind, name, flag) of every option of every part; a server's sample counts with the algorithms that have one."""
    parts = [(kind, name, options_of(kind, name)) for kind in FLAG for name in members(kind)]
    served = [name for name, algorithm in members("algorithms").items() if "server" in algorithm.needs]
    parts += [("algorithms", name, options(maker("topologies", "sampling"))) for name in served]
    parts.append(("topologies", "from_file", options(maker("topologies", "from_file"))))
    for kind, name, found in parts:
        for option in found:
            yield kind, name, (f"{name}." * (kind == "exchanges") + spelled(kind, option)).replace("_", "-")
