"""A run as JSON: made from flags, kept in `config.json`, turned into the objects that `jdl.run` takes."""

from __future__ import annotations

import inspect
import os
import typing
from typing import Any

from jdl import checks, roles
from jdl.command.budget import budget_in, oracle_within
from jdl.command.catalogue import make, maker
from jdl.command.choices import Chosen
from jdl.command.clock import clock_in, clock_of
from jdl.command.flags import FLAG, PREFIXED, options_of, spelled
from jdl.command.inline import name_of, resolved, values_of
from jdl.command.seeds import Once, parts_by_seed, seeds_in, vary_in
from jdl.command.until import until_in
from jdl.data.load import absolute
from jdl.runs.planned import usual_rounds
from jdl.topology import Topology
from jdl.topology.weights.weighted import SCHEMES

__all__ = ["build", "record", "topology_of"]

Command = dict[str, Any]

ROUNDS = 3000  # of a run where neither the user nor a plan in time gives a number
LEAST = {"nodes": 1, "rounds": 1, "eval_every": 1, "checkpoint_every": 1, "seed": 0, "groups": 1, "role_seed": 0}


def record(flags: Any, chosen: Chosen) -> Command:
    """The resolved flags, all that it takes to make the same run again.

    Args:
      flags: an instance of `jdl.command.flags.flags_of(chosen)`.

    Raises:
      InputError: if a flag cannot be used, such as a number of rounds below 1.

    >>> from jdl.command.choices import Choices, choose
    >>> from jdl.command.flags import flags_of
    >>> chosen = choose(Choices(topology="ring", problem="quadratic"))
    >>> record(flags_of(chosen)(nodes=8), chosen)["topology"]
    {'name': 'ring'}
    """
    single = {kind: name for kind, name in chosen.parts if kind not in ("topologies", *PREFIXED)}
    command = {"topology": topology_of(flags, chosen)}
    command |= {FLAG[kind]: _part(kind, name, flags) for kind, name in single.items()}
    if chosen.topology == "sampling" and command["topology"]["participants"] is None:
        command["topology"]["participants"] = flags.nodes
    command["network"] = [_part("exchanges", name, flags) for name in chosen.network]
    command["network_down"] = [_part("exchanges", name, getattr(flags, "down", None)) for name in chosen.network_down]
    if chosen.schedule:
        command["schedule"] = [_part("schedules", name, flags) for name in chosen.schedule]
    command["oracle"] = [_part("oracles", name, flags) for name in chosen.oracle]
    numbers = {name: getattr(flags, name) for name in LEAST}
    for name, number in numbers.items():
        if number is not None:
            checks.whole(name, number, LEAST[name])
    who = {
        "dishonest": _share(flags.dishonest or "0"),
        "groups": numbers.pop("groups"),
        "seed": numbers.pop("role_seed"),
    }
    command["roles"] = who if flags.dishonest is not None or who["groups"] > 1 else None
    if command["roles"]:
        roles.draw(flags.nodes, **who)  # refuses what does not fit, before anything is built
    command["seeds"] = seeds_in(flags.seeds, flags.seed)
    command["vary"] = vary_in(flags.vary, command["seeds"])
    command["until"] = until_in(flags.until, flags.until_accuracy, flags.until_seconds, flags.until_bits)
    if (clock := clock_in(flags.clock)) is not None:
        command["clock"] = clock
    if (budget := budget_in(flags.dp)) is not None:
        command["dp"] = budget
    if flags.params is not None:
        command["params"] = os.fspath(checks.path(flags.params).resolve())  # a run may be resumed from elsewhere
    numbers |= {"own": flags.own, "per_node": flags.per_node}
    return command | numbers | {name: _number(getattr(flags, name)) for name in ("mapping", "devices", "eval_nodes")}


def build(command: Command, once: Once = lambda _, make: make()) -> dict[str, Any]:
    """The arguments of `jdl.run`. What is cheap to refuse is refused first, and nothing that does not fit is built.

    The problem, the topology and the roles that are drawn anew with each of several seeds are functions of the seed.

    Args:
      command: the record of a run.
      once: is called with the JSON of a part and a function that makes it; a sweep makes equal parts only once.
    """
    algorithm = once(command["algorithm"], lambda: make("algorithms", **command["algorithm"]))
    # Commands of earlier versions lack the last two.
    lists = (("network", "exchanges"), ("network_down", "exchanges"), ("oracle", "oracles"))
    several = {
        name: once([kind, parts], lambda kind=kind, parts=parts: [make(kind, **part) for part in parts])
        for name, kind in lists
        for parts in [command.get(name, [])]
    }
    for part in (algorithm, *(part for parts in several.values() for part in parts)):
        checks.fields(part)
    arguments = {
        "algorithm": algorithm,
        **several,
        **parts_by_seed(command, once),
        "mapping": _number(command["mapping"]),
        # Commands of earlier versions lack these.
        "devices": command.get("devices", 1),
        "own": command.get("own", False),
        "per_node": command.get("per_node", False),
        "eval_nodes": command.get("eval_nodes", "all"),
        "seeds": command.get("seeds"),
        "until": command.get("until"),
        "clock": once(command.get("clock"), lambda: clock_of(command.get("clock"))),
        **{name: command[name] for name in ("params",) if name in command},
        **{name: command[name] for name in ("rounds", "seed", "checkpoint_every")},
        "eval_every": _every(command),
    }
    if command["rounds"] is None:
        arguments["rounds"] = usual_rounds(arguments.get("topology"), usual=ROUNDS)
    if "dp" in command:
        arguments["oracle"] = oracle_within(command["dp"], arguments, command["seed"])
    return arguments


def _every(command: Command) -> int | None:
    """The rounds between evaluations; in commands of earlier versions, what was usual then."""
    if "eval_nodes" in command or command["eval_every"] is not None:
        return command["eval_every"]
    return max(1, command["rounds"] // 25)


def topology_of(flags: Any, chosen: Chosen) -> Command | None:
    """The topology's part of a command, also of `jdl topo`; with the weights asked for, if any."""
    name = chosen.topology
    part = None if name is None else _part("topologies", name, flags)
    if flags.weights is None:
        return part
    scheme = checks.known("weights", flags.weights, SCHEMES)
    # What makes a graph says so: others return a cycle of them, or a schedule.
    one = name is not None and typing.get_type_hints(maker("topologies", name)).get("return") is Topology
    need = f"need a topology that is one graph; leave it out, or give --{FLAG['topologies']} ring"
    checks.require(one, f"got --weights {scheme} with {name or 'no topology'}, {need}")
    return {**part, "weights": scheme}


def _number(word: str | int) -> str | int:
    """A number where a flag takes one beside words."""
    return int(word) if str(word).isdecimal() else word


def _share(word: str) -> float | int:
    """A share, or a number."""
    try:
        return int(word) if word.isdecimal() else float(word)
    except ValueError:
        raise checks.InputError(
            f"got --dishonest {word}, need a share of peers below 1, or a whole number of them; try --dishonest 0.25"
        ) from None


def _part(kind: str, name: str, flags: Any) -> Command:
    """The name of a part and its options: as they are flagged, or as they follow its name in a list (`lossy:...`).

    Paths are made such that they are found from anywhere.
    """
    name, own = name_of(name), values_of(kind, name)
    values = {one.name: getattr(getattr(flags, name), spelled(kind, one)) for one in options_of(kind, name)} | own
    needed = [
        one.name for one in options_of(kind, name) if kind == "schedules" and one.default is inspect.Parameter.empty
    ]
    lacks = next((one for one in needed if values[one] is None), None)
    checks.require(lacks is None, f"got {name} without {lacks}, which it needs; write {name}:{lacks}=VALUE")
    values = resolved(maker(kind, name), name, values)
    return {"name": name} | {name: _from_anywhere(name, value) for name, value in values.items()}


# Arguments of parts that are paths, wherever they occur.
PATHS = ("path", "data_dir")


def _from_anywhere(name: str, value: Any) -> Any:
    if not isinstance(value, str) or not value:
        return value
    if name in PATHS:
        return str(checks.path(value).absolute())
    return absolute(value) if name == "data" else value
