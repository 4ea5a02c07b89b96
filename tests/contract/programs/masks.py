"""Secure aggregation, simplified: each client hides its change behind masks that cancel in the sum of all clients.

    message_i = round(2^20 change_i) + sum_{j > i} r_ij - sum_{j < i} r_ij    modulo 2^32
    aggregate = 2^-20 / n times the sum of all messages modulo 2^32, read as a signed number

Each pair of clients draws r_ij, 32 uniform bits a number, from a seed that both know, so that one message alone is
noise. All clients take part with equal weights, and no message may be lost: the recovery of the paper is left out.
Source: Bonawitz et al. 2017, Practical Secure Aggregation for Privacy-Preserving Machine Learning, section 4.
"""

import jax
import jax.numpy as jnp
from flax import struct
from jax.flatten_util import ravel_pytree

from jdl.algorithms import FedAvg
from jdl.types import Each, Federated

UNIT = 2.0**-20


@struct.dataclass
class Masked:
    base: Federated = FedAvg()  # the method whose changes are hidden
    phases = (("broadcast", "client", "server"),)

    @property
    def needs(self):
        return self.base.needs | {"reliable"}

    def init(self, params, n):
        return self.base.init(params, n)

    def client_init(self, params, node):
        return self.base.client_init(params, node)

    def broadcast(self, server):
        return self.base.broadcast(server)

    def client(self, broadcast, client, node):
        change, client = self.base.client(broadcast, client, node)
        fixed = jnp.round(ravel_pytree(change)[0] / UNIT).astype(jnp.int32).astype(jnp.uint32)

        def add(j, total):
            pair = jnp.minimum(node.id, j) * node.n + jnp.maximum(node.id, j)
            mask = jax.random.bits(jax.random.fold_in(node.common, pair), total.shape, jnp.uint32)
            return total + jnp.where(node.id < j, mask, jnp.where(node.id > j, -mask, 0))

        return Each(jax.lax.fori_loop(0, node.n, add, fixed)), client

    def weight(self, server, node):
        return jnp.ones(())

    def server(self, server, each, info):
        total = jnp.sum(each.content, axis=0, dtype=jnp.uint32).astype(jnp.int32).astype(jnp.float32)
        mean = UNIT * total / info["participants"].astype(jnp.float32)
        return self.base.server(server, ravel_pytree(self.base.model(server))[1](mean), info)

    def model(self, server):
        return self.base.model(server)
