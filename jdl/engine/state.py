"""The two pytrees of a run: what is simulated, and the state that it has reached."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
from flax import struct
from jax.sharding import Mesh

from jdl.engine.mapping import Mapping
from jdl.types import Algorithm, Exchange, Federated, Key, Oracle, Problem, PyTree, Schedule, Traffic

__all__ = ["RunState", "Simulation", "classes_of"]


@dataclasses.dataclass(frozen=True)
class Simulation:
    """All that defines a run, as a pytree: two rates, two graphs of one shape, or two seeds share one program.

    `jdl.simulation(...)` checks the parts and builds one.

    Attributes:
      problem: the data and the loss.
      algorithm: the method.
      schedule: who talks in which round.
      exchange: what happens to messages.
      oracle: what the data say.
      key: the root of all randomness.
      mapping: how nodes are mapped, see `jdl.engine.mapping`.
      mesh: the devices that share the nodes, see `jdl.engine.placement`, or None.
      reads_as: the value of `Plan.stochastic` under which the algorithm uses a plan whose links can fail in one
        direction (see `jdl.runs.compose`), or None to use it as it is.
      code: a digest of the user's functions and classes (see `jdl.runs.fingerprint`). The program is compiled anew if a
        global that one of them reads has changed.
    """

    problem: Problem
    algorithm: Algorithm | Federated
    schedule: Schedule
    exchange: Exchange
    oracle: Oracle
    key: Key
    mapping: Mapping = "vmap"
    mesh: Mesh | None = None
    reads_as: str | None = None
    code: str | None = None

    @property
    def has_server(self) -> bool:
        """Whether the algorithm has a server."""
        return isinstance(self.algorithm, Federated)

    def replace(self, **changes: Any) -> Simulation:
        """A copy with some fields changed, e.g. another rate. The new parts are not checked."""
        return dataclasses.replace(self, **changes)


LEAVES, STATICS = (
    ("problem", "algorithm", "schedule", "exchange", "oracle", "key"),
    ("mapping", "mesh", "reads_as", "code"),
)


def _flatten(s: Simulation) -> tuple[tuple, tuple]:
    # JAX 0.10 treats registered dataclasses of different classes with equal fields as equal trees, and `jit` sometimes
    # answers with the program of another class: of 600 such classes through one jit, about 90 came out wrong. DPSGD and
    # DGD are such a pair. So the classes of all parts stand among the static data, which are compared correctly.
    children = tuple(getattr(s, name) for name in LEAVES)
    return children, (*(getattr(s, name) for name in STATICS), classes_of(jax.tree.structure(children)))


def classes_of(structure: jax.tree_util.PyTreeDef) -> tuple:
    """The classes of all nodes of a tree, nested as they are: hashable, and different where the tree's classes are."""
    node = structure.node_data()
    return () if node is None else (node[0], *map(classes_of, structure.children()))


def _flatten_with_keys(s: Simulation) -> tuple[tuple, tuple]:
    children, static = _flatten(s)
    return tuple((jax.tree_util.GetAttrKey(name), child) for name, child in zip(LEAVES, children, strict=True)), static


def _unflatten(static: tuple, children: tuple) -> Simulation:
    return Simulation(*children, *static[: len(STATICS)])


jax.tree_util.register_pytree_with_keys(Simulation, _flatten_with_keys, _unflatten, _flatten)


@struct.dataclass
class RunState:
    """Where a run stands: all that the next round needs, and so the whole checkpoint.

    Attributes:
      t: i32[], the number of rounds that are done.
      nodes: S[n], the state of every node, or of every client if there is a server.
      server: the server's state, one copy, or () without a server.
      exchange_state: what the exchange remembers, a tuple with one entry for each phase of a round.
      schedule_state: what the schedule remembers.
      traffic: its fields are f[2, n], or f[2, n + 1] with a server, which comes last. Row 0 is what each node has sent
        since the start, as a sum in float32. Row 1 is the rounding error of this sum: the sum minus the exact value.
      status: i32[], the round in which a number that is not finite first appeared, or -1.
    """

    t: jax.Array
    nodes: PyTree
    server: PyTree
    exchange_state: tuple[PyTree, ...]
    schedule_state: PyTree
    traffic: Traffic
    status: jax.Array
