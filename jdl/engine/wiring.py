"""Messages on their way: from the rows of a round through an exchange, up to a server and down from it."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl.engine import xla
from jdl.engine.deliveries import traffic_of
from jdl.engine.messages import content_and_bits, content_of, is_posted, unmarked
from jdl.engine.nodes import losses_at_desk, losses_of
from jdl.engine.placement import divided
from jdl.engine.returned import announced, delivered
from jdl.engine.seeing import bits_of_loss
from jdl.engine.state import RunState, Simulation
from jdl.engine.totals import tally
from jdl.rng import key_of
from jdl.types import Delivery, Message, Plan, PyTree, Slots, Traffic, Wire

__all__ = ["as_real", "broadcast", "exchange", "stored", "tallied"]


def exchange(
    s: Simulation, state: RunState, plan: Plan, rows: dict, message: Message, phase: int, told: Message = None
) -> tuple:
    """Send the messages of all rows through the exchange; `told` is what a server sent to them before.

    Returns:
      The inbox, the exchange's next state, its deliveries, and a list of wires, one for each delivery. For a message
      without arrays there are no deliveries and no wires.
    """
    more = bits_of_loss(s, message) if phase == 0 else 0
    message, bits = content_and_bits(message)
    if not jax.tree.leaves(message):
        return message, state.exchange_state[phase], (), []
    announced(s.algorithm, message)
    bits = jnp.broadcast_to(bits, (plans.rows(plan),))
    wire = Wire(own=message, sent=message, bits=bits, plan=plan, origin=plans.ids(plan), roles=s.who)
    # What rules may ask costs nothing where none does.
    asks: dict = {"losses": losses_of(s, rows, phase)}
    if s.has_server:
        asks = {"losses": losses_at_desk(s, state.t, phase), "reference": content_of(told)}
    key = key_of(s.key, "exchange", state.t, phase)
    out = s.exchange.apply(state.exchange_state[phase], wire.replace(**asks), key)
    inbox, new_state, deliveries = delivered(s.exchange, out)
    if more:  # beside the message, whose exchanges know nothing of it
        deliveries = (deliveries[0].replace(bits=deliveries[0].bits + more), *deliveries[1:])
    inbox = unmarked(inbox)
    if not s.has_server:  # or each reader of an inbox would gather the messages anew
        inbox = stored(s, state, inbox)
    return inbox, new_state, deliveries, _on_links(wire, deliveries)


def stored(s: Simulation, state: RunState, made: PyTree, known: PyTree = ()) -> PyTree:
    """The same arrays, stored in memory before they are read, see `xla.written_once`.

    Args:
      s: the simulation.
      state: the state before the round. What it holds is in memory already, and is left as it is.
      made: arrays of the rows, `[m, ...]`. One that occurs twice, as a message that is kept, is stored once. `Posted`
        parts are left as they are.
      known: further arrays that are in memory.
    """
    there = {id(x) for x in jax.tree.leaves((state.nodes, known))}
    arrays = {id(x): x for x in jax.tree.leaves(made, is_leaf=is_posted) if not is_posted(x) and id(x) not in there}
    if not arrays:
        return made
    written = divided(xla.written_once, s.placement.mesh)(state.t, list(arrays.values()))
    of = dict(zip(arrays, written, strict=True))
    return jax.tree.map(lambda x: of.get(id(x), x), made, is_leaf=is_posted)


def broadcast(s: Simulation, state: RunState, plan: Plan, message: Message, phase: int) -> tuple:
    """Send the server's message to the clients of a plan.

    Returns:
      Which clients received it, bool[m], and what they received, M[m]; None and None where all receive it as it is. The
      state of the exchange, in a list that is empty without one. The server's traffic, f[1]. A list of wires, which
      is empty where no exchange acts.
    """
    message, bits = content_and_bits(jax.tree.map(lambda x: x[None], message))
    if s.exchange_down is None or not jax.tree.leaves(message):
        copies = jnp.sum(plan.links.used, keepdims=True, dtype=jnp.float32)
        kept = [] if s.exchange_down is None else [state.down_state[phase]]
        return None, None, kept, Traffic(bits=copies * bits, messages=jnp.where(bits > 0, copies, 0)), []
    m = plans.rows(plan)
    links = Slots(
        weights=jnp.ones((m, 1), plan.self_weights.dtype),
        used=plan.links.used[:, None],
        senders=jnp.zeros((m, 1), jnp.int32),
    )
    down = plan.replace(links=links, self_weights=jnp.zeros(m, plan.self_weights.dtype), stochastic="row")
    sent = as_real(message)
    own = jax.tree.map(lambda x: jnp.zeros((m, *x.shape[1:]), x.dtype), sent)
    wire = Wire(own, sent, bits, down, jnp.full((1,), -1, jnp.int32), roles=s.who)
    key = key_of(s.key, "down", state.t, phase)
    out = s.exchange_down.apply(state.down_state[phase], wire, key)
    inbox, new_state, deliveries = delivered(s.exchange_down, out)
    heard = functools.reduce(jnp.logical_and, [plans.arrived(one.plan.links)[:, 0] for one in deliveries])
    if not all(map(_is_real, jax.tree.leaves(message))):
        inbox = jax.tree.map(lambda x, real: real if _is_real(x) else jnp.broadcast_to(x, real.shape), message, inbox)
    return heard, inbox, [new_state], traffic_of(deliveries), _on_links(wire, deliveries)


def as_real(message: Message) -> Message:
    """A server's message as exchanges meet it: they average real numbers. Clients receive whole numbers unchanged."""
    return jax.tree.map(lambda x: x if _is_real(x) else x.astype(jnp.float32), message)


def _is_real(x: jax.Array) -> bool:
    return jnp.issubdtype(x.dtype, jnp.inexact)


def _on_links(wire: Wire, deliveries: tuple[Delivery, ...]) -> list[Wire]:
    """The wires after all exchanges, as messages were on the links: one for each part that takes links of its own."""
    sent = lambda one: wire.sent if one.sent is None else one.sent
    return [wire.replace(sent=sent(one), bits=one.bits, plan=one.plan, origin=one.origin) for one in deliveries]


def tallied(traffic: Traffic, deliveries: tuple[Delivery, ...], plan: Plan) -> Traffic:
    """Add what was delivered to the totals. Rows of a mailbox are first added up by the node that sent them."""
    if not deliveries:
        return traffic
    new, count = traffic_of(deliveries), traffic.bits.shape[1]
    origin = deliveries[0].origin
    if deliveries[0].bits.shape[0] == plans.rows(plan):
        return tally(traffic, new, None if plan.participants is None and count == plans.rows(plan) else origin)
    return tally(traffic, jax.tree.map(lambda x: jnp.zeros(count, x.dtype).at[origin].add(x), new), None)
