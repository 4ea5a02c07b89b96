"""Which parts a command names, since each part brings flags of its own."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Annotated, NamedTuple

import tyro

from jdl import checks
from jdl.command.catalogue import RENAMED, known, maker, members
from jdl.command.help import note, one_of
from jdl.runs.needs import STOCHASTIC

__all__ = ["Choices", "Chosen", "FirstGraph", "choose", "choose_graph", "with_new_names"]


@dataclasses.dataclass(frozen=True)
class Choices:
    """What decides which further flags there are."""

    algorithm: Annotated[str, note(one_of(members("algorithms")))] = "dpsgd"
    """the method"""
    topology: Annotated[
        str | None, note(one_of(members("topologies")), "random_regular, or a tree, if the method mixes")
    ] = None
    """who talks to whom"""
    network: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], note(one_of(members("exchanges")) + " ...", "linear")
    ] = ()
    """what happens to messages, in the order in which a message meets it"""
    problem: Annotated[str, note(one_of(members("problems")))] = "digits"
    """what is learnt"""
    partition: Annotated[str | None, note(one_of(members("partitions")), "the problem's own, mostly iid")] = None
    """how the examples of a data set are shared"""
    json: bool = False
    """print one JSON object, and nothing else, on standard output"""


@dataclasses.dataclass(frozen=True)
class FirstGraph:
    """What is read first, of all flags of `jdl topo`."""

    graph: Annotated[str, note(aliases=["--topology"])] = "random_regular"


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


def with_new_names(words: list[str]) -> list[str]:
    """The words of a command, in which flags of an exchange carry its new name.

    >>> with_new_names(["run", "--network", "narrow", "--narrow.dtype=float16"])
    ['run', '--network', 'narrow', '--half_precision.dtype=float16']
    """
    for before, now in RENAMED["exchanges"].items():
        words = [f"--{now}.{word[len(before) + 3 :]}" if word.startswith(f"--{before}.") else word for word in words]
    return words


def choose_graph(first: FirstGraph) -> Chosen:
    """The one part of `jdl topo`, its name as it is spelled."""
    return Chosen("", _known_topology(first.graph), "", None, ())


def _known_topology(name: str) -> str:
    return known("topologies", name, ["from_file"])
