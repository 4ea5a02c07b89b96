"""LeNet for small grey images, and its variant with group normalisation for decentralized learning."""

from __future__ import annotations

import jax
from flax import linen as nn

from jdl import checks
from jdl.models.cnn import require_images
from jdl.models.layers import Conv, Dense, GroupNorm, head, max_pool

__all__ = ["GNLeNet", "LeNet"]


class LeNet(nn.Module):
    """LeNet-5 in its modern form: from images `f[B, H, W, C]` to logits `f[B, classes]`.

    5x5 convolution to 6 channels, relu, 2x2 max pooling; the same to 16 channels without padding; dense layers of 120
    and 84 with relu; dense. The first convolution keeps the size, like the original, which padded 28x28 to 32x32:
    156 + 2,416 + 48,120 + 10,164 + 850 = 61,706 parameters on MNIST. The original of 1998 has about 60,000, with
    trained average pooling, tanh, a sparse second convolution and distances instead of logits. `padding="VALID"` on
    32x32x3 is the network of PyTorch's tutorial and NIID-Bench, with 62,006 parameters.

    Args:
      classes: number of logits.
      channels: number of channels of the two convolutions.
      hidden: widths of the dense layers.
      padding: padding of the first convolution, "SAME" or "VALID".

    Raises:
      InputError: if x is not a batch of images of at least 12x12 (16x16 for "VALID").

    References:
      LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998, section II.B.

    >>> import jax, jax.numpy as jnp
    >>> variables = jax.eval_shape(LeNet().init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    61706
    """

    classes: int = 10
    channels: tuple[int, int] = (6, 16)
    hidden: tuple[int, ...] = (120, 84)
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        padding = checks.known("padding", self.padding, ("SAME", "VALID"))
        # The second convolution removes 4 rows and the second pooling needs 2: so 6 rows after the first pooling.
        require_images(x, 12 if padding == "SAME" else 16, type(self).__name__)
        x = nn.relu(max_pool(Conv(self.channels[0], (5, 5), padding=padding)(x)))
        x = nn.relu(max_pool(Conv(self.channels[1], (5, 5), padding="VALID")(x)))
        x = x.reshape(x.shape[0], -1)
        for width in self.hidden:
            x = nn.relu(Dense(width)(x))
        return Dense(self.classes)(x)


class GNLeNet(nn.Module):
    """GN-LeNet, the usual model of decentralized learning on CIFAR-10: `f[B, H, W, C]` to `f[B, classes]`.

    Three times: 5x5 convolution that keeps the size, group normalisation in two groups, relu, 2x2 max pooling; then one
    dense layer. The channels are 32, 32, 64. On 32x32x3 there are
    (2,432 + 64) + (25,632 + 64) + (51,264 + 128) + 10,250 = 89,834 parameters. Each layer equals DecentralizePy's;
    torch flattens channels first, so the rows of the dense layer have another order there.

    Args:
      classes: number of logits.
      channels: number of channels of each convolution.
      groups: number of groups of each normalisation, a divisor of every number of channels.

    Raises:
      InputError: if x is not a batch of images of at least 8x8, or if `groups` does not divide the channels.

    References:
      Hsieh, Phanishayee, Mutlu and Gibbons, "The Non-IID Data Quagmire of Decentralized Machine Learning", ICML 2020;
      Dhasade, Kermarrec, Pires, Sharma and Vujasinovic, "Decentralized Learning Made Easy with DecentralizePy",
      EuroMLSys 2023 (class LeNet of its CIFAR10.py).

    >>> import jax, jax.numpy as jnp
    >>> variables = jax.eval_shape(GNLeNet().init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    89834
    """

    classes: int = 10
    channels: tuple[int, ...] = (32, 32, 64)
    groups: int = 2

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        require_images(x, 2 ** len(self.channels), type(self).__name__)
        for channels in self.channels:
            x = nn.relu(max_pool(GroupNorm(self.groups)(Conv(channels, (5, 5))(x))))
        return head(self.classes)(x.reshape(x.shape[0], -1))
