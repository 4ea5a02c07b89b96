"""The exchanges of a round: send, exchange, recv between peers; broadcast, client, exchange, server with a server."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdl import checks, tree
from jdl import plan as plans
from jdl.engine import clock
from jdl.engine.deliveries import arrived_rows
from jdl.engine.messages import content_of
from jdl.engine.nodes import desk_of, each_node, node_of
from jdl.engine.seeing import reports_of
from jdl.engine.state import RunState, Simulation
from jdl.engine.totals import tally
from jdl.engine.wiring import broadcast, exchange, stored, tallied
from jdl.rng import key_of
from jdl.types import Info, Plan, PyTree, Reports, Traffic, Wire

__all__ = ["Outcome", "gossip_round", "sends_of", "server_round"]


class Outcome(NamedTuple):
    """The results of all phases of a round.

    Attributes:
      nodes: the states of the rows.
      took_part: bool[m], which rows heard the server; None where all of them do.
      server: the server's state.
      exchange_state: the states of the exchange, one for each phase.
      down_state: the states of the exchange on the way down, one for each phase.
      traffic: the totals so far.
      reports: what the rows reported.
      wires: what was on the links.
      ticking: the clocks of the rows, or None without a clock.
    """

    nodes: PyTree
    took_part: jax.Array | None
    server: PyTree
    exchange_state: tuple[PyTree, ...]
    down_state: tuple[PyTree, ...]
    traffic: Traffic
    reports: Reports
    wires: tuple[Wire, ...]
    ticking: clock.Ticking | None


def gossip_round(s: Simulation, state: RunState, plan: Plan, rows: dict, nodes: PyTree, traffic: Traffic) -> Outcome:
    """A round among peers: in each phase, every row sends, messages are exchanged, and every row receives."""
    exchange_state, info, on_links, ticking = [], {}, [], clock.begun(s, state, plan)
    for phase, (send, (_, recv)) in enumerate(zip(sends_of(s, plan.workers), s.algorithm.phases, strict=True)):
        taken = nodes if phase == 0 else ()  # the rows that were taken from the state
        message, nodes = stored(s, state, send(s, rows, nodes, state.server), taken)
        on, waited = _in_time(s, state, plan, rows, message, phase, ticking)
        inbox, new_state, deliveries, wire = exchange(s, state, on, rows, message, phase)
        ticking = clock.exchanged(s, ticking, on, deliveries, waited)
        nodes, report = each_node(s, "recv", recv, rows, nodes, inbox, phase=phase, workers=plan.workers)
        info |= report
        exchange_state.append(new_state)
        on_links += wire
        traffic = tallied(traffic, deliveries, plan)
    present = jnp.ones(plans.rows(plan), bool) if plan.active is None else plan.active
    reports = Reports(info, present, rows["id"])
    return Outcome(nodes, None, state.server, tuple(exchange_state), (), traffic, reports, tuple(on_links), ticking)


def server_round(s: Simulation, state: RunState, plan: Plan, rows: dict, clients: PyTree, traffic: Traffic) -> Outcome:
    """A round with a server: in each phase, it broadcasts, its clients answer, and it is given what arrived."""
    exchange_state, down_state, on_links, server, took_part = [], [], [], state.server, None
    given, info, present, ids = plan.links, {}, plan.links.used, rows["id"]
    ticking = clock.begun(s, state, plan)
    for phase, (send, (down, _, absorb)) in enumerate(zip(sends_of(s), s.algorithm.phases, strict=True)):
        told = getattr(s.algorithm, down)(server)
        heard, inbox, new_state, sent, wire = broadcast(s, state, plan, told, phase)
        down_state += new_state
        on_links += wire
        traffic = tally(traffic, sent, jnp.full((1,), s.problem.n, jnp.int32))
        share = jax.vmap(lambda row, server=server: s.algorithm.weight(server, node_of(s, row)))(rows)
        one = f"got {type(s.algorithm).__name__} whose `weight` returns an array of shape {share.shape[1:]}"
        checks.require(share.ndim == 1, f"{one}, need one number; return f[]")
        # A client that has not heard the server has nothing to do in this round, and sends nothing.
        used = given.used if heard is None else given.used & heard
        weights = given.weights * share
        took_part = heard if phase == 0 else took_part
        # A client that missed an earlier message of this round takes no part, even if this message is empty.
        weights = weights if s.exchange_down is None else jnp.where(used, weights, 0)
        plan = plan.replace(links=given.replace(weights=weights, used=used))
        message, after = send(s, rows, clients, server, inbox)
        clients = tree.where_rows(None if s.exchange_down is None else used, after, clients)
        given = given.replace(used=used)
        ticking = clock.heard(s, ticking, plan, jnp.sum(sent.bits) / jnp.maximum(jnp.sum(sent.messages), 1))
        message = stored(s, state, message)
        plan, waited = _in_time(s, state, plan, rows, message, phase, ticking, told)
        aggregate, new_state, deliveries, wire = exchange(s, state, plan, rows, message, phase, told)
        ticking = clock.exchanged(s, ticking, plan, deliveries, waited)
        exchange_state.append(new_state)
        on_links += wire
        traffic = tallied(traffic, deliveries, plan)
        arrived, origin = jnp.zeros_like(used), rows["id"]
        if deliveries:
            arrived, origin = arrived_rows(deliveries), deliveries[0].origin
            present, ids = (arrived if arrived.shape != present.shape else present & arrived), origin
        server = getattr(s.algorithm, absorb)(server, aggregate, _told(s, state.t, phase, arrived, origin))
        info |= reports_of(s, aggregate)
    reports = Reports(info, present, ids)
    states = tuple(exchange_state), tuple(down_state)
    return Outcome(clients, took_part, server, *states, traffic, reports, tuple(on_links), ticking)


def _in_time(
    s: Simulation,
    state: RunState,
    plan: Plan,
    rows: dict,
    message: PyTree,
    phase: int,
    ticking: clock.Ticking | None,
    told: PyTree = None,
) -> tuple[Plan, tuple[jax.Array, jax.Array] | None]:
    """The plan without messages that come too late, and what `clock.kept` says; the plan itself if all are awaited."""
    if s.clock is None or s.clock.wait is None:
        return plan, None
    if not s.has_server:  # a message may be late where the one in the other direction is not
        plan = plans.one_by_one(plan).replace(symmetric=False)
    # When messages arrive depends on their sizes, which an exchange decides; nothing else is read of this one.
    waited = clock.kept(s, ticking, plan, exchange(s, state, plan, rows, message, phase, told)[2])
    return plan if waited is None else plans.lose(plan, waited[0]), waited


def _told(s: Simulation, t: jax.Array, phase: int, arrived: jax.Array, origin: jax.Array) -> Info:
    """What a server is told beside the aggregate: all of it follows from what arrived."""
    participants = jnp.sum(arrived, dtype=jnp.int32)
    told = {
        "participants": participants,
        "n": jnp.int32(s.problem.n),
        "participation": participants.astype(jnp.result_type(float)) / s.problem.n,
        "t": t,
        "key": key_of(s.key, "server", t, phase),
        "ids": origin,
        "arrived": arrived,
    }
    return told | ({"desk": desk_of(s, t, phase)} if "public" in s.algorithm.needs else {})


def sends_of(s: Simulation, workers: int | None = None) -> list:
    """For each exchange of a round, a function (simulation, rows, nodes, server, inbox) -> (messages, nodes).

    Of peers only the first `workers` rows work, see `jdl.types.Plan`. `inbox` is what each client received if there is
    an exchange on the way down, and None otherwise.
    """

    def client(s, rows, nodes, server, inbox=None, *, down, up, phase):
        if inbox is not None:
            return each_node(s, "client_heard", up, rows, nodes, inbox, phase=phase)
        message = content_of(getattr(s.algorithm, down)(server))
        return each_node(s, "client", up, rows, nodes, told=message, phase=phase)

    def peer(s, rows, nodes, server, inbox=None, *, send, phase):
        return each_node(s, "send", send, rows, nodes, phase=phase, workers=workers)

    phases = enumerate(s.algorithm.phases)
    if s.has_server:
        return [functools.partial(client, down=down, up=up, phase=phase) for phase, (down, up, _) in phases]
    return [functools.partial(peer, send=send, phase=phase) for phase, (send, _) in phases]
