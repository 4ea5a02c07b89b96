"""Zeroth-order gossip: a message is a random seed and one number, and no gradient is taken anywhere.

    s_j = (f_j(x_j + eps u_j) - f_j(x_j - eps u_j)) / (2 eps),    u_j ~ N(0, I) drawn from seed_j
    x_i <- x_i - lr mean over j in N(i) and i itself of s_j u_j

Every node draws the directions of all neighbours from their seeds. On the complete graph all nodes take the same steps,
in the order of ids, so that equal models stay equal to the last bit, for 64 bits a link and round.

Sources: Feng, Pang, Du, Chen, Cheng, Lin 2023, Does Federated Learning Really Need Backpropagation? (BAFFLE). Qin et
al. 2024, Federated Full-Parameter Tuning of Billion-Sized Language Models (FedKSeed). Both use a server.
"""

import jax
import jax.numpy as jnp
from flax import struct
from jax.flatten_util import ravel_pytree

from jdl.types import Each, number


def direction(seed, size):
    """The direction of one seed, f[size]."""
    return jax.random.normal(jax.random.key(seed), (size,))


@struct.dataclass
class ZerothOrder:
    lr: float = number(0.05, minimum=0)
    eps: float = number(0.1, minimum=1e-6)

    needs = frozenset({"peers", "each", "loss"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params, {"seed": jnp.uint32(0), "slope": jnp.zeros(())}

    def send(self, state, node):
        x, tree_of = ravel_pytree(state[0])
        seed = jax.random.bits(node.key, dtype=jnp.uint32)
        step = self.eps * direction(seed, x.size)
        slope = (node.loss(tree_of(x + step)) - node.loss(tree_of(x - step))) / (2 * self.eps)
        message = {"seed": seed, "slope": slope}
        return Each(message), (state[0], message)

    def recv(self, state, inbox, node):
        x, tree_of = ravel_pytree(state[0])
        with_own = lambda own, others: jnp.concatenate([jnp.reshape(own, 1), others])
        seed, slope = (with_own(state[1][name], inbox.content[name]) for name in ("seed", "slope"))
        slope = slope / (1 + jnp.sum(inbox.arrived)).astype(slope.dtype)  # zero where nothing arrived
        order = jnp.argsort(with_own(node.id, inbox.ids))
        add = lambda x, j: (x - self.lr * slope[j] * direction(seed[j], x.size), None)
        return (tree_of(jax.lax.scan(add, x, order)[0]), state[1]), {}

    def model(self, state):
        return state[0]
