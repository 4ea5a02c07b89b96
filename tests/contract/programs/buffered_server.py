"""FedBuff: the server waits until `buffer` updates of clients have arrived, and then takes one step.

    B <- B + sum over arrived messages k of (y_k - x_k) / sqrt(1 + tau_k);    c <- c + number that arrived
    if c >= buffer:  x <- x + server_lr B / c;  version <- version + 1;  B, c <- 0

y_k = x_k - lr g_k(x_k), where x_k is the model that client k was sent; tau_k is the number of server steps since then.
Source: Nguyen et al. 2022, Federated Learning with Buffered Asynchronous Aggregation, Algorithm 1 and section 5.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Each, PyTree, number


class State(NamedTuple):
    x: PyTree  # the model
    version: jax.Array  # i32[]: the number of steps so far
    buffer: PyTree  # the weighted sum of the updates that wait
    count: jax.Array  # f[]: the number of updates that wait


@struct.dataclass
class FedBuff:
    lr: float = number(0.1, minimum=0)
    server_lr: float = number(1.0, minimum=0)
    buffer: float = number(4, minimum=1)
    needs = frozenset({"server", "grad"})
    phases = (("broadcast", "client", "server"),)

    def init(self, params, n):
        return State(params, jnp.int32(0), tree.zeros_like(params), jnp.zeros(()))

    def client_init(self, params, node):
        return ()

    def broadcast(self, server):
        return server.x, server.version

    def client(self, broadcast, client, node):
        return Each((tree.scale(-self.lr, node.grad(broadcast[0])[0]), broadcast[1])), client

    def weight(self, server, node):
        return jnp.ones(())

    def server(self, server, each, info):
        change, version = each.content
        factor = jnp.where(each.arrived, 1 / jnp.sqrt(1 + (server.version - version).astype(jnp.float32)), 0)
        buffer = jax.tree.map(lambda b, c: b + jnp.tensordot(factor, c, axes=1), server.buffer, change)
        count = server.count + jnp.sum(each.arrived, dtype=jnp.float32)
        x = tree.axpy(self.server_lr / jnp.maximum(count, 1), buffer, server.x)
        stepped = State(x, server.version + 1, tree.zeros_like(buffer), jnp.zeros(()))
        return tree.where(count >= self.buffer, stepped, State(server.x, server.version, buffer, count))

    def model(self, server):
        return server.x
