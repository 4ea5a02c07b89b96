"""A classifier of sentences that ignores the order of words."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from jdl import checks
from jdl.models.layers import Dense

__all__ = ["BagOfWords"]


class BagOfWords(nn.Module):
    """The mean of the words' embeddings, followed by one dense layer to the logits.

    `logits = mean_j E[x_j] W + b` over the words that are not padding, from `i32[B, L]` to `f[B, classes]`; `vocab
    width + (width + 1) classes` parameters. A sentence of only padding has the logits b.

    A single word is rare, and so are gradients of its embedding; therefore use Adam, `optimizer="adam", lr=0.01`.
    Measured with D-PSGD of 16 nodes on SST-2, batches of 32, 300 rounds, test accuracy of the nodes: Adam 0.01 73.5 %,
    0.003 62.1 %; SGD 0.1 54.7 %, 1 55.5 %, 10 51.8 %.

    Args:
      vocab: number of words; word 0 is padding, and a word outside 0 to vocab - 1 gives NaN.
      classes: number of logits.
      width: size of an embedding.

    Raises:
      InputError: if x is not an array of integers `[B, L]`.

    References:
      Joulin, Grave, Bojanowski and Mikolov, "Bag of Tricks for Efficient Text Classification", EACL 2017.

    >>> import jax, jax.numpy as jnp
    >>> variables = jax.eval_shape(BagOfWords(vocab=100).init, jax.random.key(0), jnp.zeros((1, 8), jnp.int32))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    1634
    """

    vocab: int = 8000
    classes: int = 2
    width: int = 16

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        words = x.ndim == 2 and jnp.issubdtype(x.dtype, jnp.integer)
        checks.require(
            words, f"got x of type {x.dtype} and shape {x.shape}, need words, i32[B, L]; try x[None] for one"
        )
        dtype = jnp.result_type(float)
        table = self.param("embedding", nn.initializers.normal(1.0), (self.vocab, self.width), dtype)
        real = (x != 0).astype(table.dtype)
        words = jnp.take(table, x.astype(jnp.uint32), axis=0, mode="fill")  # a negative word gives NaN
        total = jnp.sum(words * real[..., None], axis=1)
        return Dense(self.classes)(total / jnp.maximum(jnp.sum(real, axis=1, keepdims=True), 1))
