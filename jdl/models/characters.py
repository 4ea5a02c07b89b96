"""Models of text that read it character by character, with LSTM or GRU layers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from jdl import checks
from jdl.models.layers import Dense
from jdl.models.recurrent import GRU, LSTM

__all__ = ["CharGRU", "CharLSTM"]


class CharLSTM(nn.Module):
    """The language model of Shakespeare's plays, which predicts the next character at each place.

    From characters `i32[B, T]` to logits `f[B, T, vocab]`: embeddings of size 8, two LSTM layers of size 256, one dense
    layer. With one bias for each gate these are `796,672 + 265 vocab` parameters: 817,872 for LEAF's 80 characters
    (LEAF predicts only after the last one), 820,522 for 90. McMahan et al. count 866,578 without stating the
    vocabulary. `796,672 + 2 * 3 * 256 + 265 * 258` is exactly that number, for an LSTM with peepholes over 256 bytes
    and two marks; this is our interpretation, not their statement.

    Args:
      vocab: number of characters; one outside 0 to vocab - 1 gives NaN.
      width: size of an embedding.
      hidden: size of h in each layer.
      layers: number of layers.

    Raises:
      InputError: if x is not an array of integers `[B, T]`.

    References:
      McMahan, Moore, Ramage, Hampson and Aguera y Arcas, "Communication-Efficient Learning of Deep Networks from
      Decentralized Data", AISTATS 2017, section 3; Caldas et al., "LEAF: A Benchmark for Federated Settings", 2018.

    >>> import jax, jax.numpy as jnp
    >>> variables = jax.eval_shape(CharLSTM(vocab=80).init, jax.random.key(0), jnp.zeros((1, 80), jnp.int32))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    817872
    """

    vocab: int = 80
    width: int = 8
    hidden: int = 256
    layers: int = 2

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return logits(self, x, LSTM)


class CharGRU(nn.Module):
    """`CharLSTM` with GRU layers, from characters `i32[B, T]` to logits of the next ones `f[B, T, vocab]`.

    It has `598,016 + 265 vocab` parameters, 619,216 for 80 characters: three quarters of the LSTM's.

    Args:
      vocab: number of characters; one outside 0 to vocab - 1 gives NaN.
      width: size of an embedding.
      hidden: size of h in each layer.
      layers: number of layers.

    Raises:
      InputError: if x is not an array of integers `[B, T]`.

    References:
      Chung, Gulcehre, Cho and Bengio, "Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling",
      2014, which compares the two.

    >>> import jax, jax.numpy as jnp
    >>> variables = jax.eval_shape(CharGRU(vocab=80).init, jax.random.key(0), jnp.zeros((1, 80), jnp.int32))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    619216
    """

    vocab: int = 80
    width: int = 8
    hidden: int = 256
    layers: int = 2

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return logits(self, x, GRU)


def logits(model: CharLSTM | CharGRU, x: jax.Array, layer: type[LSTM | GRU]) -> jax.Array:
    """The logits of the next characters, `f[B, T, vocab]`, from `i32[B, T]`; the layers read time first.

    This is called inside the model's own `__call__`, so that parameters and layers belong to the model.
    """
    checks.require(
        x.ndim == 2 and jnp.issubdtype(x.dtype, jnp.integer),
        f"got text as {x.dtype}{list(x.shape)}, need whole numbers [B, T]; try x[None] for one text of i32[T]",
    )
    shape, dtype = (model.vocab, model.width), jnp.result_type(float)
    table = model.param("embedding", nn.initializers.normal(1.0), shape, dtype)
    h = jnp.take(table, x.T.astype(jnp.uint32), axis=0, mode="fill")  # a negative one becomes a large number, hence NaN
    for _ in range(model.layers):
        h = layer(model.hidden)(h)
    return Dense(model.vocab)(jnp.swapaxes(h, 0, 1))
