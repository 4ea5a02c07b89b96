"""One round: plan, send, exchange, recv, for peers and for a server alike."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl import tree
from jdl.engine import xla
from jdl.engine.deliveries import arrived_rows, traffic_of
from jdl.engine.joining import joined
from jdl.engine.messages import content_and_bits, content_of, unmarked
from jdl.engine.nodes import desk_of, each_node, node_of, rows_of
from jdl.engine.placement import divided
from jdl.engine.seeing import bits_of_loss, reports_of, see
from jdl.engine.state import RunState, Simulation
from jdl.engine.totals import all_finite, tally
from jdl.rng import key_of
from jdl.types import Delivery, Message, Plan, PyTree, Reports, ScheduleState, Slots, Traffic, Wire

__all__ = ["plan_at", "sends_of", "step", "wires"]


def step(simulation: Simulation, state: RunState) -> tuple[RunState, Reports]:
    """One round. Returns the new state, and what the nodes reported."""
    new, reports, _ = _round(simulation, state)
    return new, reports


def wires(simulation: Simulation, state: RunState) -> tuple[Wire, ...]:
    """What the next round would put on links: one `Wire` for each exchange that is not empty. The state stays as it is.

    Attacks on privacy read it: gradient inversion, membership inference, linkability.

    Args:
      simulation: what is simulated.
      state: the state before the round.
    """
    return _round(simulation, state)[2]


class Outcome(NamedTuple):
    """What the phases of a round leave behind.

    nodes: the states of the rows. server: the server's. exchange_state, down_state: one entry for each phase. traffic:
    the totals so far. reports: of the rows. wires: what was on links.
    """

    nodes: PyTree
    server: PyTree
    exchange_state: tuple[PyTree, ...]
    down_state: tuple[PyTree, ...]
    traffic: Traffic
    reports: Reports
    wires: tuple[Wire, ...]


def _round(s: Simulation, state: RunState) -> tuple[RunState, Reports, tuple[Wire, ...]]:
    plan, schedule_state = plan_at(s, state)
    rows = rows_of(s, plan, state)
    before, traffic = tree.take_rows(state.nodes, plan.participants), state.traffic
    if plan.joins is not None:
        before, sent = joined(s, plan, rows, before)
        traffic = tally(traffic, sent, rows["id"])
    begun, oracle_state = _begin(s, state, plan, rows, before)
    out = (_server_round if s.has_server else _gossip_round)(s, state, plan, begun, before, traffic)
    after = tree.where_rows(plan.active, out.nodes, before)
    nodes = tree.put_rows(state.nodes, plan.participants, after)
    broken = (state.status < 0) & ~all_finite((after, out.server))
    new = RunState(
        t=state.t + 1,
        nodes=nodes,
        server=out.server,
        exchange_state=out.exchange_state,
        down_state=out.down_state,
        schedule_state=schedule_state,
        oracle_state=oracle_state,
        seen=see(s, state, begun, before, nodes, out.reports),
        count=_counted(state.count, plan),
        traffic=out.traffic,
        status=jnp.where(broken, state.t + 1, state.status),
    )
    return new, out.reports, out.wires


def _begin(s: Simulation, state: RunState, plan: Plan, rows: dict, before: PyTree) -> tuple[dict, PyTree]:
    """The rows with what the oracle remembers in this round, and its memory of all nodes after it."""
    if not jax.tree.leaves(state.oracle_state):
        return rows, state.oracle_state

    def begin(told, row, node):
        s, server = told
        model = s.algorithm.model(server if s.has_server else node)
        return s.oracle.begin(row["memory"], node_of(s, row)._data, model)

    memory = s.placement.over(begin, "begin")((s, state.server), rows, before)
    memory = tree.where_rows(plan.active, memory, rows["memory"])
    return rows | {"memory": memory}, tree.put_rows(state.oracle_state, plan.participants, memory)


def _counted(count: jax.Array, plan: Plan) -> jax.Array:
    """How often each node took part and worked, after a round of this plan."""
    part = jnp.ones(plans.rows(plan), jnp.int32)
    for mask in (plan.active, plan.works):
        part = part if mask is None else part * mask.astype(jnp.int32)
    return count + part if plan.participants is None else count.at[plan.participants].add(part)


def _gossip_round(s: Simulation, state: RunState, plan: Plan, rows: dict, nodes: PyTree, traffic: Traffic) -> Outcome:
    exchange_state, info, on_links = [], {}, []
    for phase, (send, (_, recv)) in enumerate(zip(sends_of(s), s.algorithm.phases, strict=True)):
        message, nodes = send(s, rows, nodes, state.server)
        inbox, new_state, deliveries, wire = _exchange(s, state, plan, message, phase)
        nodes, report = each_node(s, "recv", recv, rows, nodes, inbox, phase=phase)
        info |= report
        exchange_state.append(new_state)
        on_links += wire
        traffic = _tallied(traffic, deliveries, plan)
    present = jnp.ones(plans.rows(plan), bool) if plan.active is None else plan.active
    reports = Reports(info, present, rows["id"])
    return Outcome(nodes, state.server, tuple(exchange_state), (), traffic, reports, tuple(on_links))


def _server_round(s: Simulation, state: RunState, plan: Plan, rows: dict, clients: PyTree, traffic: Traffic) -> Outcome:
    exchange_state, down_state, on_links, server = [], [], [], state.server
    given, info, present, ids = plan.links, {}, plan.links.used, rows["id"]
    kind = jnp.result_type(float)
    for phase, (send, (broadcast, _, absorb)) in enumerate(zip(sends_of(s), s.algorithm.phases, strict=True)):
        told = getattr(s.algorithm, broadcast)(server)
        heard, inbox, new_state, down, wire = _broadcast(s, state, plan, told, phase)
        down_state += new_state
        on_links += wire
        traffic = tally(traffic, down, jnp.full((1,), s.problem.n, jnp.int32))
        share = jax.vmap(lambda row, server=server: s.algorithm.weight(server, node_of(s, row)))(rows)
        # A client that has not heard the server has nothing to do in this round, and sends nothing.
        used = given.used if heard is None else given.used & heard
        plan = plan.replace(links=given.replace(weights=given.weights * share, used=used))
        message, after = send(s, rows, clients, server, inbox)
        clients = tree.where_rows(heard, after, clients)
        given = given.replace(used=used)
        aggregate, new_state, deliveries, wire = _exchange(s, state, plan, message, phase)
        exchange_state.append(new_state)
        on_links += wire
        traffic = _tallied(traffic, deliveries, plan)
        arrived, origin = jnp.zeros_like(used), rows["id"]
        if deliveries:
            arrived, origin = arrived_rows(deliveries), deliveries[0].origin
            present, ids = (arrived if arrived.shape != present.shape else present & arrived), origin
        m = jnp.sum(arrived, dtype=jnp.int32)
        about = {"participants": m, "n": jnp.int32(s.problem.n), "participation": m.astype(kind) / s.problem.n}
        about |= {"t": state.t, "key": key_of(s.key, "server", state.t, phase), "ids": origin, "arrived": arrived}
        server = getattr(s.algorithm, absorb)(server, aggregate, about | {"desk": desk_of(s, state.t, phase)})
        info |= reports_of(aggregate)
    reports = Reports(info, present, ids)
    return Outcome(clients, server, tuple(exchange_state), tuple(down_state), traffic, reports, tuple(on_links))


def sends_of(s: Simulation) -> list:
    """For each exchange of a round, a function (simulation, rows, nodes, server, inbox) -> (messages, nodes).

    `inbox` is what each client received, where the way down has an exchange, and else None.
    """

    def client(s, rows, nodes, server, inbox=None, *, broadcast, client, phase):
        if inbox is not None:
            return each_node(s, "client_heard", client, rows, nodes, inbox, phase=phase)
        message = content_of(getattr(s.algorithm, broadcast)(server))
        return each_node(s, "client", client, rows, nodes, told=message, phase=phase)

    def peer(s, rows, nodes, server, inbox=None, *, send, phase):
        return each_node(s, "send", send, rows, nodes, phase=phase)

    phases = enumerate(s.algorithm.phases)
    if s.has_server:
        return [functools.partial(client, broadcast=down, client=up, phase=phase) for phase, (down, up, _) in phases]
    return [functools.partial(peer, send=send, phase=phase) for phase, (send, _) in phases]


def _exchange(s: Simulation, state: RunState, plan: Plan, message: Message, phase: int) -> tuple:
    """The inbox, the exchange's state, what was delivered, and a list of the wire, empty for an empty message."""
    message, bits = content_and_bits(message)
    if not jax.tree.leaves(message):
        return message, state.exchange_state[phase], (), []
    message = divided(xla.written_once, s.placement.mesh)(state.t, message)
    more = bits_of_loss(s) if phase == 0 else 0
    bits = jnp.broadcast_to(bits + more if more else bits, (plans.rows(plan),))
    wire = Wire(own=message, sent=message, bits=bits, plan=plan, origin=plans.ids(plan), roles=s.who)
    key = key_of(s.key, "exchange", state.t, phase)
    inbox, new_state, deliveries = s.exchange.apply(state.exchange_state[phase], wire, key)
    return unmarked(inbox), new_state, deliveries, [wire]


def _broadcast(s: Simulation, state: RunState, plan: Plan, message: Message, phase: int) -> tuple:
    """Send the server's message to the clients of a plan.

    Returns:
      Which clients received it, bool[m], and what they received, M[m]; None and None where all receive it as it is. The
      state of the exchange and the wire, as lists that are empty then, and the server's traffic, f[1].
    """
    message, bits = content_and_bits(jax.tree.map(lambda x: x[None], message))
    if s.exchange_down is None or not jax.tree.leaves(message):
        copies = jnp.sum(plan.links.used, keepdims=True, dtype=jnp.float32)
        return None, None, [], Traffic(bits=copies * bits, messages=jnp.where(bits > 0, copies, 0)), []
    m = plans.rows(plan)
    links = Slots(
        weights=jnp.ones((m, 1), plan.self_weights.dtype),
        used=plan.links.used[:, None],
        senders=jnp.zeros((m, 1), jnp.int32),
    )
    down = plan.replace(links=links, self_weights=jnp.zeros(m, plan.self_weights.dtype), stochastic="row")
    own = jax.tree.map(lambda x: jnp.zeros((m, *x.shape[1:]), x.dtype), message)
    wire = Wire(own, message, bits, down, jnp.full((1,), -1, jnp.int32), roles=s.who)
    key = key_of(s.key, "down", state.t, phase)
    inbox, new_state, deliveries = s.exchange_down.apply(state.down_state[phase], wire, key)
    heard = functools.reduce(jnp.logical_and, [plans.arrived(one.plan.links)[:, 0] for one in deliveries])
    return heard, inbox, [new_state], traffic_of(deliveries), [wire]


def _tallied(traffic: Traffic, deliveries: tuple[Delivery, ...], plan: Plan) -> Traffic:
    """The totals with what was delivered; rows of a mailbox are added up by their origin first."""
    if not deliveries:
        return traffic
    new, count = traffic_of(deliveries), traffic.bits.shape[1]
    origin = deliveries[0].origin
    if deliveries[0].bits.shape[0] == plans.rows(plan):
        return tally(traffic, new, None if plan.participants is None and count == plans.rows(plan) else origin)
    return tally(traffic, jax.tree.map(lambda x: jnp.zeros(count, x.dtype).at[origin].add(x), new), None)


def plan_at(s: Simulation, state: RunState) -> tuple[Plan, ScheduleState]:
    """The plan of the next round, and what the schedule remembers after it."""
    return s.schedule(state.schedule_state, state.t, key_of(s.key, "schedule", state.t), state.seen)
