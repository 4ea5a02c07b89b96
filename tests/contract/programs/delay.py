"""Messages that are late: in every round, each link brings the message that its sender sent d rounds ago.

    x_i(t + 1) = W_ii x_i(t) + sum_j W_ij x_j(t - d_ij(t)),    d_ij(t) uniform on {least, ..., rounds}

Rows of `Wire.sent` become a mailbox of the last `rounds + 1` messages of every node, the newest first, and links become
`Slots` into it. A message from before the first round does not arrive; its weight stays with the receiver. In every
round, one message is sent on each link, and traffic counts these. Each exchange inside sees what arrives in this round.

Source: Tsitsiklis, Bertsekas, Athans 1986, Distributed Asynchronous Deterministic and Stochastic Gradient Optimization
Algorithms (bounded delays, here of a synchronous round).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.exchange import Linear
from jdl.types import Delivery, Exchange, Message, Slots, static


class State(NamedTuple):
    box: Message  # leaves [D + 1, n, ...]: the messages of the last rounds, the newest first
    bits: jax.Array  # f[D + 1, n]: their sizes
    t: jax.Array  # i32[]: the number of rounds before this one
    inner: Message


@struct.dataclass
class Delay:
    rounds: int = static(1, minimum=0)
    least: int = static(0, minimum=0)
    inner: Exchange = Linear()

    needs = frozenset({"peers", "one_by_one", "fixed_links"})
    # A message may be read twice or never, so no sum over the nodes is kept.
    breaks = frozenset({"reliable", "symmetric", "doubly_stochastic", "column_stochastic", "per_link", "push"})

    def init(self, message):
        n = jax.tree.leaves(message)[0].shape[0]
        box = jax.tree.map(lambda x: jnp.zeros((self.rounds + 1, *x.shape), x.dtype), message)
        return State(box, jnp.zeros((self.rounds + 1, n), jnp.float32), jnp.int32(0), self.inner.init(message))

    def apply(self, state, wire, key):
        here, inside = jax.random.split(key)
        push = lambda box, new: jnp.concatenate([new[None], box[:-1]])
        box, bits = jax.tree.map(push, state.box, wire.sent), push(state.bits, wire.bits)
        links, n = plans.one_by_one(wire.plan).links, wire.bits.shape[0]
        late = jax.random.randint(here, links.used.shape, self.least, self.rounds + 1, jnp.int32)
        slots = Slots(links.weights, links.used, late * n + plans.senders(links), links.arrived)
        plan = plans.lose(wire.plan.replace(links=slots, stochastic="row", symmetric=False), late <= state.t)
        rows = lambda x: x.reshape(-1, *x.shape[2:])
        origin = jnp.tile(wire.origin, self.rounds + 1)
        age = jnp.repeat(jnp.arange(self.rounds + 1, dtype=jnp.int32), n)
        arriving = wire.replace(sent=jax.tree.map(rows, box), bits=rows(bits), plan=plan, origin=origin, age=age)
        inbox, inner, _ = self.inner.apply(state.inner, arriving, inside)
        sent = Delivery(plan=wire.plan, bits=wire.bits, copies=jnp.ones(()), origin=wire.origin)
        return inbox, State(box, bits, state.t + 1, inner), (sent,)
