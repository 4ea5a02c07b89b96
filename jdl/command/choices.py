"""The parts that a command names. They are read first, since each part has flags of its own."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Annotated, NamedTuple

import tyro

from jdl import checks
from jdl.command.catalogue import RENAMED, known, maker, members
from jdl.command.help import note, one_of
from jdl.exchange.stack import is_compressor, wraps
from jdl.plan import TALKS

__all__ = ["Choices", "Chosen", "FirstGraph", "choose", "choose_graph", "with_new_names"]


def _on_the_way_down() -> list[str]:
    """Those that act on one message, which an honest server sends to all."""
    made = {name: make() for name, make in members("exchanges").items()}
    return [name for name, part in made.items() if is_compressor(part) or (wraps(part) and not part.needs)]


@dataclasses.dataclass(frozen=True)
class Choices:
    """The flags that name parts, on which all further flags depend."""

    algorithm: Annotated[str, note(one_of(members("algorithms")))] = "dpsgd"
    """learning method; `jdl list` describes each one"""
    topology: Annotated[
        str | None,
        note(
            one_of(members("topologies")),
            "random_regular, or a tree for methods that need one; none for methods that do not mix",
        ),
    ] = None
    """graph, cycle of graphs or random schedule that says which peers exchange messages"""
    network: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], note(one_of(members("exchanges")) + " ...", "linear")
    ] = ()
    """exchanges that act on messages (compression, loss, attacks), in this order"""
    network_down: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], note(one_of(_on_the_way_down()) + " ...", "none")
    ] = ()
    """exchanges on the way from a server to its clients; their flags begin with --down, as --down.lossy.probability"""
    oracle: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        note(one_of(members("oracles")) + " ...", "data_oracle, the data as they are"),
    ] = ()
    """what peers learn from their data: noise, privacy, false labels; the first is asked first, data_oracle is last"""
    problem: Annotated[str, note(one_of(members("problems")))] = "digits"
    """data set and loss to learn"""
    partition: Annotated[str | None, note(one_of(members("partitions")), "the problem's own, mostly iid")] = None
    """how the examples of the data set are divided among the peers"""
    json: bool = False
    """print one JSON object, and nothing else, on standard output"""


@dataclasses.dataclass(frozen=True)
class FirstGraph:
    """The flag of `jdl topo` that is read first."""

    graph: Annotated[str, note(aliases=["--topology"])] = "random_regular"


class Chosen(NamedTuple):
    """The names of the parts of a run.

    Args:
      algorithm: the method.
      topology: None if the method does not mix; "sampling" if a server samples clients.
      problem: the problem.
      partition: None if the problem does not divide a data set.
      network: the exchanges, in their order.
      network_down: the exchanges on the way from a server to its clients, in their order.
      oracle: the wrappers of the oracle, and perhaps an oracle, in their order.
    """

    algorithm: str
    topology: str | None
    problem: str
    partition: str | None
    network: tuple[str, ...]
    network_down: tuple[str, ...] = ()
    oracle: tuple[str, ...] = ()

    @property
    def parts(self) -> list[tuple[str, str]]:
        """The kind and the name of each part but those of `network_down`, without repetitions."""
        one_each = zip(("algorithms", "topologies", "problems", "partitions"), self[:4], strict=True)
        lists = [("exchanges", name) for name in self.network] + [("oracles", name) for name in self.oracle]
        return [part for part in one_each if part[1]] + list(dict.fromkeys(lists))


def choose(choices: Choices) -> Chosen:
    """Find the parts that the user means, and correct the spelling of their names.

    Args:
      choices: the flags that name parts.

    Returns:
      The names of the parts.

    Raises:
      InputError: if a part does not exist, or does not go with another.

    >>> chosen = choose(Choices(algorithm="gradient-tracking", network=(("top_k", "lossy"),)))
    >>> chosen.algorithm, chosen.topology, chosen.partition, chosen.network
    ('gradient_tracking', 'random_regular', 'iid', ('top_k', 'lossy'))
    """
    algorithm = known("algorithms", choices.algorithm)
    needs = members("algorithms")[algorithm]().needs
    topology = choices.topology and _known_topology(choices.topology)
    checks.require(
        not topology or "server" not in needs,
        f"got topology {topology!r} with {algorithm}, which has a server and no topology; leave --topology out, and "
        "set the number of clients in a round by --participants",
    )
    if "server" in needs:
        topology = "sampling"
    elif topology is None and needs & TALKS:
        topology = "tree" if "tree" in needs else "random_regular"
    problem = known("problems", choices.problem)
    network, down = _in_order("exchanges", choices.network), _in_order("exchanges", choices.network_down)
    need = "need a method with a server; leave it out, or give --algorithm fedavg"
    checks.require(not down or "server" in needs, f"got --network-down with {algorithm}, which has no server, {need}")
    own, partition = inspect.signature(maker("problems", problem)).parameters.get("partition"), choices.partition
    need = "whose nodes have data of their own; leave --partition out, or give --problem digits"
    checks.require(own is not None or partition is None, f"got partition {partition!r} with {problem}, {need}")
    partition = own and known("partitions", partition or own.default)
    return Chosen(algorithm, topology, problem, partition, network, down, _in_order("oracles", choices.oracle))


def _in_order(kind: str, groups: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """The names that a flag was given, once or several times."""
    return tuple(known(kind, name) for group in groups for name in group)


def with_new_names(words: list[str]) -> list[str]:
    """Replace former names of exchanges in the flags of a command by their present names.

    >>> with_new_names(["run", "--network", "narrow", "--narrow.dtype=float16"])
    ['run', '--network', 'narrow', '--half_precision.dtype=float16']
    """
    for before, now in RENAMED["exchanges"].items():
        words = [f"--{now}.{word[len(before) + 3 :]}" if word.startswith(f"--{before}.") else word for word in words]
    return words


def choose_graph(first: FirstGraph) -> Chosen:
    """Find the topology that `jdl topo` names."""
    return Chosen("", _known_topology(first.graph), "", None, ())


def _known_topology(name: str) -> str:
    return known("topologies", name, ["from_file"])
