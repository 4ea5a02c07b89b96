"""The simulation: `init`, `step`, `advance`, `simulate`. Pure functions of a `Simulation`, one compiled loop."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, metrics, tree
from jdl import plan as plans
from jdl.mapping import Mapping, over_nodes
from jdl.rng import key_of
from jdl.types import (
    Algorithm,
    Data,
    Exchange,
    Federated,
    Info,
    Key,
    Message,
    Node,
    Oracle,
    Plan,
    Problem,
    PyTree,
    Schedule,
    Server,
    Traffic,
    Wire,
)

__all__ = ["Sim", "Simulation", "advance", "evaluate", "init", "models", "simulate", "step"]


@dataclasses.dataclass(frozen=True)
class Simulation:
    """All that defines a run, as a pytree: two rates, two graphs of one shape, two seeds are one program.

    key: the root of all randomness. mapping: see `jdl.mapping`. reads_as: the kind under which the algorithm reads a
    plan whose links can fail one way (see `jdl.compose`), or None. Build one with `jdl.simulation(...)`, which checks.
    """

    problem: Problem
    algorithm: Algorithm | Federated
    schedule: Schedule
    exchange: Exchange
    oracle: Oracle
    key: Key
    mapping: Mapping = "vmap"
    reads_as: str | None = None

    @property
    def has_server(self) -> bool:
        """Whether the algorithm has a server."""
        return isinstance(self.algorithm, Federated)

    def replace(self, **changes: Any) -> Simulation:
        """The same with some fields changed, e.g. another rate; parts that may not fit are not checked again."""
        return dataclasses.replace(self, **changes)


LEAVES, STATICS = ("problem", "algorithm", "schedule", "exchange", "oracle", "key"), ("mapping", "reads_as")


def _flatten(s: Simulation) -> tuple[tuple, tuple]:
    # To JAX (0.10), dataclasses of different classes but equal fields are equal trees, and `jit` answers, now and
    # then, with the program of another class: of 600 such classes through one jit, about 90 came out wrong. DPSGD and
    # DGD are such a pair. So the classes of all parts are part of the static data, which is compared as it should be.
    children = tuple(getattr(s, name) for name in LEAVES)
    return children, (*(getattr(s, name) for name in STATICS), _classes(jax.tree.structure(children)))


def _classes(structure: jax.tree_util.PyTreeDef) -> tuple:
    node = structure.node_data()
    return () if node is None else (node[0], *map(_classes, structure.children()))


def _flatten_with_keys(s: Simulation) -> tuple[tuple, tuple]:
    children, static = _flatten(s)
    return tuple((jax.tree_util.GetAttrKey(name), child) for name, child in zip(LEAVES, children, strict=True)), static


def _unflatten(static: tuple, children: tuple) -> Simulation:
    return Simulation(*children, *static[: len(STATICS)])


jax.tree_util.register_pytree_with_keys(Simulation, _flatten_with_keys, _unflatten, _flatten)


@struct.dataclass
class Sim:
    """Where a run stands; the whole checkpoint.

    t: i32[], rounds done. nodes: S[n], the state of every node (of every client, with a server). server: its state,
    one copy, or (). link: the memory of the exchange, one for each phase. traffic: f[2, n] each (n + 1 with a server,
    which comes last): what each node sent so far, as a sum and its excess over the truth. status: i32[], the
    round in which a number that is not finite first appeared, or -1.
    """

    t: jax.Array
    nodes: PyTree
    server: PyTree
    link: tuple[PyTree, ...]
    traffic: Traffic
    status: jax.Array


def init(simulation: Simulation, params: PyTree | None = None) -> Sim:
    """The state before the first round.

    Args:
      params: the start of all nodes, one model; or one model each, stacked `[n, ...]`; by default one drawn model,
        `problem.init`, which all nodes share.
    """
    s, n, t = simulation, simulation.problem.n, jnp.int32(0)
    fresh = s.problem.init(key_of(s.key, "init", 0))
    params = fresh if params is None else _start(params, fresh, n, s.has_server)
    rows = _rows(s, _everybody(_plan(s, t), n), t)
    if s.has_server:
        nodes = over_nodes(lambda row: s.algorithm.client_init(params, _node(s, row)), s.mapping, "client_init")(rows)
        server = s.algorithm.init(params)
    else:
        starts = jax.tree.map(lambda p, like: jnp.broadcast_to(p, (n, *like.shape)), params, fresh)
        nodes = over_nodes(lambda row, p: s.algorithm.init(p, _node(s, row)), s.mapping, "init")(rows, starts)
        server = ()
    abstract = s.replace(mapping="vmap")  # shapes only: a loop over nodes has nothing to name here
    shapes = [jax.eval_shape(functools.partial(phase, abstract), rows, nodes, server)[0] for phase in _sends(s)]
    link = tuple(s.exchange.init(tree.zeros_like(message)) for message in shapes)
    zero = jnp.zeros((2, n + s.has_server), jnp.float32)
    return Sim(t, nodes, server, link, Traffic(bits=zero, messages=zero), jnp.int32(-1))


def step(simulation: Simulation, sim: Sim) -> tuple[Sim, Info]:
    """One round. Returns the new state and what `recv` reports: a dict of `f[m]`, a row for each participant."""
    plan = _plan(simulation, sim.t)
    rows = _rows(simulation, plan, sim.t)
    before = tree.take_rows(sim.nodes, plan.participants)
    run = _server_round if simulation.has_server else _gossip_round
    after, server, link, traffic, info = run(simulation, sim, plan, rows, before)
    after = tree.where_rows(plan.active, after, before)
    broken = (sim.status < 0) & ~_finite((after, server))
    new = Sim(
        t=sim.t + 1,
        nodes=tree.put_rows(sim.nodes, plan.participants, after),
        server=server,
        link=link,
        traffic=traffic,
        status=jnp.where(broken, sim.t + 1, sim.status),
    )
    return new, info


def advance(simulation: Simulation, sim: Sim, until: int | jax.Array, halt: bool = False) -> tuple[Sim, Info]:
    """Rounds up to round `until`, which is traced: any number of rounds is one program.

    Args:
      halt: stop after the round in which a number is no longer finite. (Costs a sweep by `vmap` a pass over the state.)

    Returns the new state, and the mean over nodes of what the last round reports (NaN before the first).
    """
    info = jax.eval_shape(functools.partial(step, simulation), sim)[1]
    blank = jax.tree.map(lambda x: jnp.full((), jnp.nan, x.dtype), info)
    until = jnp.asarray(until, jnp.int32)

    def going(carry):
        more = carry[0].t < until
        return more & (carry[0].status < 0) if halt else more

    def body(carry):
        sim, info = step(simulation, carry[0])
        return sim, jax.tree.map(jnp.mean, info)

    return jax.lax.while_loop(going, body, (sim, blank))


def models(simulation: Simulation, sim: Sim) -> PyTree:
    """The models to evaluate, stacked: `[n, ...]`, or `[1, ...]`, the server's."""
    if simulation.has_server:
        return jax.tree.map(lambda x: x[None], simulation.algorithm.model(sim.server))
    return jax.vmap(simulation.algorithm.model)(sim.nodes)


def evaluate(simulation: Simulation, sim: Sim) -> dict[str, jax.Array]:
    """The metrics of this moment; see `jdl.metrics.measure`."""
    return metrics.measure(models(simulation, sim), simulation.problem)


def simulate(
    simulation: Simulation, rounds: int, eval_every: int = 1, params: PyTree | None = None
) -> tuple[Sim, dict[str, jax.Array]]:
    """A whole run as one pure function, for `jit`, and for `vmap` over rates, seeds or weights of `simulation`.

    Returns the final state, and the metrics as arrays `[E]` with their `round`: at 0, every `eval_every`, at the end.
    """
    marks = jnp.asarray(sorted({*range(0, rounds, eval_every), rounds}), jnp.int32)

    def body(sim, until):
        sim, info = advance(simulation, sim, until)
        return sim, {"round": until, **evaluate(simulation, sim), **info}

    return jax.lax.scan(body, init(simulation, params), marks)


def _start(params: PyTree, like: PyTree, n: int, has_server: bool) -> PyTree:
    """The start that the caller gives, or a sentence if it has not the shape of one model, or of n."""
    given, needed = jax.tree.structure(params), jax.tree.structure(like)
    checks.require(given == needed, f"got params of structure {given}, need {needed}; start from problem.init(key)")

    def leaf(p, like):
        p = jnp.asarray(p, like.dtype)
        good = [like.shape] if has_server else [like.shape, (n, *like.shape)]
        need = " or ".join(map(str, good))
        checks.require(p.shape in good, f"got params with an array of shape {p.shape}, need {need}; see jdl.sim.init")
        return p

    return jax.tree.map(leaf, params, like)


# ---- one round ---------------------------------------------------------------------------------------------------


def _gossip_round(s: Simulation, sim: Sim, plan: Plan, rows: dict, nodes: PyTree) -> tuple:
    link, traffic, info = [], sim.traffic, {}
    for phase, (send, (_, recv)) in enumerate(zip(_sends(s), s.algorithm.phases, strict=True)):
        message, nodes = send(s, rows, nodes, sim.server)
        inbox, new_link, sent = _exchange(s, sim, plan, message, phase)

        def absorb(row, state, inbox, recv=recv):
            return getattr(s.algorithm, recv)(state, inbox, _node(s, row))

        nodes, report = over_nodes(absorb, s.mapping, recv)(rows, nodes, inbox)
        info |= report
        link.append(new_link)
        traffic = _tally(traffic, sent, plan.participants)
    return nodes, sim.server, tuple(link), traffic, info


def _server_round(s: Simulation, sim: Sim, plan: Plan, rows: dict, clients: PyTree) -> tuple:
    share = jax.vmap(lambda row: s.algorithm.weight(_node(s, row)))(rows)
    plan = plan.replace(links=plan.links.replace(weights=plan.links.weights * share))
    (send,) = _sends(s)
    message, clients = send(s, rows, clients, sim.server)
    aggregate, link, up = _exchange(s, sim, plan, message, 0)
    m, n = plans.rows(plan), s.problem.n
    server = s.algorithm.server(sim.server, aggregate, {"participants": jnp.int32(m), "n": jnp.int32(n)})
    copy = jax.tree.map(lambda x: x[None], s.algorithm.broadcast(sim.server))
    down = Traffic(bits=jnp.full((1,), float(m * tree.bits(copy))), messages=jnp.full((1,), float(m)))
    traffic = _tally(_tally(sim.traffic, up, plans.ids(plan)), down, jnp.full((1,), n, jnp.int32))
    return clients, server, (link,), traffic, {}


def _sends(s: Simulation) -> list:
    """For each exchange of a round, a function (simulation, rows, nodes, server) -> (messages, nodes)."""

    def client(s, rows, nodes, server):
        broadcast = s.algorithm.broadcast(server)
        return over_nodes(lambda row, x: s.algorithm.client(broadcast, x, _node(s, row)), s.mapping, "client")(
            rows, nodes
        )

    def peer(s, rows, nodes, server, send):
        return over_nodes(lambda row, x: getattr(s.algorithm, send)(x, _node(s, row)), s.mapping, send)(rows, nodes)

    return [client] if s.has_server else [functools.partial(peer, send=send) for send, _ in s.algorithm.phases]


def _exchange(s: Simulation, sim: Sim, plan: Plan, message: Message, phase: int) -> tuple:
    bits = jnp.full((plans.rows(plan),), float(tree.bits(message)), jnp.float32)
    wire = Wire(own=message, sent=message, bits=bits, plan=plan)
    return s.exchange.apply(sim.link[phase], wire, key_of(s.key, "exchange", sim.t, phase))


def _plan(s: Simulation, t: jax.Array) -> Plan:
    plan = s.schedule(t, key_of(s.key, "schedule", t))
    return plan if s.reads_as is None else plan.replace(kind=s.reads_as)


def _everybody(plan: Plan, n: int) -> Plan:
    """A plan with a row for every node, also where this round's plan names participants."""
    if plan.participants is None:
        return plan
    return Plan(links=Server(weights=jnp.ones(n), used=jnp.ones(n, bool)), self_weights=jnp.zeros(n))


def _rows(s: Simulation, plan: Plan, t: jax.Array) -> dict:
    """What each row's `Node` is made of, stacked."""
    ids = plans.ids(plan)
    return {
        "id": ids,
        "t": jnp.full_like(ids, t),
        "self_weight": plan.self_weights,
        "degree": plans.degree(plan),
        "num_examples": s.problem.num_examples[ids],
    }


def _node(s: Simulation, row: dict) -> Node:
    data = Data(problem=s.problem, id=row["id"], key=key_of(s.key, "data", row["t"], row["id"]))
    key = key_of(s.key, "node", row["t"], row["id"])
    return Node(**row, key=key, steps=s.oracle.steps(data), _data=data, _oracle=s.oracle)


def _finite(state: PyTree) -> jax.Array:
    """Whether all numbers are finite: sums of 0 x, which is 0 or NaN, read memory once and cannot overflow."""
    sums = [jnp.sum(0 * x) for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.all(jnp.isfinite(jnp.stack([x.astype(jnp.float32) for x in sums]))) if sums else jnp.bool_(True)


def _tally(total: Traffic, new: Traffic, rows: jax.Array | None) -> Traffic:
    """Add to the running totals, kept as a sum and its excess over the truth: float32 alone loses bits after 2^24."""

    def add(total, new):
        (high, excess), new = total, new if rows is None else jnp.zeros_like(total[0]).at[rows].set(new)
        # Knuth's two-sum: `bigger` is rounded, and `lost` is exactly what rounding took.
        bigger = high + new
        back = bigger - high
        lost = (high - (bigger - back)) + (new - back)
        rest = lost - excess
        settled = bigger + rest
        return jnp.stack([settled, (settled - bigger) - rest])

    return jax.tree.map(add, total, new)
