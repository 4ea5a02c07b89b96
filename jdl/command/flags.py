"""The flags of `jdl run` and `jdl topo`: common ones, and those of the chosen parts, derived from their signatures."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import Annotated, Any

import tyro

from jdl import local
from jdl.command.catalogue import FLAG, Option, entry, maker, members, options, usual_inside
from jdl.command.choices import Choices, Chosen
from jdl.command.defaults import better
from jdl.command.help import metavar, note, one_of, words
from jdl.command.insides import insides
from jdl.command.seeds import VARY
from jdl.topology.weights.weighted import SCHEMES

__all__ = ["FLAG", "PREFIXED", "Common", "Graph", "flags_of", "options_of", "spelled"]

# The flags for the seeds of parts, since --seed is the seed of the run.
SEEDS = {"topologies": "graph_seed", "problems": "data_seed"}

# Kinds of which a run may have several parts; the flags of each begin with its name.
PREFIXED = ("schedules", "exchanges", "oracles")

# Options that have no flag, since another part sets them: the problem sets the seed of the partition, and --partition
# sets the partition of the problem.
GIVEN = {"partitions": "seed", "problems": "partition"}


@dataclasses.dataclass(frozen=True)
class Common(Choices):
    """Run a simulation, compare it with two baselines, and save the results. Each part has flags of its own."""

    nodes: int = 1024
    """number of peers"""
    rounds: Annotated[int | None, note("INT", "3000, or all that are planned in time")] = None
    """number of rounds; in a round every peer sends, and receives from its neighbours"""
    seed: int = 0
    """seed of the run: first models, minibatches, network; data, graph and roles have seeds of their own"""
    seeds: Annotated[str | None, note("INT|INT,INT,...", "one run")] = None
    """number of seeds, counted from --seed, or the seeds; results are means with intervals over them"""
    vary: Annotated[tuple[str, ...], note(one_of(VARY) + " ...", "run")] = ()
    """what --seeds draws anew with each seed: the run always, data, graph and roles if they are named"""
    until: Annotated[tuple[str, ...], note("COLUMN=VALUE ...", "all rounds")] = ()
    """end as soon as an evaluation has reached these values, such as mean_accuracy=0.95 'consensus_distance<=0.1'"""
    until_accuracy: Annotated[float | None, note("FLOAT", "all rounds")] = None
    """the same as --until mean_accuracy=FLOAT"""
    until_seconds: Annotated[float | None, note("FLOAT", "all rounds")] = None
    """end in any case after so many simulated seconds, of --clock or of a plan in time"""
    until_bits: Annotated[float | None, note("FLOAT", "all rounds")] = None
    """end in any case when all peers together have sent so many bits"""
    clock: Annotated[str | None, note("[OPTION=VALUE:...]", "no clock")] = None
    """count the simulated seconds of rounds: step=0.1:up=1e8:down=1e8:latency=0.01, where parts may stand in brackets,
    as step=[log_normal:spread=1], links=[parallel:rate=1e6] and wait=[deadline:seconds=5]; see `jdl list`"""
    weights: Annotated[str | None, note(one_of(SCHEMES), "the topology's own")] = None
    """rule for the weights of neighbours, if the topology is a single graph"""
    eval_every: Annotated[int | None, note("INT", "a 25th of all rounds, more in short runs")] = None
    """number of rounds between evaluations"""
    eval_nodes: Annotated[str, note("{auto,all,INT}")] = "auto"
    """peers whose models are evaluated; auto: all, or 256 until the end if all would take much of the time"""
    checkpoint_every: Annotated[int | None, note("INT", "at evaluations, at most every ten seconds")] = None
    """number of rounds between checkpoints"""
    params: Annotated[str | None, note("FILE", "drawn from --seed")] = None
    """first model of all peers, or one for each: a .npz or .safetensors file; its arrays have the model's names"""
    own: bool = False
    """evaluate each peer's model also on what that peer meets: its share of classes, or its owners' test examples"""
    per_node: bool = False
    """keep the accuracy, the loss, the distance to the mean and the traffic of each peer, in nodes.csv"""
    dishonest: Annotated[str | None, note("FLOAT|INT", "nobody")] = None
    """share of peers, below 1, or number of them that are dishonest, drawn at random; attacks and metrics heed it; also
    spelled --attackers"""
    dp: Annotated[str | None, note("epsilon=FLOAT:delta=FLOAT:clip=FLOAT", "no privacy")] = None
    """private gradients with the noise that keeps this budget over all rounds; what is left out is 4, 1e-5 and 1"""
    groups: int = 1
    """number of groups over which peers are divided at random"""
    role_seed: int = 0
    """seed of the draw of dishonest peers and groups"""
    mapping: Annotated[str, note("{auto,vmap,loop,INT}")] = "auto"
    """vmap: all peers at once; INT: this many at a time, for less memory; loop: uncompiled, to debug; auto: by size"""
    devices: Annotated[str, note("{auto,INT}")] = "auto"
    """devices that share the peers, a divisor of --nodes; auto: one, or all CPU cores for models with convolutions"""
    out: Annotated[str | None, note("DIR", "runs/ALGORITHM-TOPOLOGY-NODES")] = None
    """directory for the results; it must be new or empty"""
    baselines: Annotated[bool, note(default="on; off with --json")] = True
    """for comparison, also train every peer alone, and one peer on all data"""
    progress: bool = True
    """show the progress on standard error"""
    compile_cache: bool = True
    """keep compiled programs, so that the next run with the same shapes starts faster"""


@dataclasses.dataclass(frozen=True)
class Graph:
    """Report the properties of a topology: distances, eigenvalues, messages, and the rounds until nodes agree."""

    graph: Annotated[
        str,
        note(one_of(members("topologies")), aliases=["--topology"], help="graph, cycle of graphs or random schedule"),
    ] = "random_regular"
    nodes: int = 1024
    """number of peers"""
    weights: Annotated[str | None, note(one_of(SCHEMES), "the graph's own")] = None
    """rule for the weights of neighbours, if the topology is a single graph"""
    gamma: float = 0.95
    """factor by which the effective number of neighbours discounts each earlier round; about 1 / (1 - gamma) count"""
    eps: float = 1e-3
    """the report counts the rounds until gossip has shrunk disagreement to this fraction"""
    sampled_rounds: int = 100
    """number of sampled rounds of a random schedule, from which its numbers are estimated"""
    seed: int = 0
    """seed of the sampled rounds; a random graph has a seed of its own"""
    plot: Annotated[str | None, note("FILE", "none")] = None
    """draw the graph to this file, e.g. graph.png, .svg or .pdf"""
    json: bool = False
    """print one JSON object, and nothing else, on standard output"""


def options_of(kind: str, name: str) -> list[Option]:
    """The options of a part that have flags."""
    return [option for option in options(maker(kind, name)) if option.name != GIVEN.get(kind)]


@functools.lru_cache(maxsize=4096)
def flags_of(chosen: Chosen, base: type = Common) -> type:
    """Make the dataclass of all flags: those of `base`, and a group for each part that has options."""
    groups = [_group(kind, name, chosen) for kind, name in chosen.parts if options_of(kind, name)]
    down = [_group("exchanges", name, chosen) for name in chosen.down]
    down = [group for group in down if dataclasses.fields(group[2])]
    if down:
        made = dataclasses.make_dataclass("down", down, frozen=True)
        groups.append(("down", made, made()))
    made = dataclasses.make_dataclass("Flags", groups, bases=(base,), frozen=True)
    made.__doc__ = base.__doc__
    return made


def _group(kind: str, name: str, chosen: Chosen) -> tuple[str, Any, Any]:
    """Make the field with the flags of one part. The flags of an exchange, and of an oracle, begin with its name."""
    fields, found = [], options_of(kind, name)
    tuned = better(chosen.problem, found) if kind == "algorithms" else {}
    for option in found:
        hint, default, says = option.type, option.default, note(help=option.help or None)
        names = words().get(option.name) if kind == "problems" else None
        if option.name == "optimizer":
            says = note(one_of(local.OPTIMIZERS), help="optimizer of the local steps")
        if names:
            says = note(one_of(names), help=option.help)
        if default is inspect.Parameter.empty or default is None:  # the part itself decides
            hint, default = hint | None, None
            value = metavar(option.type)
            default_said = (
                "all" if name == "sampling" else "none" if value == "TEXT" or kind in PREFIXED else "its own choice"
            )
            if names:
                value, default_said = one_of(names), "the usual one for the data"
            if kind == "schedules" and option.default is inspect.Parameter.empty:
                default_said = "needed"
            if option.name in insides(maker(kind, name)):
                value, default_said = "NAME:OPTION=VALUE:...", usual_inside(maker(kind, name), option.name)
            says = note(value, default_said, option.help or None)
        default = tuned.get(option.name, default)
        fields.append((spelled(kind, option), Annotated[hint, says], default))
    made = dataclasses.make_dataclass(name, fields, frozen=True)
    made.__doc__ = entry(name, maker(kind, name)).summary
    return name, made if kind in PREFIXED else tyro.conf.OmitArgPrefixes[made], made()


def spelled(kind: str, option: Option) -> str:
    """The flag of an option. An algorithm's begins with `algorithm` if data or graphs have an option of its name."""
    if kind == "algorithms" and option.name in _names_elsewhere():
        return f"algorithm_{option.name}"
    return SEEDS[kind] if option.name == "seed" and kind in SEEDS else option.name


@functools.cache
def _names_elsewhere() -> frozenset[str]:
    parts = [(kind, name) for kind in ("topologies", "problems", "partitions") for name in members(kind)]
    return frozenset(option.name for part in parts for option in options_of(*part))
