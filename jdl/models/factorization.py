"""Matrix factorization: ratings from a vector for each user and each item."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from jdl import checks

__all__ = ["MatrixFactorization"]


class MatrixFactorization(nn.Module):
    """The rating of item i by user u: `mean + b_u + b_i + p_u . q_i`.

    It maps pairs (user, item), `i32[B, 2]`, to ratings `f[B]`, with `(users + items) (rank + 1) + 1` parameters in the
    default floating type: "mean" f[], "user_bias" f[users], "item_bias" f[items], "user_vectors" f[users, rank] and
    "item_vectors" f[items, rank]. An id outside its range gives NaN, not the rating of another id.

    Between peers the parameters of a node's users are its own, while those of items are shared. To keep the users on
    the node, use `network=[jdl.exchange.PerModule.of({"user_bias": private, "user_vectors": private})]` with
    `private = np.full(n, -1)`. Other nodes then learn nothing about these users. A test of all users' ratings with the
    model of one node, or with the mean of all, then says little: test each node with the ratings of its own users.

    Every node has an array for all users, `n users (rank + 1)` numbers in total, of which it changes only its own rows.

    Args:
      users: number of users.
      items: number of items.
      rank: size of the vectors.
      mean: initial value of "mean", in units of the ratings; the average of the training ratings is a good start.
      deviation: standard deviation of the initial vectors; not 0, since then their gradients are 0 as well.

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
        x = x.astype(jnp.uint32)  # a negative id becomes a large number, hence NaN, instead of counting from the end
        sides, counts = {"user": x[:, 0], "item": x[:, 1]}, {"user": self.users, "item": self.items}
        vectors = []
        for side, ids in sides.items():
            bias = self.param(f"{side}_bias", zeros, (counts[side],), dtype)
            table = self.param(f"{side}_vectors", random(self.deviation), (counts[side], self.rank), dtype)
            total = total + jnp.take(bias, ids, mode="fill")
            vectors.append(jnp.take(table, ids, axis=0, mode="fill"))
        return total + jnp.sum(vectors[0] * vectors[1], axis=-1)
