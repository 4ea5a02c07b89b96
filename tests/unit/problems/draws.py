"""Names of minibatches, for tests that ask a problem for one directly."""

import jax
import jax.numpy as jnp

from jdl.types import BatchId, Data

# A minibatch, and all data of a node: one program for each shape of a problem in place of many small ones.
batch = jax.jit(lambda problem, id, draw: problem.batch(id, draw))
full_batch = jax.jit(lambda problem, id: problem.full_batch(id))


def draw(key=0, t=0, k=0, order=0, count=None):
    """The minibatch of this key (or of the key of this number), in the order of `order`.

    The node took part in all rounds before round t, or in `count` of them.
    """
    key = jax.random.key(key) if isinstance(key, int) else key
    rounds = jnp.int32(t), jnp.int32(t if count is None else count)
    return BatchId(key, jax.random.key(order), *rounds, k=jnp.int32(k))


def about(problem, id, t=0, **fields):
    """What an oracle is told of node `id` in round t."""
    keys = dict(zip(("key", "order_key", "public_key"), jax.random.split(jax.random.key(t), 3), strict=True))
    usual = {"count": jnp.int32(t), "honest": jnp.bool_(True), "group": jnp.int32(0), **keys}
    return Data(problem, jnp.int32(id), jnp.int32(t), **usual | fields)
