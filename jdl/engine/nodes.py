"""One node of a simulation: what it sees in a round, and how a method of the algorithm is called for every node."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks, tree
from jdl import plan as plans
from jdl.engine.mapping import AT_ONCE
from jdl.engine.messages import is_posted
from jdl.engine.returned import returned
from jdl.engine.state import Code, RunState, Simulation
from jdl.rng import STREAMS, fold_in, key_of
from jdl.types import PUBLIC, Data, Message, Node, Plan, PyTree

__all__ = ["desk_of", "each_node", "losses_at_desk", "losses_of", "node_of", "rows_of"]


def each_node(
    s: Simulation,
    role: str,
    name: str,
    rows: dict,
    *arguments: PyTree,
    told: PyTree = (),
    phase: int = 0,
    workers: int | None = None,
) -> PyTree:
    """Call the algorithm's method `name` for every row. All code of an algorithm for single nodes is called here.

    A method of one node is traced once for arguments of the same shapes, by whichever caller comes first: the check
    that a simulation fits together, the shapes of its messages, the cost of a step, or the compiled round.

    Args:
      s: the simulation; its placement says how rows are mapped and where they lie.
      role: how the method is called, a key of `ROLES`.
      name: the method's name, which errors of `mapping="loop"` state.
      rows: the stacked fields of each row's `Node`, see `rows_of`.
      arguments: the further arguments of each row, stacked `[m, ...]`. From a `Posted` part each row takes its own.
      told: the server's message to all rows.
      phase: the number of the exchange in its round.
      workers: only the first so many rows work; None if all may, see `Plan.workers`.

    Returns:
      What the method returns, stacked `[m, ...]`.
    """
    posts, arguments = _posted(arguments)
    shared = _seen(s), told, posts, rows["t"][0]
    mapped = lambda idle: s.placement.over(functools.partial(_method, role, name, phase, idle), name)
    if workers is None or workers == rows["id"].shape[0]:
        return mapped(False)(shared, rows, *arguments)
    leaves, structure = jax.tree.flatten((rows, *arguments))
    cut = [(x[:workers], x[workers:]) for x in leaves]
    first, rest = (structure.unflatten(half) for half in zip(*cut, strict=True))
    # What comes out as it went in is not put together anew.
    whole = {(id(one), id(other)): x for (one, other), x in zip(cut, leaves, strict=True)}

    def put_together(one, other):
        same = whole.get((id(one), id(other)))
        return jnp.concatenate([one, other]) if same is None else same

    return jax.tree.map(put_together, mapped(False)(shared, *first), mapped(True)(shared, *rest))


def losses_of(s: Simulation, rows: dict, phase: int) -> Callable[[Message], jax.Array]:
    """The function with which rules ask the data of the nodes, see `Wire.losses`.

    Args:
      s: the simulation.
      rows: the stacked fields of each row's `Node`, see `rows_of`.
      phase: the number of the exchange in its round.

    Returns:
      A function that raises an `InputError` if it is given anything but the arrays of a model for each row.
    """

    def loss(shared, row, model):
        s, t = shared
        return node_of(s, row | {"t": t}, phase).loss(model)

    def losses(models):
        stacked = _models(s, models, rows["id"].shape[0])
        return s.placement.over(loss, "losses")((_seen(s), rows["t"][0]), rows, stacked)

    return losses


def losses_at_desk(s: Simulation, t: jax.Array, phase: int) -> Callable[[Message], jax.Array] | None:
    """The function with which rules of a server ask public data, see `Wire.losses`; None where there are none."""
    if "public" not in getattr(s.problem, "offers", ()):
        return None

    def losses(models):
        desk, count = desk_of(s, t, phase), len(jax.tree.leaves(models)[0])
        return jax.vmap(lambda model: desk.loss(model, PUBLIC(0)))(_models(s, models, count))

    return losses


def _models(s: Simulation, arrays: Message, count: int) -> PyTree:
    """Models `[count, ...]` of their arrays."""
    model, arrays = jax.eval_shape(s.problem.init, s.key), jax.tree.leaves(arrays)
    got, need = [x.shape for x in arrays], [(count, *x.shape) for x in jax.tree.leaves(model)]
    do = "leave out what sends more than models, or cuts them in parts"
    checks.require(got == need, f"got messages {got} for a rule that asks the loss of models, need {need}; {do}")
    return jax.tree.unflatten(jax.tree.structure(model), arrays)


def _seen(s: Simulation) -> Simulation:
    """Without parts that one node does not see, so that simulations that differ in them share a trace."""
    unseen = {"schedule": (), "exchange": (), "exchange_down": None, "roles": None, "metrics": (), "clock": None}
    return s.replace(**unseen, work=(), placement=AT_ONCE, code=Code(node=s.code.node))


# What is known while a program is traced: no gradient is computed.
IDLE = np.bool_(False)

# How a method of each role is called, with the server's message, the node, and the further arguments of the row.
ROLES = {
    "init": lambda method, told, node, start: method(start, node),
    "send": lambda method, told, node, state: method(state, node),
    "recv": lambda method, told, node, state, inbox: method(state, inbox, node),
    "client_init": lambda method, told, node: method(told, node),
    "client": lambda method, told, node, state: method(told, state, node),
    "client_heard": lambda method, told, node, state, heard: method(heard, state, node),
}


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3), inline=True)
def _method(role: str, name: str, phase: int, idle: bool, shared: PyTree, row: dict, *arguments: PyTree) -> PyTree:
    s, told, posts, t = shared
    # All rows share the round: what a method does in some rounds only, by `lax.cond` on `node.t`, costs only there.
    node = node_of(s, row | {"t": t} | ({"works": IDLE} if idle else {}), phase)
    out = ROLES[role](getattr(s.algorithm, name), told, node, *_taken(posts, arguments))
    return returned(type(s.algorithm), name, role, out)


def _posted(arguments: tuple) -> tuple[list, tuple]:
    """The contents that all rows share, and the arguments without them."""
    posts = [part.content for part in jax.tree.leaves(arguments, is_leaf=is_posted) if is_posted(part)]
    if not posts:
        return [], arguments
    bare = lambda part: part.replace(content=None) if is_posted(part) else part
    return posts, jax.tree.map(bare, arguments, is_leaf=is_posted)


def _taken(posts: list, arguments: tuple) -> tuple:
    """The arguments of one row, with the messages that were posted to it."""
    if not posts:
        return arguments
    contents = iter(posts)

    def taken(part):
        if not is_posted(part):
            return part
        mine = jax.tree.map(lambda x: x.at[part.rows].get(mode="promise_in_bounds"), next(contents))
        return part.inbox.replace(content=tree.where_rows(part.inbox.arrived, mine, tree.zeros_like(mine)))

    return jax.tree.map(taken, arguments, is_leaf=is_posted)


def rows_of(s: Simulation, plan: Plan, state: RunState) -> dict:
    """The fields of each row's `Node`, stacked `[m, ...]`, without keys and data.

    Args:
      s: the simulation.
      plan: who talks this round.
      state: the state before the round.
    """
    ids, n, roles = plans.ids(plan), s.problem.n, s.who
    # Where row i is node i, data are mapped with the rows. A lookup by id, which may be any, would copy them.
    # Only the class itself says so: what inherits from it, or wraps it, may read its rows in another way.
    names = vars(type(s.problem)).get("by_node", ()) if plan.participants is None else ()
    return {
        "own": {name: getattr(s.problem, name) for name in names},
        "id": ids,
        "t": jnp.full_like(ids, state.t),
        "count": state.count[ids],
        "self_weight": plan.self_weights,
        "degree": plans.degree(plan),
        "out_degree": plans.out_degree(plan).astype(jnp.int32),
        "n": jnp.full_like(ids, n),
        "num_examples": s.problem.num_examples[ids],
        "links": plans.neighbours(plan) if s.algorithm.needs & {"per_link", "each"} and not s.has_server else None,
        "works": plan.works,
        "elapsed": jnp.ones(plans.rows(plan), jnp.result_type(float)) if plan.elapsed is None else plan.elapsed,
        "limit": plan.steps,
        "honest": roles.honest[ids],
        "group": roles.group[ids],
        "memory": tree.take_rows(state.oracle_state, plan.participants),
    }


def node_of(s: Simulation, row: dict, phase: int = 0) -> Node:
    """The node of one row of `rows_of`, with its keys and its data."""
    row = dict(row)
    own = jax.tree.map(lambda x: x[None], row.pop("own"))
    of_data = {name: row.pop(name) for name in ("count", "honest", "group", "memory")}
    t, id, works, limit = row["t"], row["id"], row.pop("works"), row.pop("limit")
    key, common = key_of(s.key, "node", t, id), key_of(s.key, "common", t)
    data = Data(
        problem=s.problem.replace(**own) if own else s.problem,
        id=id,
        t=t,
        key=key_of(s.key, "data", t, id),
        order_key=key_of(s.key, "order", 0, id),
        public_key=fold_in(common, STREAMS["public"]),
        works=works,
        **of_data,
    )
    steps = s.oracle.steps(data)
    if limit is not None and not isinstance(steps, np.int32):  # whose budget of 0 is known
        steps = limit if steps is None else jnp.minimum(steps, limit)
    return Node(
        **row,
        key=fold_in(key, phase) if phase else key,
        common=common,
        steps=steps,
        works=jnp.bool_(True) if works is None else works,
        _data=data,
        _oracle=s.oracle,
    )


def desk_of(s: Simulation, t: jax.Array, phase: int) -> Node:
    """The server's desk: a node without data of its own, for queries about public data and outputs of models."""
    zero, one = jnp.int32(0), jnp.int32(1)
    memories = jax.eval_shape(s.oracle.init, s.problem, s.key)
    row = {
        "own": {},
        "id": np.int32(-1),  # concrete, so that an oracle can refuse queries about a node's own data
        "t": t,
        "count": zero,
        "self_weight": jnp.ones(()),
        "degree": zero,
        "out_degree": zero,
        "n": one * s.problem.n,
        "num_examples": zero,
        "links": None,
        "works": None,
        "elapsed": jnp.ones(()),
        "limit": None,
        "honest": jnp.bool_(True),
        "group": zero,
        "memory": jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), memories),
    }
    return node_of(s, row, phase)
