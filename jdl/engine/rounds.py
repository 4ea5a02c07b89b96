"""One round: plan, send, exchange, recv, for peers and for a server alike."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl import tree
from jdl.engine import xla
from jdl.engine.mapping import over_nodes
from jdl.engine.messages import content_and_bits, content_of
from jdl.engine.metrics import consensus_distance
from jdl.engine.nodes import each_node, node_of, rows_of
from jdl.engine.placement import divided
from jdl.engine.state import RunState, Simulation
from jdl.engine.totals import all_finite, tally
from jdl.rng import key_of
from jdl.types import Adaptive, Info, Message, Plan, PyTree, ScheduleState, Traffic, Wire

__all__ = ["plan_at", "sends_of", "step"]

# The size of one scalar of a client's report, in bits: reports are float32.
REPORT_BITS = 32


def step(simulation: Simulation, sim: RunState) -> tuple[RunState, Info]:
    """One round. Returns the new state and what `recv` reports: a dict of `f[m]`, a row for each participant."""
    plan, schedule_state = plan_at(simulation, sim.schedule_state, sim.t)
    rows = rows_of(simulation, plan, sim.t)
    before = tree.take_rows(sim.nodes, plan.participants)
    run = _server_round if simulation.has_server else _gossip_round
    after, server, exchange_state, traffic, info = run(simulation, sim, plan, rows, before)
    after = tree.where_rows(plan.active, after, before)
    nodes = tree.put_rows(sim.nodes, plan.participants, after)
    if isinstance(simulation.schedule, Adaptive):
        schedule_state = simulation.schedule.learn(schedule_state, plan, _seen(simulation, sim, rows, before, nodes))
    broken = (sim.status < 0) & ~all_finite((after, server))
    new = RunState(
        t=sim.t + 1,
        nodes=nodes,
        server=server,
        exchange_state=exchange_state,
        schedule_state=schedule_state,
        traffic=traffic,
        status=jnp.where(broken, sim.t + 1, sim.status),
    )
    return new, info


def _gossip_round(s: Simulation, sim: RunState, plan: Plan, rows: dict, nodes: PyTree) -> tuple:
    exchange_state, traffic, info = [], sim.traffic, {}
    for phase, (send, (_, recv)) in enumerate(zip(sends_of(s), s.algorithm.phases, strict=True)):
        message, nodes, _ = send(s, rows, nodes, sim.server)
        inbox, new_state, sent = _exchange(s, sim, plan, message, phase)

        nodes, report = each_node(s, "recv", recv, rows, nodes, inbox)
        info |= report
        exchange_state.append(new_state)
        traffic = tally(traffic, sent, plan.participants)
    return nodes, sim.server, tuple(exchange_state), traffic, info


def _server_round(s: Simulation, sim: RunState, plan: Plan, rows: dict, clients: PyTree) -> tuple:
    exchange_state, traffic, info, server, given = [], sim.traffic, {}, sim.server, plan.links.weights
    n, ids, arrived = s.problem.n, plans.ids(plan), plan.links.used
    m, kind = jnp.sum(arrived, dtype=jnp.int32), jnp.result_type(float)
    about = {"participants": m, "n": jnp.int32(n), "participation": m.astype(kind) / n, "t": sim.t, "ids": ids}
    for phase, (send, (broadcast, _, absorb)) in enumerate(zip(sends_of(s), s.algorithm.phases, strict=True)):
        share = jax.vmap(lambda row, server=server: s.algorithm.weight(server, node_of(s, row)))(rows)
        plan = plan.replace(links=plan.links.replace(weights=given * share))
        message, clients, reports = send(s, rows, clients, server)
        down = content_and_bits(jax.tree.map(lambda x: x[None], getattr(s.algorithm, broadcast)(server)))[1]
        aggregate, new_state, up = _exchange(s, sim, plan, message, phase, REPORT_BITS * len(reports))
        key = key_of(s.key, "server", sim.t, phase)
        told = about | {"key": key, "reports": reports, "arrived": arrived}
        server = getattr(s.algorithm, absorb)(server, aggregate, told)
        copies = jnp.sum(plan.links.used, keepdims=True, dtype=jnp.float32)
        down = Traffic(bits=copies * down, messages=jnp.where(down > 0, copies, 0))
        traffic = tally(tally(traffic, up, ids), down, jnp.full((1,), n, jnp.int32))
        exchange_state.append(new_state)
        info |= reports
    return clients, server, tuple(exchange_state), traffic, info


def sends_of(s: Simulation) -> list:
    """For each exchange of a round, a function (simulation, rows, nodes, server) -> (messages, nodes, reports)."""

    def client(s, rows, nodes, server, broadcast, client):
        message = content_of(getattr(s.algorithm, broadcast)(server))
        return each_node(s, "client", client, rows, nodes, told=message)

    def peer(s, rows, nodes, server, send):
        return (*each_node(s, "send", send, rows, nodes), {})

    if s.has_server:
        return [functools.partial(client, broadcast=down, client=up) for down, up, _ in s.algorithm.phases]
    return [functools.partial(peer, send=send) for send, _ in s.algorithm.phases]


def _exchange(s: Simulation, sim: RunState, plan: Plan, message: Message, phase: int, more_bits: float = 0.0) -> tuple:
    message, bits = content_and_bits(message)
    message = divided(xla.written_once, s.mesh)(sim.t, message)
    wire = Wire(own=message, sent=message, bits=jnp.broadcast_to(bits, (plans.rows(plan),)), plan=plan)
    inbox, exchange_state, sent = s.exchange.apply(
        sim.exchange_state[phase], wire, key_of(s.key, "exchange", sim.t, phase)
    )
    return inbox, exchange_state, sent.replace(bits=sent.bits + more_bits * sent.messages)


def _seen(s: Simulation, sim: RunState, rows: dict, before: PyTree, after: PyTree) -> dict:
    """What an adaptive schedule watches; see `jdl.types.Adaptive`."""
    seen = {}
    if "loss" in s.schedule.watches:

        def loss(told, row, state):
            s, server = told
            return node_of(s, row).loss(s.algorithm.model(server if s.has_server else state))

        seen["loss"] = over_nodes(loss, s.mapping, "loss", s.mesh)((s, sim.server), rows, before)
    if "consensus_distance" in s.schedule.watches:
        seen["consensus_distance"] = consensus_distance(jax.vmap(s.algorithm.model)(after))
    return seen


def plan_at(s: Simulation, schedule_state: ScheduleState, t: jax.Array) -> tuple[Plan, ScheduleState]:
    """The plan of round t, and what the schedule remembers after it."""
    plan, schedule_state = s.schedule(schedule_state, t, key_of(s.key, "schedule", t))
    return plan if s.reads_as is None else plan.replace(stochastic=s.reads_as), schedule_state
