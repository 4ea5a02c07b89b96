"""FedFomo among peers: a node weighs each neighbour's model by what it would do for the node's own loss.

    y_j = x_j - lr g_j(x_j)                                 sent as an `Each` part: every model arrives by itself
    w_ij = max(0, (L_i(y_i) - L_i(y_j)) / ||y_i - y_j||),   divided by their sum over the neighbours j
    x_i <- y_i + sum_j w_ij (y_j - y_i)

L_i is the loss on examples that the node keeps aside (`held_out`), or on all of its own. W is not used.

Source: Zhang, Sapra, Fidler, Yeung, Alvarez 2021, Personalized Federated Learning with First Order Model Optimization,
equations 3 and 4. There a server hands models on; here neighbours send them.
"""

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import FULL, Each, number, static


@struct.dataclass
class FirstOrderWeights:
    lr: float = number(0.1, minimum=0)
    held_out: bool = static(False)

    phases = (("send", "recv"),)

    @property
    def needs(self):
        return frozenset({"peers", "each", "grad", "held_out" if self.held_out else "loss"})

    def init(self, params, node):
        return params

    def send(self, state, node):
        y = tree.axpy(-self.lr, node.grad(state)[0], state)
        return Each(y), y

    def recv(self, state, inbox, node):
        def loss(x):
            return node.held_out(x)["loss"] if self.held_out else node.loss(x, FULL)

        def gain(model):
            distance = jnp.sqrt(tree.norm_squared(tree.sub(model, state)))
            return jnp.maximum(0, loss(state) - loss(model)) / jnp.maximum(distance, 1e-12)

        weights = jnp.where(inbox.arrived, jax.vmap(gain)(inbox.content), 0)
        weights = weights / jnp.maximum(jnp.sum(weights), 1e-12)
        mixed = jax.tree.map(lambda y, x: y + jnp.tensordot(weights, x - y[None], axes=1), state, inbox.content)
        return mixed, {"affinity": weights}

    def model(self, state):
        return state
