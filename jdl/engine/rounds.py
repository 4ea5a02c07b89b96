"""One round, among peers or with a server: who talks, what they send and receive, and the state after it."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl import tree
from jdl.engine.clock import ended
from jdl.engine.joining import joined
from jdl.engine.nodes import node_of, rows_of
from jdl.engine.phases import gossip_round, server_round
from jdl.engine.seeing import see
from jdl.engine.state import Code, RunState, Simulation
from jdl.engine.totals import all_finite, tally
from jdl.engine.wiring import stored
from jdl.rng import key_of
from jdl.types import Plan, PyTree, Reports, ScheduleState, Seen, Wire

__all__ = ["begin", "plan_at", "spans", "step", "wires"]


def step(simulation: Simulation, state: RunState) -> tuple[RunState, Reports]:
    """One round. Returns the new state, and what the nodes reported."""
    new, reports, _, _ = _round(simulation, state)
    return new, reports


def wires(simulation: Simulation, state: RunState) -> tuple[Wire, ...]:
    """What the next round would put on links, after all exchanges; the state does not change.

    Messages are as they travel: compressed, masked, falsified. Attacks on privacy read them, such as gradient
    inversion, membership inference and linkability. There is one `Wire` for each exchange that is not empty, or one for
    each part of its message that takes links of its own.

    Args:
      simulation: what is simulated.
      state: the state before the round.
    """
    return _round(simulation, state)[2]


def spans(simulation: Simulation, state: RunState) -> tuple[RunState, jax.Array | None, tuple]:
    """One round, and when in it nodes compute.

    Args:
      simulation: what is simulated, with a clock.
      state: the state before the round.

    Returns:
      The new state; the ids of the rows, None for all; and for each exchange four times f[m], counted as the clocks of
      the state are: the begin and the end of the steps before and beside the message, and of those after what arrives.
    """
    new, _, _, found = _round(simulation, state)
    return new, plan_at(simulation, state)[0].participants, found


def _round(s: Simulation, state: RunState) -> tuple[RunState, Reports, tuple[Wire, ...], tuple]:
    plan, schedule_state = plan_at(s, state)
    rows = rows_of(s, plan, state)
    before, traffic = tree.take_rows(state.nodes, plan.participants), state.traffic
    if plan.joins is not None:
        plan = plan if plan.active is None else plan.replace(joins=plan.joins & plan.active)
        before, sent = joined(s, plan, rows, before)
        traffic = tally(traffic, sent, rows["id"])
    begun = begin(s, state, rows, before)
    out = (server_round if s.has_server else gossip_round)(s, state, plan, begun, before, traffic)
    remembered = begun["memory"]
    if plan.participants is None:
        nodes = after = tree.where_rows(plan.active, out.nodes, before)
        finite = all_finite((after, out.server))
    else:
        rows_after = stored(s, state, out.nodes)  # or each of its readers would compute it anew
        nodes = tree.put_rows(state.nodes, _awake(plan), rows_after)
        finite = all_finite(out.server) & all_finite(rows_after, plan.active)
    for mask in (plan.active, out.took_part):
        remembered = tree.where_rows(mask, remembered, rows["memory"])
    broken = (state.status < 0) & ~finite
    new = RunState(
        t=state.t + 1,
        nodes=nodes,
        server=out.server,
        exchange_state=out.exchange_state,
        down_state=out.down_state,
        schedule_state=schedule_state,
        oracle_state=tree.put_rows(state.oracle_state, plan.participants, remembered),
        seen=see(s, state, begun, before, nodes, out.reports),
        count=_counted(state.count, plan, out.took_part),
        traffic=out.traffic,
        status=jnp.where(broken, state.t + 1, state.status),
        clock=ended(s, state, plan, out.ticking),
    )
    return new, out.reports, out.wires, () if out.ticking is None else out.ticking.spans


def _awake(plan: Plan) -> jax.Array:
    """The ids of the rows, where those who sleep have ids that no node has, so that what is put there is left out.

    To put their own rows back would be to read the state while it is written, for which XLA copies all of it.
    """
    ids, beyond = plan.participants, jnp.iinfo(jnp.int32).max
    row = jnp.arange(ids.shape[0], dtype=jnp.int32)
    return ids if plan.active is None else jnp.where(plan.active, ids, beyond - row)  # all different


def begin(s: Simulation, state: RunState, rows: dict, before: PyTree) -> dict:
    """The rows of a round with what the oracle remembers in it."""
    if not jax.tree.leaves(state.oracle_state):
        return rows

    def begun(told, row, node):
        s, server = told
        model = s.algorithm.model(server if s.has_server else node)
        return s.oracle.begin(row["memory"], node_of(s, row)._data, model)

    return rows | {"memory": s.placement.over(begun, "begin")((s, state.server), rows, before)}


def _counted(count: jax.Array, plan: Plan, took_part: jax.Array | None) -> jax.Array:
    """How often each node took part and worked, after a round of this plan. `took_part`: see `phases.Outcome`."""
    part = jnp.ones(plans.rows(plan), jnp.int32)
    for mask in (plan.active, plan.works, took_part):
        part = part if mask is None else part * mask.astype(jnp.int32)
    return count + part if plan.participants is None else count.at[plan.participants].add(part)


def plan_at(s: Simulation, state: RunState) -> tuple[Plan, ScheduleState]:
    """The plan of the next round, and what the schedule remembers after it."""
    # Parts that a schedule does not see are left out, so that all who ask for a plan of one schedule share its trace.
    seen = Simulation((), (), s.schedule, (), (), s.key, code=Code(schedule=s.code.schedule))
    return _planned(seen, state.schedule_state, state.t, state.seen)


@functools.partial(jax.jit, inline=True)
def _planned(s: Simulation, memory: ScheduleState, t: jax.Array, seen: Seen | None) -> tuple[Plan, ScheduleState]:
    return s.schedule(memory, t, key_of(s.key, "schedule", t), seen)
