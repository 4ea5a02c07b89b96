"""The parts that a command names. They are read first, since each part has flags of its own."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Annotated, NamedTuple

import tyro

from jdl import checks
from jdl.command.catalogue import RENAMED, kind_of_exchange, known, maker, members
from jdl.command.help import note, one_of
from jdl.command.inline import name_of, spelled_in_full
from jdl.exchange.stack import is_compressor, wraps
from jdl.plan import TALKS

__all__ = ["Choices", "Chosen", "FirstGraph", "choose", "choose_graph", "has_server", "in_order", "with_new_names"]


def _on_the_way_down() -> list[str]:
    """Those that act on one message, which an honest server sends to all."""
    made = {name: make() for name, make in members("exchanges").items()}
    return [name for name, part in made.items() if is_compressor(part) or (wraps(part) and not part.needs)]


def _attacks() -> list[str]:
    """What dishonest nodes do."""
    return [name for name, made in members("exchanges").items() if kind_of_exchange(made) == "attacks"]


def _rules() -> list[str]:
    """Those that replace the weighted mean, and so come last."""
    found = {name: made for name, made in members("exchanges").items() if kind_of_exchange(made) != "codecs"}
    return [name for name, made in found.items() if not wraps(made)]


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
    schedule: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], note(one_of(members("schedules")) + " ...", "none")
    ] = ()
    """what happens to peers and links over the rounds, the first next to the topology: sleeping:probability=0.1, or
    traced:path=FILE for hours at which peers are there"""
    network: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], note(one_of(members("exchanges")) + " ...", "linear")
    ] = ()
    """exchanges that act on messages (compression, loss, attacks), in this order; the options of one may follow its
    name, as in lossy:probability=0.1, so that it may occur twice"""
    attack: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], note(one_of(_attacks()) + " ...", "none")
    ] = ()
    """what dishonest peers do (--attackers says how many there are): the first exchanges of --network"""
    rule: Annotated[str | None, note(one_of(_rules()), "the weighted mean")] = None
    """what takes the place of the weighted mean of messages: the last exchange of --network"""
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
      topology: None if the method does not mix; "sampling" if a server samples clients, and nothing else is said.
      problem: the problem.
      partition: None if the problem does not divide a data set.
      network: the exchanges, in their order: attacks, those of --network, and a rule. The options of each may follow
        its name, see `jdl.command.inline`.
      network_down: the exchanges on the way from a server to its clients, in their order.
      oracle: the wrappers of the oracle, and perhaps an oracle, in their order.
      schedule: the schedules around the topology, the innermost first.
    """

    algorithm: str
    topology: str | None
    problem: str
    partition: str | None
    network: tuple[str, ...]
    network_down: tuple[str, ...] = ()
    oracle: tuple[str, ...] = ()
    schedule: tuple[str, ...] = ()

    @property
    def parts(self) -> list[tuple[str, str]]:
        """The kind and the name of each part but those of `network_down`, without repetitions."""
        one_each = zip(("algorithms", "topologies", "problems", "partitions"), self[:4], strict=True)
        lists = [("exchanges", name_of(text)) for text in self.network]
        lists += [("oracles", name_of(text)) for text in self.oracle]
        lists += [("schedules", name_of(text)) for text in self.schedule]
        return [part for part in one_each if part[1]] + list(dict.fromkeys(lists))

    @property
    def down(self) -> list[str]:
        """The names of the exchanges on the way down, without repetitions."""
        return list(dict.fromkeys(map(name_of, self.network_down)))


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
        not topology or "server" not in needs or has_server(topology),
        f"got topology {topology!r} with {algorithm}, which has a server and no topology; leave --topology out, and "
        "set the number of clients in a round by --participants",
    )
    if "server" in needs:
        topology = topology or "sampling"
    elif topology is None and needs & TALKS:
        topology = "tree" if "tree" in needs else "random_regular"
    problem = known("problems", choices.problem)
    network = (*_attacks_of(choices), *in_order("exchanges", choices.network), *_rule_of(choices))
    down = in_order("exchanges", choices.network_down)
    need = "need a method with a server; leave it out, or give --algorithm fedavg"
    checks.require(not down or "server" in needs, f"got --network-down with {algorithm}, which has no server, {need}")
    around = in_order("schedules", choices.schedule)
    need = "need a topology whose links it changes; leave it out, or give --topology ring"
    checks.require(
        not around or not (topology is None or has_server(topology)), f"got --schedule with {algorithm}, {need}"
    )
    own, partition = inspect.signature(maker("problems", problem)).parameters.get("partition"), choices.partition
    need = "whose nodes have data of their own; leave --partition out, or give --problem digits"
    checks.require(own is not None or partition is None, f"got partition {partition!r} with {problem}, {need}")
    partition = own and known("partitions", partition or own.default)
    return Chosen(algorithm, topology, problem, partition, network, down, in_order("oracles", choices.oracle), around)


def in_order(kind: str, groups: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """The parts that a flag was given, once or several times, each spelled as `spelled_in_full` does."""
    return tuple(spelled_in_full(kind, text) for group in groups for text in group)


def _attacks_of(choices: Choices) -> tuple[str, ...]:
    return _among(in_order("exchanges", choices.attack), _attacks(), "--attack", "an attack", "sign_flip")


def _rule_of(choices: Choices) -> tuple[str, ...]:
    given = () if choices.rule is None else in_order("exchanges", ((choices.rule,),))
    return _among(given, _rules(), "--rule", "a rule in place of the mean", "coordinate_median")


def _among(given: tuple[str, ...], names: list[str], flag: str, what: str, example: str) -> tuple[str, ...]:
    for text in given:
        name, do = name_of(text), f"give it to --network, or {flag} {example}"
        checks.require(name in names, f"got {flag} {name}, need {what}; {do}")
    return given


def with_new_names(words: list[str]) -> list[str]:
    """Replace former names of exchanges, and other names of flags, in a command by their present names.

    >>> with_new_names(["run", "--network", "narrow", "--narrow.dtype=float16"])
    ['run', '--network', 'narrow', '--half_precision.dtype=float16']
    """
    for before, now in RENAMED["exchanges"].items():
        words = [f"--{now}.{word[len(before) + 3 :]}" if word.startswith(f"--{before}.") else word for word in words]
    return ["--dishonest" + word[11:] if word.partition("=")[0] == "--attackers" else word for word in words]


def choose_graph(first: FirstGraph) -> Chosen:
    """Find the topology that `jdl topo` names."""
    return Chosen("", _known_topology(first.graph), "", None, ())


def has_server(topology: str) -> bool:
    """Whether a topology of the command line is a schedule of the clients of a server.

    >>> has_server("arrivals"), has_server("ring")
    (True, False)
    """
    if topology == "sampling":
        return True
    made = maker("topologies", _known_topology(topology))
    return "server" in getattr(getattr(made, "__self__", made), "provides", ())


def _known_topology(name: str) -> str:
    return known("topologies", name, ["from_file"])
