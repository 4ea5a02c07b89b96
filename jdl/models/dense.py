"""Dense classifiers. Parameters take the dtype of the features, so one module serves float32 and float64."""

from __future__ import annotations

import jax
from flax import linen as nn

from jdl.models import layers

__all__ = ["MLP", "Linear"]


class Linear(nn.Module):
    """One dense layer to the logits: softmax regression.

    `logits = x W + b`, from `f[..., features]` to `f[..., classes]`; `(features + 1) classes` parameters.

    Args:
      classes: number of logits.

    >>> import jax, jax.numpy as jnp
    >>> params = Linear(classes=10).init(jax.random.key(0), jnp.zeros((1, 64)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(params))
    650
    """

    classes: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return layers.Dense(self.classes)(x)


class MLP(nn.Module):
    """Dense layers with relu between them.

    It maps `f[..., features]` to `f[..., classes]` by layers `features - hidden[0] - ... - classes`, each with
    `(inputs + 1) outputs` parameters.

    Args:
      hidden: widths of the hidden layers, a tuple.
      classes: number of logits.

    >>> import jax, jax.numpy as jnp
    >>> params = MLP(hidden=(32,), classes=10).init(jax.random.key(0), jnp.zeros((1, 64)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(params))
    2410
    """

    hidden: tuple[int, ...] = (32,)
    classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.hidden:
            x = nn.relu(layers.Dense(width)(x))
        return layers.Dense(self.classes)(x)
