"""The convolutional network of the first paper on federated learning."""

from __future__ import annotations

import jax
from flax import linen as nn

from jdl import checks
from jdl.models.layers import Conv, Dense, max_pool

__all__ = ["McMahanCNN", "require_images"]


class McMahanCNN(nn.Module):
    """Two 5x5 convolutions, each halved by max pooling, and a hidden dense layer: `f[B, H, W, C]` to `f[B, classes]`.

    Convolution, relu, 2x2 max pooling, twice; dense, relu; dense. Convolutions keep height and width. On MNIST there
    are 832 + 51,264 + 1,606,144 + 5,130 = 1,663,370 parameters, the paper's number. The paper mentions relu only for
    the dense layer; all known replications also have it after the convolutions. LEAF's FEMNIST model and
    DecentralizePy's are this network with 62 classes. `McMahanCNN(channels=(16, 32), hidden=128)` is the small network
    of our benchmark.

    Args:
      classes: number of logits.
      channels: number of channels of each convolution.
      hidden: width of the dense layer.

    Raises:
      InputError: if x is not a batch of images, or if the images are too small for the poolings.

    References:
      McMahan, Moore, Ramage, Hampson and Aguera y Arcas, "Communication-Efficient Learning of Deep Networks from
      Decentralized Data", AISTATS 2017, section 3.

    >>> import jax, jax.numpy as jnp
    >>> variables = jax.eval_shape(McMahanCNN().init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    1663370
    """

    classes: int = 10
    channels: tuple[int, ...] = (32, 64)
    hidden: int = 512

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        require_images(x, 2 ** len(self.channels), type(self).__name__)
        for channels in self.channels:
            x = nn.relu(max_pool(Conv(channels, (5, 5))(x)))  # equal to relu first, at a quarter of the work
        x = nn.relu(Dense(self.hidden)(x.reshape(x.shape[0], -1)))
        return Dense(self.classes)(x)


def require_images(x: jax.Array, least: int, model: str) -> None:
    """Check that `x` is f[B, H, W, C] with height and width of at least `least`.

    Raises:
      InputError: if it is not.

    >>> import jax.numpy as jnp
    >>> require_images(jnp.zeros((5, 784)), 12, "LeNet")
    Traceback (most recent call last):
    jdl.checks.InputError: got shape [5, 784], LeNet needs images [B, H, W, C]; try x.reshape(B, H, W, C)
    """
    checks.require(
        x.ndim == 4, f"got shape {list(x.shape)}, {model} needs images [B, H, W, C]; try x.reshape(B, H, W, C)"
    )
    height, width = x.shape[1:3]
    checks.require(
        min(height, width) >= least,
        f"got images of {height}x{width}, {model} needs at least {least}x{least}; try larger images or an MLP",
    )
