"""The flags of `jdl run` and `jdl topo`: their own, and those of the parts chosen, derived from their signatures."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import Annotated, Any

import tyro

from jdl import local
from jdl.command.catalogue import KINDS, Option, entry, maker, members, options
from jdl.command.choices import Choices, Chosen
from jdl.command.defaults import better
from jdl.command.help import metavar, note, one_of, words
from jdl.topology.weights.weighted import SCHEMES

__all__ = ["FLAG", "Common", "Graph", "flags_of", "options_of", "spelled"]

# The words for a seed of a part, since --seed is that of the run.
SEEDS = {"topologies": "graph_seed", "problems": "data_seed"}

FLAG = KINDS | {"exchanges": "network"}

# What a part is given by another: a partition its seed by the problem, and the problem its partition by --partition.
GIVEN = {"partitions": "seed", "problems": "partition"}


@dataclasses.dataclass(frozen=True)
class Common(Choices):
    """Simulate a run: show how it goes, how it compares, and where it is kept. Each part brings flags of its own."""

    nodes: int = 1024
    """how many peers"""
    rounds: int = 3000
    """each is one send, exchange and absorb of every node"""
    seed: int = 0
    """of all randomness of the run; graph and data have their own"""
    weights: Annotated[str | None, note(one_of(SCHEMES), "the topology's own")] = None
    """how neighbours weigh, where the topology is one graph"""
    eval_every: Annotated[int | None, note("INT", "a 25th of all")] = None
    """rounds between evaluations"""
    checkpoint_every: Annotated[int | None, note("INT", "at evaluations, every ten seconds at most")] = None
    """rounds between checkpoints"""
    mapping: Annotated[str, note("{auto,vmap,loop,INT}")] = "auto"
    """all nodes at once; a Python loop, to debug; so many nodes at a time; or chosen by size (auto)"""
    devices: Annotated[str, note("{auto,INT}")] = "auto"
    """how many share the nodes, cores of a CPU among them; all for networks with convolutions there, else one (auto)"""
    out: Annotated[str | None, note("DIR", "runs/ALGORITHM-TOPOLOGY-NODES")] = None
    """where the run is kept: a directory that is new or empty"""
    baselines: Annotated[bool, note(default="on; off with --json")] = True
    """train alone, and on all data in one place, to compare"""
    progress: bool = True
    """show how the run goes, on standard error"""
    compile_cache: bool = True
    """keep compiled programs for the next run of the same shapes"""


@dataclasses.dataclass(frozen=True)
class Graph:
    """What a graph is like before anything is learnt over it: how far, how fast, at how many messages."""

    graph: Annotated[str, note(one_of(members("topologies")), aliases=["--topology"], help="who talks to whom")] = (
        "random_regular"
    )
    nodes: int = 1024
    """how many peers"""
    weights: Annotated[str | None, note(one_of(SCHEMES), "the graph's own")] = None
    """how neighbours weigh, where it is one graph"""
    gamma: float = 0.95
    """decay for the effective number of neighbours; 1 / (1 - gamma) rounds count"""
    eps: float = 1e-3
    """what gossip is to shrink disagreement to"""
    sampled_rounds: int = 100
    """of a random schedule, to estimate from"""
    seed: int = 0
    """of these rounds, as in a run; a random graph has its own"""
    plot: Annotated[str | None, note("FILE", "none")] = None
    """draw it: graph.png, say, or .svg or .pdf"""
    json: bool = False
    """print one JSON object, and nothing else, on standard output"""


def options_of(kind: str, name: str) -> list[Option]:
    """The options of a part that are flags of its own."""
    return [option for option in options(maker(kind, name)) if option.name != GIVEN.get(kind)]


def flags_of(chosen: Chosen, base: type = Common) -> type:
    """The dataclass of all flags of these parts: those of `base`, and a group for each part that has some."""
    groups = [_group(kind, name, chosen) for kind, name in chosen.parts if options_of(kind, name)]
    made = dataclasses.make_dataclass("Flags", groups, bases=(base,), frozen=True)
    made.__doc__ = base.__doc__
    return made


def _group(kind: str, name: str, chosen: Chosen) -> tuple[str, Any, Any]:
    """The flags of one part, as a field of the whole. Those of an exchange carry its name."""
    fields, found = [], options_of(kind, name)
    tuned = better(chosen.problem, found) if kind == "algorithms" else {}
    for option in found:
        hint, default, says = option.type, option.default, note(help=option.help or None)
        names = words().get(option.name) if kind == "problems" else None
        if option.name == "optimizer":
            says = note(one_of(local.OPTIMIZERS), help="what turns gradients into steps")
        if names:
            says = note(one_of(names), help=option.help)
        if default is inspect.Parameter.empty or default is None:  # left to the part itself
            hint, default = hint | None, None
            value = metavar(option.type)
            default_said = "all" if name == "sampling" else "none" if value == "TEXT" else "its own choice"
            if names:
                value, default_said = one_of(names), "the usual one for the data"
            says = note(value, default_said, option.help or None)
        default = tuned.get(option.name, default)
        fields.append((spelled(kind, option), Annotated[hint, says], default))
    made = dataclasses.make_dataclass(name, fields, frozen=True)
    made.__doc__ = entry(name, maker(kind, name)).summary
    return name, made if kind == "exchanges" else tyro.conf.OmitArgPrefixes[made], made()


def spelled(kind: str, option: Option) -> str:
    """The name of a part's option as a flag: an algorithm's says so where data or graphs have one of its name."""
    if kind == "algorithms" and option.name in _names_elsewhere():
        return f"algorithm_{option.name}"
    return SEEDS[kind] if option.name == "seed" and kind in SEEDS else option.name


@functools.cache
def _names_elsewhere() -> frozenset[str]:
    parts = [(kind, name) for kind in ("topologies", "problems", "partitions") for name in members(kind)]
    return frozenset(option.name for part in parts for option in options_of(*part))
