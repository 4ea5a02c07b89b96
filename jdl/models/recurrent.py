"""Recurrent layers, LSTM and GRU, with one matrix product a step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

__all__ = ["GRU", "LSTM"]


def remember_at_first(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    """Biases of the gates i, f, g, o: one for f, so that gradients survive many steps at the start; otherwise zero."""
    return jnp.repeat(jnp.asarray([0, 1, 0, 0], dtype), shape[0] // 4)


class LSTM(nn.Module):
    """A layer of long short-term memory, from `f[T, B, inputs]` to `f[T, B, features]`, with time first.

    `[i, f, g, o] = x_t U + h W + b`, `c <- sigmoid(f) c + sigmoid(i) tanh(g)`, `h <- sigmoid(o) tanh(c)`, starting at
    zero; `4 features (inputs + features + 1)` parameters. The products `x_t U` of all steps are one matrix product
    before the scan.

    Args:
      features: size of h and of c.

    References:
      Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; the forget gate and its first bias of one: Gers,
      Schmidhuber and Cummins, 2000.

    >>> import jax, jax.numpy as jnp
    >>> variables = jax.eval_shape(LSTM(256).init, jax.random.key(0), jnp.zeros((80, 1, 8)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    271360
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        gates = 4 * self.features
        inward = self.param("input", nn.initializers.lecun_normal(), (x.shape[-1], gates), x.dtype)
        across = self.param("hidden", nn.initializers.orthogonal(), (self.features, gates), x.dtype)
        bias = self.param("bias", remember_at_first, (gates,), x.dtype)
        products = x @ inward + bias.reshape(1, 1, -1)

        def step(carry, product):
            h, c = carry
            i, f, g, o = jnp.split(product + h @ across, 4, axis=-1)
            c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
            h = nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        start = jnp.zeros((x.shape[1], self.features), products.dtype)
        return jax.lax.scan(step, (start, start), products)[1]


class GRU(nn.Module):
    """A layer of gated recurrent units, from `f[T, B, inputs]` to `f[T, B, features]`, with time first.

    With `[a_r, a_z, a_n] = x_t U + b` and `[b_r, b_z, b_n] = h W`: `r = sigmoid(a_r + b_r)`, `z = sigmoid(a_z + b_z)`,
    `n = tanh(a_n + r (b_n + bias_n))`, `h <- (1 - z) n + z h`, starting at zero; `3 features (inputs + features) + 4
    features` parameters. The products `x_t U` of all steps are one matrix product before the scan.

    Args:
      features: size of h.

    References:
      Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014, in the form of cuDNN and
      flax, where r acts after the product with W and z = 1 keeps h.

    >>> import jax, jax.numpy as jnp
    >>> variables = jax.eval_shape(GRU(256).init, jax.random.key(0), jnp.zeros((80, 1, 8)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    203776
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        gates, zeros = 3 * self.features, nn.initializers.zeros_init()
        inward = self.param("input", nn.initializers.lecun_normal(), (x.shape[-1], gates), x.dtype)
        across = self.param("hidden", nn.initializers.orthogonal(), (self.features, gates), x.dtype)
        bias = self.param("bias", zeros, (gates,), x.dtype)
        inner = self.param("bias_n", zeros, (self.features,), x.dtype).reshape(1, -1)
        products = x @ inward + bias.reshape(1, 1, -1)

        def step(h, product):
            a_r, a_z, a_n = jnp.split(product, 3, axis=-1)
            b_r, b_z, b_n = jnp.split(h @ across, 3, axis=-1)
            r, z = nn.sigmoid(a_r + b_r), nn.sigmoid(a_z + b_z)
            n = jnp.tanh(a_n + r * (b_n + inner))
            h = n + z * (h - n)
            return h, h

        start = jnp.zeros((x.shape[1], self.features), products.dtype)
        return jax.lax.scan(step, start, products)[1]
