"""AD-PSGD in waves: pairs of nodes average, and the active node of each pair takes a step with a stale gradient.

    active   x_i <- (x_i + x_j) / 2 - lr g_i(z_i)        z_i: the model that i had `delay` of its own waves ago
    passive  x_j <- (x_i + x_j) / 2                      a wave counts for a node whether it is active or passive

A wave is a set of events of the asynchronous method on different nodes, which commute. The passive partner talks and
does not compute: `plan.works` says so. Nodes without a partner sleep.

Source: Lian, Zhang, Zhang, Liu 2018, Asynchronous Decentralized Parallel Stochastic Gradient Descent, Algorithm 1.
"""

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Plan, Slots, number, static


@struct.dataclass
class Waves:  # random pairs of n nodes, `pairs` in a round; with `both`, passive partners work as well
    n: int = static(minimum=2)
    pairs: int = static(1, minimum=1)
    both: bool = static(False)

    def init(self, key):
        return ()

    def __call__(self, memory, t, key, seen=None):
        own = jnp.arange(self.n, dtype=jnp.int32)
        active, passive = jax.random.permutation(key, own)[: 2 * self.pairs].reshape(2, self.pairs)
        partner = own.at[active].set(passive).at[passive].set(active)
        paired, share = partner != own, jnp.where(partner != own, 0.5, 0.0)
        works = paired if self.both else jnp.zeros(self.n, bool).at[active].set(True)
        links = Slots(weights=share[:, None], used=paired[:, None], senders=partner[:, None])
        return Plan(links, self_weights=1 - share, active=paired, works=works, symmetric=True), memory


@struct.dataclass
class ADPSGD:
    lr: float = number(0.1, minimum=0)
    delay: int = static(0, minimum=0)

    needs = frozenset({"peers", "doubly_stochastic", "grad"})
    phases = (("send", "recv"),)

    def init(self, params, node):  # the newest models of a node, [delay + 1, ...], the present one first
        return jax.tree.map(lambda x: jnp.stack([x] * (self.delay + 1)), params)

    def send(self, state, node):
        return self.model(state), state

    def recv(self, state, inbox, node):
        stale = jax.tree.map(lambda past: past[-1], state)
        new = tree.axpy(-self.lr, node.grad(stale)[0], inbox)  # a gradient of zero where the node does not work
        return jax.tree.map(lambda x, past: jnp.concatenate([x[None], past[:-1]]), new, state), {}

    def model(self, state):
        return jax.tree.map(lambda past: past[0], state)
