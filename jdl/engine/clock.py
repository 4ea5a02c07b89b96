"""The clock: the second at which each node ends a round, from what was delivered, for every method.

Plans mix models by sums and products, and clocks by maxima and sums, over the same links.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks, tree
from jdl import plan as plans
from jdl.engine.state import RunState, Simulation
from jdl.engine.totals import added, exact
from jdl.rng import key_of
from jdl.types import ClockState, Delivery, Edges, Groups, Links, Plan, Transfers, Wait, Work

__all__ = ["COLUMNS", "Ticking", "begun", "ended", "exchanged", "heard", "kept", "seconds_of", "started"]

COLUMNS = ("simulated_seconds", "idle_share", "joules", "bits_received")  # of a history with a clock


@struct.dataclass
class Ticking:
    """The clocks during a round.

    Attributes:
      now: f[m], the second that each row has reached.
      server: f[], the second that the server has reached.
      step: f[m], the seconds of one step of each row; 0 for rows that do not work.
      pending: f[m], the second at which what was sent to each row in the last exchange is there.
      computed: f[m], for how long each row has computed in this round.
      received: f[m], how many bits have arrived at each row in this round.
      served: f[], how many have arrived at the server.
      spans: for each exchange so far, the seconds at which each row begins the steps before and beside its message and
        ends them, and those at which it begins and ends the steps after what arrives, each f[m]; for pictures.
      phase: the number of exchanges so far that were not empty.
    """

    now: jax.Array
    server: jax.Array
    step: jax.Array
    pending: jax.Array
    computed: jax.Array
    received: jax.Array
    served: jax.Array
    spans: tuple[tuple[jax.Array, ...], ...] = ()
    phase: int = struct.field(pytree_node=False, default=0)


def started(s: Simulation) -> ClockState | None:
    """The clocks before the first round."""
    if s.clock is None:
        return None
    n = s.problem.n
    zeros = jnp.zeros(n + s.has_server, jnp.float32)
    sums, pending = jnp.stack([zeros, zeros]), None if s.work[0].waits else zeros[:n]
    return ClockState(now=zeros, since=jnp.zeros(2, jnp.float32), computed=sums[:, :n], received=sums, pending=pending)


def begun(s: Simulation, state: RunState, plan: Plan) -> Ticking | None:
    """The clocks at the beginning of a round; None for a simulation without them."""
    if s.clock is None:
        return None
    ids, n, m = plans.ids(plan), s.problem.n, plans.rows(plan)
    step = s.clock.step
    key = key_of(s.key, "clock", state.t)
    of_nodes = step.seconds(state.t, key, n) if hasattr(step, "seconds") else jnp.asarray(step, jnp.float32)
    need = f"need one number, or one for each of n={n} nodes"
    checks.require(of_nodes.shape in ((), (n,)), f"got steps of shape {of_nodes.shape}, {need}; try step=0.1")
    of_rows = jnp.broadcast_to(of_nodes, (n,))[ids].astype(jnp.float32)
    for mask in (plan.active, plan.works):
        of_rows = of_rows if mask is None else jnp.where(mask, of_rows, 0)
    now, server = state.clock.now[:n][ids], state.clock.now[-1]
    zero, pending = jnp.zeros(m, jnp.float32), state.clock.pending
    return Ticking(now, server, of_rows, now if pending is None else pending[ids], zero, zero, jnp.float32(0))


def heard(s: Simulation, ticking: Ticking | None, plan: Plan, bits: jax.Array) -> Ticking | None:
    """The clocks after a server's message of so many bits, f[] a copy: clients begin when it is there."""
    if ticking is None:
        return None
    used = plan.links.used
    n, ids = s.problem.n, plans.ids(plan)
    size, ready = jnp.broadcast_to(bits, used.shape), jnp.broadcast_to(ticking.server, used.shape)
    copies = Transfers(jnp.full_like(ids, n), ids, used, size, ready, n=n)
    there = s.clock.links.arrivals(copies)
    pending = jnp.where(used & (bits > 0), jnp.maximum(ticking.pending, there), ticking.pending)
    return ticking.replace(pending=pending, received=ticking.received + jnp.where(used, bits, 0))


def kept(
    s: Simulation, ticking: Ticking, plan: Plan, deliveries: tuple[Delivery, ...]
) -> tuple[jax.Array, jax.Array] | None:
    """What becomes of messages to a server, or to peers, who do not wait for all; None without messages or links.

    Returns:
      bool in the shape of the links, which messages are not late, and the second at which the server goes on, f[], or
      each of the peers, f[m].
    """
    if not deliveries:
        return None
    there, used, _ = _arrivals(s, ticking, plan, deliveries)
    if not there.size:
        return None
    if s.has_server:
        keep, ends = s.clock.wait.until(ticking.server, there, used)
    else:
        began = _computed(ticking, s.work[ticking.phase])
        keep, ends = _each_until(s.clock.wait, plan, began, there, used)
    return keep | ~used, ends


def exchanged(
    s: Simulation,
    ticking: Ticking | None,
    plan: Plan,
    deliveries: tuple[Delivery, ...],
    waited: tuple[jax.Array, jax.Array] | None = None,
) -> Ticking | None:
    """The clocks after an exchange.

    Args:
      s: the simulation.
      ticking: the clocks before it.
      plan: who talks.
      deliveries: what went over the links; none for an empty message.
      waited: of those who do not wait for all, see `kept`. A server tells those who are late to stop.
    """
    if ticking is None or not deliveries:
        return ticking
    work, step, pending = s.work[ticking.phase], ticking.step, ticking.pending
    begins = _start(ticking, work)
    stops = begins + (work.before + work.beside) * step
    now = _computed(ticking, work)
    server, received, served = ticking.server, ticking.received, ticking.served
    steps = (work.before + work.beside + work.after) * step
    if s.has_server:
        _, arrived, size = _copies(plan, deliveries)
        served = served + jnp.sum(jnp.where(arrived, size, 0))
    if waited is not None and s.has_server:
        keep, server = waited
        stopped = jnp.where(keep, 0, jnp.maximum(now - server, 0))
        now, steps, stops = now - stopped, jnp.maximum(steps - stopped, 0), jnp.minimum(stops, now - stopped)
    elif s.has_server:
        there, used, _ = _arrivals(s, ticking, plan, deliveries)
        server = jnp.maximum(server, jnp.max(jnp.where(used, there, -jnp.inf)))
    else:
        last, bits = _into_rows(s, ticking, plan, deliveries)
        last = last if waited is None else waited[1]
        pending, received = jnp.maximum(pending, last), received + bits
        now = jnp.maximum(now, pending) + work.after * step if work.after else now
    spans = (*ticking.spans, (begins, jnp.maximum(stops, begins), now - work.after * step, now))
    changes = {"now": now, "server": server, "pending": pending, "received": received, "served": served, "spans": spans}
    return ticking.replace(**changes, computed=ticking.computed + steps, phase=ticking.phase + 1)


def _each_until(
    wait: Wait, plan: Plan, began: jax.Array, there: jax.Array, used: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """For whom each of the peers waits: `wait.until` over the links into each row, in any form of links."""
    if there.ndim == 2:
        return jax.vmap(wait.until)(began, there, used)
    into = plans.receivers(plan.links)
    if hasattr(wait, "until_each"):
        return wait.until_each(began, there, used, into)

    def one(kept: jax.Array, waits: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        row, began = waits
        keep, ends = wait.until(began, there, used & (into == row))
        return kept | keep, ends

    rows = jnp.arange(began.shape[0], dtype=jnp.int32)
    return jax.lax.scan(one, jnp.zeros_like(used), (rows, began))


def _start(ticking: Ticking, work: Work) -> jax.Array:
    """The second at which each row begins the steps of an exchange."""
    return jnp.maximum(ticking.now, ticking.pending) if work.waits else ticking.now


def _computed(ticking: Ticking, work: Work) -> jax.Array:
    """The second at which each row has computed all but what depends on the messages of an exchange."""
    # What arrived in the last exchange is awaited at the beginning of this one, or at its end.
    return jnp.maximum(_start(ticking, work) + (work.before + work.beside) * ticking.step, ticking.pending)


def _ready(ticking: Ticking, work: Work) -> jax.Array:
    """The second at which the message of each row is ready."""
    ready = _start(ticking, work) + work.before * ticking.step
    return jnp.maximum(ready, ticking.pending) if work.sends_on else ready


def _arrivals(
    s: Simulation, ticking: Ticking, plan: Plan, deliveries: tuple[Delivery, ...]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """When each copy is there, whether there is one, and its size: in the shape of the links, one by one.

    Parts of a message that take the same link are one copy on it.
    """
    row_ids, n = plans.ids(plan), s.problem.n
    ready = _ready(ticking, s.work[ticking.phase])
    links, used, size = _copies(plan, deliveries)
    who = plans.senders(links)
    to = jnp.full_like(who, n) if s.has_server else row_ids[plans.receivers(links)]
    copies = Transfers(row_ids[who], to, used, size, ready[who], n=n)
    return s.clock.links.arrivals(copies), used, size


def _copies(plan: Plan, deliveries: tuple[Delivery, ...]) -> tuple[Links, jax.Array, jax.Array]:
    """The links one by one, whether a copy arrives on each, and its size."""
    m, size, used = plans.rows(plan), jnp.float32(0), jnp.bool_(False)
    for delivery in deliveries:
        rows = f"{delivery.bits.shape[0]} rows for {m} nodes"
        got = f"got a clock beside an exchange whose messages are of earlier rounds ({rows})"
        checks.require(delivery.bits.shape[0] == m, f"{got}, need messages of this round; leave one out")
        links = plans.one_by_one(delivery.plan).links
        bits = delivery.bits[plans.senders(links)]
        there = plans.arrived(links) & (bits > 0)
        size, used = size + jnp.where(there, bits, 0), used | there
    return links, used, size


def _into_rows(
    s: Simulation, ticking: Ticking, plan: Plan, deliveries: tuple[Delivery, ...]
) -> tuple[jax.Array, jax.Array]:
    """The second at which the last copy is there at each row, -inf where none is sent; and the bits that arrive, f[m].

    A complete graph of n nodes has n^2 links, which are not listed where the links of the clock can do without.
    """
    links, all_to_all = deliveries[0].plan.links, getattr(s.clock.links, "all_to_all", None)
    m = ticking.now.shape[0]
    alike = len(deliveries) == 1 and isinstance(links, Groups) and deliveries[0].bits.shape[0] == m
    if alike and all_to_all is not None:
        bits = jnp.where(links.used, deliveries[0].bits[links.members], 0)
        last = all_to_all(_ready(ticking, s.work[ticking.phase])[links.members], bits, links.used)
        if last is not None:
            place = jnp.where(links.used, links.members, m)
            others = jnp.sum(bits, axis=1, keepdims=True) - bits
            to_rows = lambda values, empty: jnp.full(m, empty, jnp.float32).at[place].set(values, mode="drop")
            return to_rows(last, -jnp.inf), to_rows(others, 0)
    there, used, size = _arrivals(s, ticking, plan, deliveries)
    links = plans.one_by_one(deliveries[0].plan).links
    return _last(links, jnp.where(used, there, -jnp.inf), m), plans.into(links, jnp.where(used, size, 0), m)


def _last(links: object, values: jax.Array, m: int) -> jax.Array:
    """The greatest of `values`, one for each link, over the links into each of m rows."""
    if isinstance(links, Edges):
        return jnp.full(m, -jnp.inf, values.dtype).at[links.receivers].max(values)
    return jnp.max(values, axis=1, initial=-jnp.inf)


def ended(s: Simulation, state: RunState, plan: Plan, ticking: Ticking | None) -> ClockState | None:
    """The clocks after a round. They are kept as distances from the earliest, since float32 loses seconds in years."""
    if ticking is None:
        return None
    n, ids, before = s.problem.n, plan.participants, state.clock
    now, pending, computed = ticking.now, ticking.pending, ticking.computed
    if not ticking.phase:  # nothing was sent
        now, computed = now + s.work[0].before * ticking.step, s.work[0].before * ticking.step
    if before.pending is None:
        now, pending = jnp.maximum(now, pending), None
    else:
        pending = tree.put_rows(before.pending, ids, pending)
    now = tree.put_rows(before.now[:n], ids, now)
    now = jnp.append(now, ticking.server) if s.has_server else now
    earliest = jnp.min(now)
    return ClockState(
        now=now - earliest,
        since=added(before.since, earliest),
        computed=added(before.computed, computed, ids),
        received=_received(s, before.received, ticking, ids),
        pending=None if pending is None else pending - earliest,
    )


def _received(s: Simulation, before: jax.Array, ticking: Ticking, ids: jax.Array | None) -> jax.Array:
    """What nodes, and a server last, have received after a round."""
    n = s.problem.n
    nodes = added(before[:, :n], ticking.received, ids)
    return jnp.append(nodes, added(before[:, n:], ticking.served[None]), axis=1) if s.has_server else nodes


def seconds_of(clock: ClockState) -> np.ndarray:
    """The second at which each node, and a server last, has ended its last round: f64[..., n], on the host."""
    return exact(clock.since[..., None]) + np.asarray(clock.now, np.float64)
