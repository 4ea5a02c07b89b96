"""Modules as users write them, which are not jdl's, and what tests of them share."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import nnx

X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)


class Normalised(nn.Module):
    """A model as users write them: batch normalisation, by running averages unless it trains."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(5, name="first")(x)
        x = nn.BatchNorm(use_running_average=not train, name="centre")(x)
        return nn.Dense(3, name="last")(nn.relu(x))


class ByTheCall(nn.Module):
    """The same, with the mode handed over in the call."""

    train: bool = False

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(5, name="first")(x)
        x = nn.BatchNorm(name="centre", axis_name="devices")(x, use_running_average=not self.train)
        return nn.Dense(3, name="last")(nn.relu(x))


class NormalisedNNX(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(4, 5, rngs=rngs), nnx.Linear(5, 3, rngs=rngs)])
        self.centre = nnx.BatchNorm(5, use_running_average=True, axis_name="devices", rngs=rngs)

    def __call__(self, x):
        return self.layers[1](nnx.relu(self.centre(self.layers[0](x))))


class Plain(nnx.Module):
    """Twelve layers, for a list's numbers sort otherwise than words, and a constant."""

    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(4, 4, rngs=rngs) for _ in range(12)])
        self.shift = nnx.Variable(jnp.arange(4.0))

    def __call__(self, x):
        for layer in self.layers:
            x = nnx.tanh(layer(x))
        return x + self.shift[None]


def drawn(module, *lead):
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(module.init, jax.random.key(0), X[:1])
    return jax.tree.map(lambda leaf: rng.standard_normal(lead + leaf.shape).astype(leaf.dtype), shapes)
