"""A run as JSON: made from flags, kept in `config.json`, turned into the objects that `jdl.run` takes."""

from __future__ import annotations

from typing import Any

from jdl import checks, compose
from jdl.catalogue import maker, options
from jdl.flags import FLAG, Chosen, options_of, spelled, unused

__all__ = ["build", "record"]

Command = dict[str, Any]

LEAST = {"nodes": 1, "rounds": 1, "eval_every": 1, "checkpoint_every": 1, "seed": 0}


def record(flags: Any, chosen: Chosen) -> Command:
    """The resolved flags, all that it takes to make the same run again.

    Args:
      flags: an instance of `jdl.flags.flags_of(chosen)`.

    Raises:
      InputError: a number of rounds, say, that is less than it may be.

    >>> from jdl.flags import First, choose, flags_of
    >>> chosen = choose(First(topology="ring", problem="quadratic"))
    >>> record(flags_of(chosen)(nodes=8), chosen)["topology"]
    {'name': 'ring'}
    """

    def part(kind, name):
        for one in options(maker(kind, name)):
            rules, flag = unused(kind, one, chosen), spelled(kind, one)
            checks.require(
                not rules or getattr(getattr(flags, name), flag) is None,
                f"got --{flag.replace('_', '-')}, which the partition {chosen.partition} has no use for; leave it out, "
                f"or give --partition {' or '.join(rules)}",
            )
        values = {one.name: getattr(getattr(flags, name), spelled(kind, one)) for one in options_of(kind, name, chosen)}
        return {"name": name, **values}

    command = {"topology": None} | {FLAG[kind]: part(kind, name) for kind, name in chosen.parts if kind != "exchanges"}
    if chosen.topology == "sampling" and command["topology"]["participants"] is None:
        command["topology"]["participants"] = flags.nodes
    command["network"] = [part("exchanges", name) for name in chosen.network]
    numbers = {name: getattr(flags, name) for name in LEAST}
    for name, number in numbers.items():
        if number is not None:
            checks.whole(name, number, LEAST[name])
    return command | numbers | {"mapping": flags.mapping}


def build(command: Command) -> dict[str, Any]:
    """The arguments of `jdl.run`. What is cheap to refuse is refused first, and nothing that does not fit is built."""

    def make(kind, part, **size):
        return maker(kind, part["name"])(**size, **{name: value for name, value in part.items() if name != "name"})

    n, topology, mapping = command["nodes"], command["topology"], command["mapping"]
    algorithm = make("algorithms", command["algorithm"])
    network = [make("exchanges", part) for part in command["network"]]
    for part in (algorithm, *network):
        checks.fields(part)
    problem = make("problems", command["problem"], nodes=n)
    compose.fits_in_memory(problem)
    return {
        "problem": problem,
        "algorithm": algorithm,
        "topology": make("topologies", topology, n=n) if topology else None,
        "network": network,
        "mapping": int(mapping) if mapping.isdecimal() else mapping,
        **{name: command[name] for name in ("rounds", "seed", "eval_every", "checkpoint_every")},
    }
