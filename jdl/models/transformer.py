"""A small decoder-only transformer: a language model over characters or other tokens."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from jdl import checks

__all__ = ["Transformer"]

# GPT-2's deviation for embeddings and positions. With a tied head, the logits of a unit-variance row have the
# deviation 0.02 sqrt(width): 0.23 at width 128, and a loss at the start of ln(vocab) + 0.23^2 / 2.
EMBEDDING_DEVIATION = 0.02


class Transformer(nn.Module):
    """A language model: at each place the logits of the next token, from this and the earlier tokens.

    It maps `i32[B, T]` to `f[B, T, vocab]`, with learned positions. It applies `layers` times `x += attention(norm(x))`
    and `x += mlp(norm(x))` (layer normalisation before each part, causal attention, GELU), then a last normalisation.
    The logits are products with the embeddings of the tokens (a tied head, without parameters of its own). There is no
    dropout.

    It has `(vocab + max_length + 2) width + layers ((4 + 2 multiple) width^2 + (9 + multiple) width)` parameters, in
    the default floating type. Normalisations and softmax are computed in at least float32, whatever the type of the
    rest. The names of the dense layers, for adapters (`jdl.models.LoRA`) and `jdl.exchange.PerModule`, are "query",
    "key", "value" and "out" of "attention", "up" and "down" of "mlp", in "block_0", "block_1", ...

    Train it with Adam: `optimizer="adam", lr=0.003`. Measured with D-PSGD of 16 nodes on tiny Shakespeare, 4-regular
    graph, four windows of 80 characters a batch, 200 rounds, test loss of the nodes: Adam 0.003 2.39, 0.001 2.43; SGD
    0.1 2.50, 1 diverges.

    Args:
      vocab: number of tokens; one outside 0 to vocab - 1 gives NaN.
      width: size of an embedding.
      layers: number of blocks.
      heads: number of attention heads in each block, a divisor of width.
      multiple: ratio of the hidden width of an MLP to `width`.
      max_length: largest T.

    Raises:
      InputError: if x is longer than max_length or does not hold tokens, or if heads does not divide width.

    References:
      Vaswani et al., "Attention Is All You Need", NeurIPS 2017; Radford et al., "Language Models are Unsupervised
      Multitask Learners", 2019 (normalisation first, tied head, GELU).

    >>> import jax, jax.numpy as jnp
    >>> model = Transformer(vocab=65, width=128, layers=2, max_length=80)
    >>> variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 80), jnp.int32))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables)), (65 + 80 + 2) * 128 + 2 * (12 * 128**2 + 13 * 128)
    (415360, 415360)
    """

    vocab: int
    width: int = 128
    layers: int = 2
    heads: int = 4
    multiple: int = 4
    max_length: int = 128

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        self._check(x)
        dtype, normal = jnp.result_type(float), nn.initializers.normal(EMBEDDING_DEVIATION)
        words = self.param("words", normal, (self.vocab, self.width), dtype)
        positions = self.param("positions", normal, (self.max_length, self.width), dtype)
        x = x.astype(jnp.uint32)  # a negative token becomes a large number, hence NaN, instead of counting from the end
        h = jnp.take(words, x, axis=0, mode="fill") + positions[None, : x.shape[1]]
        for layer in range(self.layers):
            h = Block(self.heads, self.multiple, name=f"block_{layer}")(h)
        return jnp.einsum("btd,vd->btv", LayerNorm(name="norm")(h), words)

    def _check(self, x: jax.Array) -> None:
        tokens = x.ndim == 2 and jnp.issubdtype(x.dtype, jnp.integer)
        checks.require(tokens, f"got x of type {x.dtype} and shape {x.shape}, a transformer needs tokens i32[B, T]")
        for name in ("vocab", "width", "heads", "max_length"):
            checks.whole(name, getattr(self, name), 1)
        width, heads, long = self.width, self.heads, self.max_length
        fitting = max(width // heads, 1) * heads
        got = f"got width={width} and heads={heads}, need a width that heads divides; try width={fitting}"
        checks.require(width % heads == 0, got)
        got = f"got {x.shape[1]} tokens in a row, max_length={long} allows {long}; cut the rows or raise max_length"
        checks.require(x.shape[1] <= long, got)


class Block(nn.Module):
    """One layer: adds to f[B, T, width] the output of attention, then that of an MLP at each place."""

    heads: int
    multiple: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + Attention(self.heads, name="attention")(LayerNorm(name="norm_attention")(x))
        return x + Feedforward(self.multiple, name="mlp")(LayerNorm(name="norm_mlp")(x))


class Attention(nn.Module):
    """Each place averages values of itself and of earlier places by `softmax(query . key / sqrt(width / heads))`."""

    heads: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width, length = x.shape[-1], x.shape[1]
        split = (*x.shape[:2], self.heads, width // self.heads)
        query, key, value = (dense(width, name, x)(x).reshape(split) for name in ("query", "key", "value"))
        scores = jnp.einsum("bthd,bshd->bhts", query, key).astype(wide(x)) * (width // self.heads) ** -0.5
        earlier = jnp.tril(jnp.ones((1, 1, length, length), bool))  # a place sees itself, so that no row is empty
        # softmax first subtracts the largest score; a masked score has the weight exp(-inf) = 0 exactly.
        shares = nn.softmax(jnp.where(earlier, scores, -jnp.inf)).astype(x.dtype)
        return dense(width, "out", x)(jnp.einsum("bhts,bshd->bthd", shares, value).reshape(x.shape))


class Feedforward(nn.Module):
    """`gelu(x W + b) V + c` at each place."""

    multiple: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        return dense(width, "down", x)(nn.gelu(dense(self.multiple * width, "up", x)(x)))


class LayerNorm(nn.Module):
    """Normalisation to mean 0 and variance 1 over the last axis, in at least float32, then a scale and a bias."""

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones_init(), x.shape[-1:], x.dtype)
        bias = self.param("bias", nn.initializers.zeros_init(), x.shape[-1:], x.dtype)
        full = x.astype(wide(x))
        centred = full - jnp.mean(full, axis=-1, keepdims=True)
        unit = centred * jax.lax.rsqrt(jnp.mean(jnp.square(centred), axis=-1, keepdims=True) + self.epsilon)
        return unit.astype(x.dtype) * scale[None, None] + bias[None, None]


def dense(features: int, name: str, x: jax.Array) -> nn.Dense:
    """flax's own layer, since at these widths a matrix product with the weights is fastest."""
    return nn.Dense(features, param_dtype=x.dtype, name=name)


def wide(x: jax.Array) -> jnp.dtype:
    """The type in which numbers of the type of x are summed."""
    return jnp.float32 if jnp.finfo(x.dtype).bits < 32 else x.dtype
