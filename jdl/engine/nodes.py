"""One node of a simulation: what it sees in a round, and how a method of the algorithm is called for every node."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl.engine.mapping import over_nodes
from jdl.engine.returned import returned
from jdl.engine.state import Simulation
from jdl.rng import key_of
from jdl.types import Data, Node, Plan, PyTree

__all__ = ["each_node", "node_of", "rows_of"]


def each_node(s: Simulation, role: str, name: str, rows: dict, *arguments: PyTree, told: PyTree = ()) -> PyTree:
    """Call the algorithm's method `name` for every row. All code of an algorithm that runs per node is called here.

    A method of one node is traced once for arguments of the same shapes, by whichever caller comes first: the check
    that a simulation fits together, the shapes of its messages, the cost of a step, or the compiled round.

    Args:
      s: the simulation; its mapping and mesh say how rows are mapped and where they lie.
      role: how the method is called, a key of `ROLES`.
      name: the method's name, which errors of `mapping="loop"` state.
      rows: the stacked fields of each row's `Node`, see `rows_of`.
      arguments: the further arguments of each row, stacked `[m, ...]`.
      told: the server's message to all rows.

    Returns:
      What the method returns, stacked `[m, ...]`.
    """
    # Without what one node does not see, so that simulations that differ in it share the trace.
    seen = s.replace(schedule=(), exchange=(), mapping="vmap", mesh=None, reads_as=None)
    shared = seen, told
    return over_nodes(functools.partial(_method, role, name), s.mapping, name, s.mesh)(shared, rows, *arguments)


# How a method of each role is called, with the server's message, the node, and the further arguments of the row.
ROLES = {
    "init": lambda method, told, node, start: method(start, node),
    "send": lambda method, told, node, state: method(state, node),
    "recv": lambda method, told, node, state, inbox: method(state, inbox, node),
    "client_init": lambda method, told, node: method(told, node),
    "client": lambda method, told, node, state: method(told, state, node),
}


@functools.partial(jax.jit, static_argnums=(0, 1), inline=True)
def _method(role: str, name: str, shared: PyTree, row: dict, *arguments: PyTree) -> PyTree:
    s, told = shared
    out = ROLES[role](getattr(s.algorithm, name), told, node_of(s, row), *arguments)
    return returned(type(s.algorithm), name, role, out)


def rows_of(s: Simulation, plan: Plan, t: jax.Array) -> dict:
    """The fields of each row's `Node`, stacked `[m, ...]`, without keys and data.

    Args:
      s: the simulation.
      plan: who talks this round.
      t: i32[], the round.
    """
    ids = plans.ids(plan)
    return {
        "id": ids,
        "t": jnp.full_like(ids, t),
        "self_weight": plan.self_weights,
        "degree": plans.degree(plan),
        "n": jnp.full_like(ids, s.problem.n),
        "num_examples": s.problem.num_examples[ids],
        "links": plans.neighbours(plan) if "per_link" in s.algorithm.needs else None,
    }


def node_of(s: Simulation, row: dict) -> Node:
    """The node of one row of `rows_of`, with its keys and its data."""
    data = Data(
        problem=s.problem,
        id=row["id"],
        t=row["t"],
        key=key_of(s.key, "data", row["t"], row["id"]),
        order_key=key_of(s.key, "order", 0, row["id"]),
    )
    key, common = key_of(s.key, "node", row["t"], row["id"]), key_of(s.key, "common", row["t"])
    return Node(**row, key=key, common=common, steps=s.oracle.steps(data), _data=data, _oracle=s.oracle)
