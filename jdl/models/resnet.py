"""Residual networks for small images, with group normalisation where the originals have batch normalisation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from jdl import checks
from jdl.models.cnn import require_images
from jdl.models.layers import Conv, GroupNorm, global_avg_pool, head

__all__ = ["ResNet8", "ResNet18", "ResNet20"]

SHORTCUTS = ("pad", "project")


class ResNet20(nn.Module):
    """ResNet-20 for CIFAR: 19 convolutions and a dense layer, from `f[B, H, W, C]` to `f[B, classes]`.

    It has a 3x3 stem of 16 channels, three stages of three blocks with 16, 32 and 64 channels, the mean over places,
    and a dense layer. With the paper's shortcuts, which have no parameters, there are 269,722 parameters on 32x32x3
    (the paper: 0.27M).

    Args:
      classes: number of logits.
      channels: number of channels of each stage; each stage after the first halves height and width.
      groups: number of groups of each normalisation, a divisor of every number of channels. Two are usual in federated
        learning.
      shortcut: shortcut where a stage changes the shape. "pad": every second row and column, and channels of zeros
        (option A of the paper). "project": a 1x1 convolution and its normalisation (option B; 272,474 parameters).

    Raises:
      InputError: if x is not a batch of images, the shortcut is unknown, or `groups` does not divide the channels.

    References:
      He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2; Wu and He, "Group
      Normalization", ECCV 2018; Hsieh, Phanishayee, Mutlu and Gibbons, "The Non-IID Data Quagmire of Decentralized
      Machine Learning", ICML 2020: why batch statistics fail on data that differ.

    >>> import jax, jax.numpy as jnp
    >>> variables = jax.eval_shape(ResNet20().init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    269722
    """

    classes: int = 10
    channels: tuple[int, ...] = (16, 32, 64)
    groups: int = 2
    shortcut: str = "pad"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return head(self.classes)(features(x, self, blocks=3))


class ResNet8(nn.Module):
    """ResNet-8 for CIFAR: `ResNet20` with one block a stage instead of three; 75,290 parameters on 32x32x3.

    With `shortcut="project"` it has 78,042 parameters, like that of DecentralizePy and FedKD.

    Args:
      classes: number of logits.
      channels: number of channels of each stage.
      groups: number of groups of each normalisation.
      shortcut: "pad" or "project", see `ResNet20`.

    Raises:
      InputError: under the conditions of `ResNet20`.

    References:
      He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2 with n = 1.

    >>> import jax, jax.numpy as jnp
    >>> variables = jax.eval_shape(ResNet8().init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    75290
    """

    classes: int = 10
    channels: tuple[int, ...] = (16, 32, 64)
    groups: int = 2
    shortcut: str = "pad"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return head(self.classes)(features(x, self, blocks=1))


class ResNet18(nn.Module):
    """ResNet-18 for small images, from `f[B, H, W, C]` to `f[B, classes]`; 11,173,962 parameters on 32x32x3.

    It has four stages of two blocks with 64, 128, 256 and 512 channels and projections. The stem is one 3x3
    convolution. ImageNet's stem of 7x7 with stride 2 and pooling would reduce 32x32 pixels to a single place in the
    last stage.

    Args:
      classes: number of logits.
      channels: number of channels of each stage.
      groups: number of groups of each normalisation.
      shortcut: "project" or "pad", see `ResNet20`.

    Raises:
      InputError: under the conditions of `ResNet20`.

    References:
      He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1.

    >>> import jax, jax.numpy as jnp
    >>> variables = jax.eval_shape(ResNet18().init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    11173962
    """

    classes: int = 10
    channels: tuple[int, ...] = (64, 128, 256, 512)
    groups: int = 2
    shortcut: str = "project"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return head(self.classes)(features(x, self, blocks=2))


class Block(nn.Module):
    """`relu(shortcut(x) + norm(conv(relu(norm(conv(x))))))`, with the stride in the first convolution and no biases.

    The last scale starts at zero, so that a block starts as its shortcut and the first loss is near ln(classes) at any
    depth (Goyal et al. 2017, "Accurate, Large Minibatch SGD", arXiv:1706.02677, section 5.1).
    """

    channels: int
    stride: int
    groups: int
    shortcut: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        stride = (self.stride, self.stride)
        out = nn.relu(GroupNorm(self.groups)(convolution(self.channels, stride)(x)))
        out = GroupNorm(self.groups, scale_init=nn.initializers.zeros_init())(convolution(self.channels)(out))
        if x.shape == out.shape:
            return nn.relu(x + out)
        if self.shortcut == "project":
            project = Conv(self.channels, (1, 1), stride, padding="VALID", use_bias=False)
            return nn.relu(GroupNorm(self.groups)(project(x)) + out)
        x = x[:, :: self.stride, :: self.stride]
        new = self.channels - x.shape[-1]
        sentence = f"got {self.channels} channels after {x.shape[-1]}, need at least as many; try shortcut='project'"
        checks.require(new >= 0, sentence)
        return nn.relu(jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, new))) + out)


def convolution(channels: int, strides: tuple[int, int] = (1, 1)) -> Conv:
    """A 3x3 convolution without bias, padded by one row of zeros on each side also with strides, unlike "SAME"."""
    return Conv(channels, (3, 3), strides, padding=((1, 1), (1, 1)), use_bias=False)


def features(x: jax.Array, model: ResNet8 | ResNet18 | ResNet20, blocks: int) -> jax.Array:
    """Stem, stages of `blocks` blocks and the mean over places: from `f[B, H, W, C]` to `f[B, channels[-1]]`.

    This is called inside the model's own `__call__`, so that the layers belong to the model.
    """
    require_images(x, 1, type(model).__name__)
    shortcut = checks.known("shortcut", model.shortcut, SHORTCUTS)
    x = nn.relu(GroupNorm(model.groups)(convolution(model.channels[0])(x)))
    for stage, channels in enumerate(model.channels):
        for block in range(blocks):
            x = Block(channels, 2 if stage > 0 and block == 0 else 1, model.groups, shortcut)(x)
    return global_avg_pool(x)
