"""Private gradients, as in DP-SGD: each example's gradient is clipped, and their mean gets noise.

    (sum_j g_j min(1, clip / ||g_j||) + noise clip N(0, I)) / B      over the B examples of a batch

It is a wrapper of the oracle, `oracle=[PrivateGradients(...)]`, and changes one piece: the direction. So each method
whose steps follow `node.grad` becomes private, and knows nothing of it.

Source: Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar, Zhang 2016, Deep Learning with Differential Privacy,
Algorithm 1.
"""

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import number

NOISE = 0x64707367  # apart from the keys that a problem derives from a node's key


@struct.dataclass
class PrivateGradients:
    """Clips the gradient of each example, and adds noise to their sum.

    Args:
      clip: the largest norm of the gradient of one example.
      noise: the standard deviation of the noise of a sum, in multiples of `clip`.
    """

    clip: float = number(1.0, minimum=0)
    noise: float = number(1.0, minimum=0)

    def grad(self, inner, data, params, batch, query):
        single, real = data.problem.alone(batch)

        def clipped(example):
            g, _ = inner(data, params, example, query)
            norm = jnp.sqrt(tree.norm_squared(g))
            return tree.scale(jnp.minimum(1, self.clip / jnp.where(norm > 0, norm, 1)), g)

        each = jax.vmap(clipped)(single)
        count = jnp.maximum(jnp.sum(real, dtype=jnp.result_type(float)), 1)
        leaves, structure = jax.tree.flatten(tree.where_rows(real, each, tree.zeros_like(each)))
        key = jax.random.fold_in(data.key, NOISE)
        sigma = jnp.where(self.noise > 0, self.noise * self.clip, 0)  # no noise, also where nothing is clipped
        keys = jax.random.split(jax.random.fold_in(key, getattr(query.which, "k", 0)), len(leaves))
        noise = [sigma * jax.random.normal(k, g.shape[1:], g.dtype) for g, k in zip(leaves, keys, strict=True)]
        sums = [jnp.sum(g, axis=0) + z for g, z in zip(leaves, noise, strict=True)]
        return tree.scale(1 / count, structure.unflatten(sums)), ()
