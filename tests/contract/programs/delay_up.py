"""Late messages to a server: each arrives once, d rounds after it was sent, with d uniform on {least, ..., rounds}.

Rows of `Wire.sent` become a mailbox of the last `rounds + 1` messages of every client, the newest first. The links say
which rows were sent in this round (`used`: the newest alone, so that traffic counts each message once), and which of
them arrive in this round (`arrived`). A message keeps the weight that it had when it was sent.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange import Linear
from jdl.types import Exchange, Message, Server, static


class Box(NamedTuple):
    message: Message  # leaves [D + 1, n, ...]
    bits: jax.Array  # f[D + 1, n]
    weights: jax.Array  # f[D + 1, n]
    due: jax.Array  # i32[D + 1, n]: the age at which the message arrives, -1 for no message


@struct.dataclass
class DelayUp:
    rounds: int = static(1, minimum=0)
    least: int = static(0, minimum=0)
    inner: Exchange = Linear()

    needs = frozenset({"server"})
    breaks = frozenset({"reliable"})

    def init(self, message) -> tuple[Box, Any]:
        shape = (self.rounds + 1, jax.tree.leaves(message)[0].shape[0])
        box = jax.tree.map(lambda x: jnp.zeros((self.rounds + 1, *x.shape), x.dtype), message)
        return Box(box, jnp.zeros(shape), jnp.zeros(shape), jnp.full(shape, -1, jnp.int32)), self.inner.init(message)

    def apply(self, state, wire, key):
        (box, inner), (here, inside), links = state, jax.random.split(key), wire.plan.links
        count, n = box.due.shape
        due = jax.random.randint(here, links.used.shape, self.least, self.rounds + 1, jnp.int32)
        lost = ~(links.used if links.arrived is None else links.arrived)
        new = Box(wire.sent, wire.bits, links.weights, jnp.where(lost, -1, due))
        empty = jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), box)._replace(due=jnp.full(n, -1, jnp.int32))
        of_nodes = jax.tree.map(lambda zero, x: zero.at[wire.origin].set(x), empty, new)
        box = jax.tree.map(lambda box, x: jnp.concatenate([x[None], box[:-1]]), box, of_nodes)
        rows = jax.tree.map(lambda x: x.reshape(count * n, *x.shape[2:]), box)
        age = jnp.repeat(jnp.arange(count, dtype=jnp.int32), n)
        used = jnp.zeros(count * n, bool).at[wire.origin].set(links.used)
        plan = wire.plan.replace(links=Server(rows.weights, used, rows.due == age))
        origin = jnp.tile(jnp.arange(n, dtype=jnp.int32), count)
        arriving = wire.replace(sent=rows.message, bits=rows.bits, plan=plan, origin=origin, age=age)
        inbox, inner, deliveries = self.inner.apply(inner, arriving, inside)
        return inbox, (box, inner), deliveries
