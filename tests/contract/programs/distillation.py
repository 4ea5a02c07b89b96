"""Distillation among peers: logits on public inputs are sent in place of models, whose sizes may differ.

    x_i <- x_i - lr g_i(x_i)                            on the node's own examples
    z_i  = logits of x_i on this round's P public inputs: the message, P x classes numbers
    x_i <- x_i - teach grad (1/2P) sum_p ||z_p(x_i) - sum_j W_ij z_jp||^2        `steps` times

A narrower model is a wide one whose last hidden units are dead: their weights, in and out, are zero, and so are the
gradients of these weights. `narrowed` makes such models.

Sources: Li, Wang 2019, FedMD: Heterogenous Federated Learning via Model Distillation (by a server; here by gossip); Ba,
Caruana 2014, Do Deep Nets Really Need to be Deep? (squared differences of logits).
"""

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import PUBLIC, number, static


@struct.dataclass
class Distillation:
    lr: float = number(0.5, minimum=0)
    teach: float = number(0.02, minimum=0)
    steps: int = static(4, minimum=1)

    needs = frozenset({"peers", "row_stochastic", "grad", "public", "predict"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params

    def send(self, state, node):
        state = tree.axpy(-self.lr, node.grad(state)[0], state)
        return node.predict(state, node.inputs(PUBLIC(0))), state

    def recv(self, state, inbox, node):
        inputs = node.inputs(PUBLIC(0))
        distance = lambda x: jnp.sum(jnp.square(node.predict(x, inputs) - inbox)) / (2 * len(inbox))
        towards = lambda _, x: tree.axpy(-self.teach, jax.grad(distance)(x), x)
        return jax.lax.fori_loop(0, self.steps, towards, state), {}

    def model(self, state):
        return state


def narrowed(params, widths):
    """Models `[n, ...]` made from the `params` of one with two dense layers: model i has `widths[i]` hidden units."""
    first, last = params["params"].values()
    alive = jnp.arange(first["bias"].size)[None, :] < widths[:, None]
    masked = lambda x, mask: jnp.where(mask, x[None], 0)  # rows for all nodes
    first = {"bias": masked(first["bias"], alive), "kernel": masked(first["kernel"], alive[:, None, :])}
    last = {"bias": masked(last["bias"], widths[:, None] > 0), "kernel": masked(last["kernel"], alive[:, :, None])}
    return {"params": dict(zip(params["params"], (first, last), strict=True))}
