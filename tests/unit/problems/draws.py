"""Names of minibatches, for tests that ask a problem for one directly."""

import jax
import jax.numpy as jnp

from jdl.types import BatchId


def draw(key=0, t=0, k=0, order=0):
    """The minibatch of this key (or of the key of this number), in the order of `order`."""
    key = jax.random.key(key) if isinstance(key, int) else key
    return BatchId(key=key, order_key=jax.random.key(order), t=jnp.int32(t), k=jnp.int32(k))
