"""Names of minibatches, for tests that ask a problem for one directly."""

import jax
import jax.numpy as jnp

from jdl.types import BatchId

# A minibatch, and all data of a node: one program for each shape of a problem in place of many small ones.
batch = jax.jit(lambda problem, id, draw: problem.batch(id, draw))
full_batch = jax.jit(lambda problem, id: problem.full_batch(id))


def draw(key=0, t=0, k=0, order=0):
    """The minibatch of this key (or of the key of this number), in the order of `order`."""
    key = jax.random.key(key) if isinstance(key, int) else key
    return BatchId(key=key, order_key=jax.random.key(order), t=jnp.int32(t), k=jnp.int32(k))
