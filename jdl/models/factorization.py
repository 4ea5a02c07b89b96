"""Ratings from a vector for each user and each item."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from jdl import checks

__all__ = ["MatrixFactorization"]


class MatrixFactorization(nn.Module):
    """The rating of item i by user u: `mean + b_u + b_i + p_u . q_i`.

    From pairs (user, item), `i32[B, 2]`, to ratings `f[B]`; `(users + items) (rank + 1) + 1` parameters, in the default
    floating type: "mean" f[], "user_bias" f[users], "item_bias" f[items], "user_vectors" f[users, rank] and
    "item_vectors" f[items, rank]. An id outside its range gives NaN, not somebody else's rating.

    Between peers, what a node knows of its users is its own; items are everybody's. So that users never leave the
    node: `network=[jdl.exchange.per_module({"user_bias": private, "user_vectors": private})]` with
    `private = np.full(n, -1)`. Then no other node has learnt anything about them, and a test of all users' ratings
    with one node's model, or the mean of all, says little: test each node with the ratings of its own users.

    Every node has an array for all users, `n users (rank + 1)` numbers in all, of which it changes its own rows only.

    Args:
      users: how many there are of each.
      items: how many there are of each.
      rank: numbers in a vector.
      mean: the start of the mean, in units of the ratings; their average over training data saves it the way there.
      deviation: of the vectors at the start. Not 0, where the gradient of each vector is 0 as well.

    References:
      Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems", Computer 42(8), 2009, eq. 4.

    >>> import jax, jax.numpy as jnp
    >>> model = MatrixFactorization(users=943, items=1682, rank=8)
    >>> variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 2), jnp.int32))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    23626
    """

    users: int
    items: int
    rank: int = 8
    mean: float = 0.0
    deviation: float = 0.1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        pairs = x.ndim == 2 and x.shape[1] == 2 and jnp.issubdtype(x.dtype, jnp.integer)
        checks.require(pairs, f"got x of type {x.dtype} and shape {x.shape}, need pairs (user, item), i32[B, 2]")
        for name in ("users", "items", "rank"):
            checks.whole(name, getattr(self, name), 1)
        dtype, zeros, random = jnp.result_type(float), nn.initializers.zeros_init(), nn.initializers.normal
        mean = self.param("mean", nn.initializers.constant(self.mean), (), dtype)
        total = mean[None]
        x = x.astype(jnp.uint32)  # a negative id becomes one far too large, not the last but some
        sides, counts = {"user": x[:, 0], "item": x[:, 1]}, {"user": self.users, "item": self.items}
        vectors = []
        for side, ids in sides.items():
            bias = self.param(f"{side}_bias", zeros, (counts[side],), dtype)
            table = self.param(f"{side}_vectors", random(self.deviation), (counts[side], self.rank), dtype)
            total = total + jnp.take(bias, ids, mode="fill")
            vectors.append(jnp.take(table, ids, axis=0, mode="fill"))
        return total + jnp.sum(vectors[0] * vectors[1], axis=-1)
