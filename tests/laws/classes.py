"""Classes of methods that the engine treats alike, and a drawn representative of each.

How rows are mapped, placed, put to sleep and delivered is the engine's business, not the algorithms'. What the engine
sees of a method is who talks (peers or a server), how many exchanges a round has, of what kind the messages are and
whether clients remember. So laws of the engine are executed for one method of each class, drawn anew every day (see
`SEED`), and for all of them in the slow suite.
"""

from __future__ import annotations

import functools
import os
import zlib
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import tree
from jdl.engine.messages import content_of
from jdl.engine.nodes import node_of, rows_of
from jdl.engine.rounds import plan_at
from jdl.engine.sim import Simulation, before_nodes
from jdl.types import Each, PerLink, Push, Sized

# Set by tests/conftest.py and printed in the header of a run: fixed in CI, the date elsewhere.
SEED = int(os.environ.get("JDL_TEST_SEED", "0"))


def in_turn(names: list[str]) -> list[Any]:
    """A quarter of the methods, drawn anew every day, the others being slow.

    All files draw the same ones, and run in one process (see tests/conftest.py), where their beds are built once.
    """
    drawn = lambda name: (zlib.crc32(name.encode()) + SEED) % 4 == 0
    return [name if drawn(name) else pytest.param(name, marks=pytest.mark.slow) for name in names]


class Facts(NamedTuple):
    """What the engine sees of a method.

    server: whether there is one. exchanges: in a round. kinds: of the parts of its messages, among "array", "sized"
    (of a size of its own), "per link", "each" and "push". remembers: whether a node has a state. messages: one of a
    node in each exchange, as shapes; of a server's broadcasts `downs`.
    """

    server: bool
    exchanges: int
    kinds: frozenset[str]
    remembers: bool
    messages: list[Any]
    downs: list[Any]


@functools.cache
def facts(name: str) -> Facts:
    """Found by tracing one round of one node, which takes milliseconds; nothing is compiled."""
    server = cases.has_server(name)
    talk = jdl.schedule.Sampling(cases.N, cases.N) if server else cases.dense(cases.network_of(name))
    algorithm = tree.numbers_to_arrays(cases.kind_of(name)())
    simulation = Simulation(
        cases.problem(), algorithm, talk, jdl.exchange.Linear(), jdl.oracle.DataOracle(), jax.random.key(0)
    )
    messages, downs, state = jax.eval_shape(_server_round if server else _peer_round, simulation)
    kinds = frozenset().union(*(kinds_of(message) for message in messages))
    return Facts(server, len(algorithm.phases), kinds, bool(jax.tree.leaves(state)), messages, downs)


def _node(simulation):
    state = before_nodes(simulation)
    plan, _ = plan_at(simulation, state)
    return node_of(simulation, jax.tree.map(lambda x: x[0], rows_of(simulation, plan, state)))


def _peer_round(simulation):
    algorithm, node, messages = simulation.algorithm, _node(simulation), []
    state = algorithm.init(simulation.problem.init(simulation.key), node)
    for send, recv in algorithm.phases:
        message, state = getattr(algorithm, send)(state, node)
        messages.append(message)
        state, _ = getattr(algorithm, recv)(state, _inbox(message, node), node)
    return messages, [], state


def _server_round(simulation):
    algorithm, node, messages, downs = simulation.algorithm, _node(simulation), [], []
    params = simulation.problem.init(simulation.key)
    server, state = algorithm.init(params, cases.N), algorithm.client_init(params, node)
    for broadcast, client, _ in algorithm.phases:
        downs.append(getattr(algorithm, broadcast)(server))
        message, state = getattr(algorithm, client)(content_of(downs[-1]), state, node)
        messages.append(message)
    return messages, downs, state


def _inbox(message, node):
    """What arrives where every neighbour sent this message."""

    def arrived(part):
        if isinstance(part, PerLink):
            return part.replace(arrived=node.links.used)
        if isinstance(part, Each):
            links = node.links
            content = jax.tree.map(lambda x: jnp.broadcast_to(x, (*links.ids.shape, *x.shape)), part.content)
            return Each(content, links.ids, links.weights, links.used, jnp.zeros_like(links.ids))
        return part.content if isinstance(part, Push) else part

    return jax.tree.map(arrived, content_of(message), is_leaf=_is_part)


KINDS = {Sized: "sized", PerLink: "per link", Each: "each", Push: "push"}


def _is_part(x) -> bool:
    return isinstance(x, tuple(KINDS))


def kinds_of(message) -> frozenset[str]:
    """The kinds of the parts of a message; none where it is empty."""
    found = set()
    for part in jax.tree.leaves(message, is_leaf=_is_part):
        found.add(KINDS.get(type(part), "array"))
        if isinstance(part, Sized):
            found |= kinds_of(part.content) - {"array"}
    return frozenset(found)


def of_all(seen: Facts) -> tuple:
    """The class by all that is seen."""
    return *of_messages(seen), seen.exchanges, seen.remembers


def of_messages(seen: Facts) -> tuple:
    """The coarser class by who talks and what is sent; arrays beside parts of other kinds add nothing."""
    return seen.server, tuple(sorted(seen.kinds - {"array"} or seen.kinds))


def of_rows(seen: Facts) -> tuple:
    """The coarsest: what the engine maps over, namely peers, clients, or peers that know their links."""
    return seen.server, not seen.server and bool(seen.kinds & {"per link", "each"})


@functools.cache
def classes(of: Callable[[Facts], tuple] = of_all) -> dict[tuple, list[str]]:
    """The methods of each class, sorted by class."""
    found = defaultdict(list)
    for name in cases.ALGORITHMS:
        found[of(facts(name))].append(name)
    return dict(sorted(found.items()))


@functools.cache
def representatives(of: Callable[[Facts], tuple] = of_all) -> frozenset[str]:
    """One method of each class, drawn by `SEED` among those that represent the finest classes."""
    if of is of_all:
        draw = np.random.default_rng(SEED)
        return frozenset(names[draw.integers(len(names))] for names in classes().values())
    return frozenset(next(name for name in names if name in representatives()) for names in classes(of).values())


def one_of_each(names: list, of: Callable[[Facts], tuple] = of_all, more: int = 0, turn: int | None = None) -> list:
    """The names as parameters of a test: those with marks (see `cases.law`), a representative of each class, and so
    many others drawn by `SEED`; the rest in the slow suite.

    A law with a `turn` leaves out one representative in three; laws of other turns leave out others.
    """
    rest = [name for name in names if isinstance(name, str) and name not in representatives(of)]
    slow = set(np.random.default_rng(SEED).permutation(rest)[more:])
    if turn is not None:
        kept = [name for name in names if isinstance(name, str) and name in representatives(of)]
        slow |= set(kept[(SEED + turn) % 3 :: 3] if len(kept) > 2 else [])
    return [
        pytest.param(name, marks=pytest.mark.slow) if isinstance(name, str) and name in slow else name for name in names
    ]
