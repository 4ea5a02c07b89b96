"""The two pytrees of a run: what is simulated, and the state that it has reached."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.engine.mapping import AT_ONCE, Placement
from jdl.engine.metrics.chosen import BUILT_IN, Metrics
from jdl.types import (
    Algorithm,
    ClockState,
    Exchange,
    Federated,
    Key,
    Oracle,
    Problem,
    PyTree,
    Roles,
    Schedule,
    Seen,
    Traffic,
    Work,
)

__all__ = ["UNREAD", "Code", "RunState", "Simulation", "a_simulation", "classes_of", "program_key", "untimed"]


class Code(NamedTuple):
    """Digests of the user's functions and classes, see `jdl.runs.fingerprint`; empty where nobody looked.

    Attributes:
      node: of what a node sees: the problem, the algorithm and the oracle.
      schedule: of the schedule.
      rest: of the exchanges, the roles and the metrics.
    """

    node: str = ""
    schedule: str = ""
    rest: str = ""


UNREAD = Code()


@dataclasses.dataclass(frozen=True)
class Simulation:
    """All that defines a run, as a pytree: two rates, two graphs of one shape, or two seeds share one program.

      `jdl.simulation(...)` checks the parts and builds one.

      Attributes:
        problem: the data and the loss.
        algorithm: the method.
        schedule: who talks in which round.
        exchange: what happens to messages of nodes.
        oracle: what the data say.
        key: the root of all randomness.
        exchange_down: what happens to the messages of a server, or None where all clients receive them as they are.
        roles: the roles of the nodes, or None if all nodes are honest and in one group.
        placement: how and where rows are computed.
        metrics: what is measured beside the built-in metrics; see `jdl.engine.metrics`.
    code: digests of the user's functions and classes. The program is compiled anew if a global that one of them reads
      has changed.
    clock: what a round costs in time, a `jdl.clock.Clock`, or None where nobody asks.
    work: how many steps a node takes in each exchange of a round, for the clock; see `jdl.engine.work`.
        reversible: whether `simulate` runs in loops that reverse-mode derivatives can pass; see `jdl.differentiable`.
    """

    problem: Problem
    algorithm: Algorithm | Federated
    schedule: Schedule
    exchange: Exchange
    oracle: Oracle
    key: Key
    exchange_down: Exchange | None = None
    roles: Roles | None = None
    placement: Placement = AT_ONCE
    metrics: Metrics = BUILT_IN
    code: Code = UNREAD
    reversible: bool = False
    clock: Any = None
    work: tuple[Work, ...] = ()

    @property
    def has_server(self) -> bool:
        """Whether the algorithm has a server."""
        return "server" in self.algorithm.needs

    @property
    def who(self) -> Roles:
        """The roles of all nodes, also where none are given."""
        n = self.problem.n
        return Roles(jnp.ones(n, bool), jnp.zeros(n, jnp.int32)) if self.roles is None else self.roles

    def replace(self, **changes: Any) -> Simulation:
        """A copy with some fields changed, e.g. another rate. The new parts are not checked."""
        return dataclasses.replace(self, **changes)


LEAVES, STATICS = (
    ("problem", "algorithm", "schedule", "exchange", "oracle", "key", "exchange_down", "roles", "clock"),
    ("placement", "metrics", "code", "reversible", "work"),
)


def _flatten(s: Simulation) -> tuple[tuple, tuple]:
    # JAX 0.10 treats registered dataclasses of different classes with equal fields as equal trees, and `jit` sometimes
    # answers with the program of another class: of 600 such classes through one jit, about 90 came out wrong. DPSGD and
    # DGD are such a pair. So the classes of all parts are among the static data, which are compared correctly.
    children = tuple(getattr(s, name) for name in LEAVES)
    return children, (*(getattr(s, name) for name in STATICS), classes_of(jax.tree.structure(children)))


def a_simulation(given: Any) -> Simulation:
    """What is given, if it is a simulation.

    Raises:
      InputError: if it is something else, such as the result of a run.
    """
    do = "take its attribute `simulation`" if hasattr(given, "simulation") else "make one by jdl.simulation"
    checks.require(isinstance(given, Simulation), f"got a {type(given).__name__}, need a simulation; {do}")
    return given


def untimed(simulation: Simulation) -> Simulation:
    """The same simulation without its clock, which changes nothing that is learned unless a server waits by it."""
    clock = simulation.clock
    keeps = clock is None or clock.wait is not None
    return simulation if keeps else simulation.replace(clock=None, work=())


def classes_of(structure: jax.tree_util.PyTreeDef) -> tuple:
    """The classes of all nodes of a tree, nested as they are: hashable, and different where the tree's classes are."""
    node = structure.node_data()
    return () if node is None else (node[0], *map(classes_of, structure.children()))


def program_key(simulation: Simulation) -> tuple[jax.tree_util.PyTreeDef, tuple[jax.ShapeDtypeStruct, ...]]:
    """What two simulations have in common if they can share a program: structure, shapes and types.

    `structure.unflatten(shapes)` is a simulation without values, for whatever reads shapes only.
    """
    leaves, structure = jax.tree.flatten(simulation)
    return structure, tuple(map(_shape, leaves))


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    aval = jax.typeof(leaf)
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=getattr(aval, "weak_type", False))


def _flatten_with_keys(s: Simulation) -> tuple[tuple, tuple]:
    children, static = _flatten(s)
    return tuple((jax.tree_util.GetAttrKey(name), child) for name, child in zip(LEAVES, children, strict=True)), static


def _unflatten(static: tuple, children: tuple) -> Simulation:
    return Simulation(**dict(zip((*LEAVES, *STATICS), (*children, *static), strict=False)))


jax.tree_util.register_pytree_with_keys(Simulation, _flatten_with_keys, _unflatten, _flatten)


@struct.dataclass
class RunState:
    """Where a run stands: all that the next round needs, and so the whole checkpoint.

    Attributes:
      t: i32[], the number of rounds that are done.
      nodes: S[n], the state of every node, or of every client if there is a server.
      server: the server's state, one copy, or () without a server.
      exchange_state: what the exchange remembers, a tuple with one entry for each phase of a round.
      down_state: the same for the exchange of the server's messages; () without one.
      schedule_state: what the schedule remembers.
      oracle_state: what the oracle remembers of each node, leaves `[n, ...]`; () without a memory.
      seen: what the schedule is told of the rounds before, or None if it watches nothing.
      count: i32[n], the number of rounds in which each node took part and worked.
      traffic: its fields are f[2, n], or f[2, n + 1] with a server, which comes last. Row 0 is what each node has sent
        since the start, as a sum in float32. Row 1 is the rounding error of this sum: the sum minus the exact value.
      clock: the clocks of the nodes, or None without a clock.
      status: i32[], the round in which a number that is not finite first appeared, or -1.
    """

    t: jax.Array
    nodes: PyTree
    server: PyTree
    exchange_state: tuple[PyTree, ...]
    down_state: tuple[PyTree, ...]
    schedule_state: PyTree
    oracle_state: PyTree
    seen: Seen | None
    count: jax.Array
    traffic: Traffic
    status: jax.Array
    clock: ClockState | None = None
