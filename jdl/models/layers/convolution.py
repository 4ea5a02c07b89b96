"""A convolution that is as fast with one kernel for each node as with a single kernel."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from jdl.models.layers.product import Window, convolution
from jdl.models.layers.window import Padding, pads

__all__ = ["Conv"]


class Conv(nn.Module):
    """Convolution of f[B, H, W, C] with a kernel f[kh, kw, C, features], plus a bias f[features].

    Parameters have the names and the initialisation of `nn.Conv`.

    Args:
      features: number of channels of the result.
      kernel_size: size (kh, kw) of the kernel.
      strides: distance in rows and columns between neighbouring places of the result.
      padding: "SAME", "VALID" or ((above, below), (left, right)).
      dilation: distance in rows and columns between neighbouring entries of the kernel.
      use_bias: whether there is a bias.

    >>> import jax, jax.numpy as jnp
    >>> out, params = Conv(features=4).init_with_output(jax.random.key(0), jnp.ones((2, 5, 5, 3)))
    >>> out.shape, params["params"]["kernel"].shape
    ((2, 5, 5, 4), (3, 3, 3, 4))
    """

    features: int
    kernel_size: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"
    dilation: tuple[int, int] = (1, 1)
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, x.dtype)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), x.dtype) if self.use_bias else None
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias)
        out = convolve(x, kernel, self.strides, self.padding, self.dilation)
        return out if bias is None else out + bias[None, None, None, :]


def convolve(x, kernel, strides=(1, 1), padding="SAME", dilation=(1, 1)):
    """The convolution of `x` f[B, H, W, C] with `kernel` f[kh, kw, C, F]."""
    if kernel.shape[:2] == (1, 1):  # a matrix product
        border = pads(x.shape[1:3], (1, 1), strides, padding)
        if any(map(any, border)):
            x = jnp.pad(x, ((0, 0), *border, (0, 0)))
        return x[:, :: strides[0], :: strides[1]] @ kernel[0, 0]
    border = pads(x.shape[1:3], kernel.shape[:2], strides, padding, dilation)
    return convolution(x, kernel, Window(tuple(strides), tuple(dilation), (1, 1), border))
