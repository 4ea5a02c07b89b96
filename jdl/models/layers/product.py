"""One bilinear product behind every convolution, its derivatives and its `vmap`, in the fast order of axes."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jdl.engine import xla

__all__ = ["Window", "convolution"]

Pair = tuple[int, int]


class Window(NamedTuple):
    """`out[o] = sum_i x[(o stride + i dilation - low) / base] kernel[i]`.

    The sum is over the places where the index is an integer. In rows and columns, the fields are the strides of the
    output, the dilation of the kernel, the base dilation of the input, and the zeros to add below and above (negative:
    rows and columns to leave out).
    """

    strides: Pair
    dilation: Pair
    base: Pair
    pads: tuple[Pair, Pair]


def convolution(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """The convolution of f[B, H, W, C] with f[kh, kw, C, F], which gives f[B, H', W', F].

    It is a primitive, so that derivatives of all orders, forward and reverse, are convolutions of this form again.
    """
    return product.bind(x, kernel, window=window)


def lengths(x: tuple[int, ...], kernel: tuple[int, ...], window: Window) -> Pair:
    """The numbers of rows and columns of the output."""
    out = []
    for axis in (0, 1):
        inside = (x[1 + axis] - 1) * window.base[axis] + 1 + sum(window.pads[axis])
        reach = (kernel[axis] - 1) * window.dilation[axis] + 1
        out.append(max(0, (inside - reach) // window.strides[axis] + 1))
    return tuple(out)


# XLA's convolution on a CPU is as fast as its matrix product, if the images are [B, H, W, C] and the kernel is
# [kh, kw, C, F]. jax's own derivative uses the same product in other orders of axes, which is 30 times slower in a
# loop. Measured on two cores, float32, x f[32, 16, 16, 32], kernel f[5, 5, 32, 32], gradient of the kernel: 97 and 1.1
# GFLOP a second; a matrix product by one core makes 110.
ORDER = ("NHWC", "HWIO", "NHWC")

# Images of few channels are read column by column; windows of two columns of outputs make the inner dimensions
# six times as long. Measured on one core, 5x5: 28x28x1 to 16 features 2.49 -> 0.33 ms, 32x32x3 to 32: 6.93 -> 1.93 ms.
FEW_CHANNELS = 8


def direct(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """The product as one operation of XLA."""
    strides, dilation, base, padding = window
    return lax.conv_general_dilated(
        x, kernel, strides, padding, lhs_dilation=base, rhs_dilation=dilation, dimension_numbers=ORDER
    )


def impl(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """The product in the form that is fastest for its shapes."""
    kw, channels = kernel.shape[1:3]
    plain = window.dilation == window.base == (1, 1)
    width = lengths(x.shape, kernel.shape, window)[1]
    if plain and window.strides == (1, 1) and channels < FEW_CHANNELS and kw > 1 and width > 1:
        return paired(x, kernel, window.pads, width)
    return direct(x, kernel, window)


def paired(x: jax.Array, kernel: jax.Array, pads: tuple[Pair, Pair], width: int) -> jax.Array:
    """Two columns of outputs at a time: the input rows that they read are one vector, each feature is there twice."""
    kh, kw, channels, features = kernel.shape
    pairs, seen = (width + 1) // 2, kw + 1
    (low, high), extra = pads[1], 2 * ((width + 1) // 2) - width
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (0, 0, 0), (low, high + extra, 0), (0, 0, 0)))
    columns = [lax.slice_in_dim(x, j, j + 2 * pairs - 1, 2, axis=2) for j in range(seen)]
    zeros = jnp.zeros((kh, 1, channels, features), kernel.dtype)
    twice = jnp.concatenate(
        [jnp.concatenate([kernel, zeros], axis=1), jnp.concatenate([zeros, kernel], axis=1)], axis=3
    ).reshape(kh, 1, seen * channels, 2 * features)
    out = direct(jnp.concatenate(columns, axis=3), twice, Window((1, 1), (1, 1), (1, 1), (pads[0], (0, 0))))
    return out.reshape(out.shape[0], out.shape[1], 2 * pairs, features)[:, :, :width]


def abstract(x, kernel, *, window):
    shape = (x.shape[0], *lengths(x.shape, kernel.shape, window), kernel.shape[3])
    return jax.core.ShapedArray(shape, x.dtype)


def input_gradient(g, x, kernel, *, window):
    """The gradient with respect to the input: the same product, flipped kernel, strides and base dilation exchanged."""
    x, out = x.aval.shape, g.shape
    pads = []
    for axis in (0, 1):
        reach = (kernel.shape[axis] - 1) * window.dilation[axis]
        low = reach - window.pads[axis][0]
        whole = (x[1 + axis] - 1) * window.base[axis] + 1
        pads.append((low, whole + reach - low - (out[1 + axis] - 1) * window.strides[axis] - 1))
    flipped = jnp.transpose(lax.rev(kernel, (0, 1)), (0, 1, 3, 2))
    return convolution(g, flipped, Window(window.base, window.dilation, window.strides, tuple(pads)))


def kernel_gradient(g, x, kernel, *, window):
    """The gradient with respect to the kernel: the same product, channels and batch, strides and dilation exchanged."""
    kernel, out = kernel.aval.shape, g.shape
    pads = []
    for axis in (0, 1):
        low = window.pads[axis][0]
        whole = (x.shape[1 + axis] - 1) * window.base[axis] + 1
        reach = (out[1 + axis] - 1) * window.strides[axis] + 1
        pads.append((low, (kernel[axis] - 1) * window.dilation[axis] + reach - whole - low))
    swapped = Window(window.dilation, window.strides, window.base, tuple(pads))
    g = xla.stored(g)  # or XLA would compute it again in the other order of axes
    out = convolution(jnp.transpose(x, (3, 1, 2, 0)), jnp.transpose(g, (1, 2, 0, 3)), swapped)
    return jnp.transpose(out, (1, 2, 0, 3))


def batched(args, axes, *, window):
    """The rule of `vmap`: many images with one kernel become one batch, many kernels on the same images one kernel.

    In the remaining case a CPU computes node by node: as one operation, a convolution in groups, it is 20 times slower
    there. Other devices use that one operation, since a loop would leave most of a GPU idle; this has not been
    measured.
    """
    (x, kernel), (x_axis, kernel_axis) = args, axes
    if kernel_axis is None:
        x = jnp.moveaxis(x, x_axis, 0)
        out = convolution(x.reshape(-1, *x.shape[2:]), kernel, window)
        return out.reshape(*x.shape[:2], *out.shape[1:]), 0
    if x_axis is None:
        kernel = jnp.moveaxis(kernel, kernel_axis, 3)
        out = convolution(x, kernel.reshape(*kernel.shape[:3], -1), window)
        return out.reshape(*out.shape[:3], *kernel.shape[3:]), 3
    x, kernel = jnp.moveaxis(x, x_axis, 0), jnp.moveaxis(kernel, kernel_axis, 0)
    if x.shape[0] == 1:
        return convolution(x[0], kernel[0], window)[None], 0
    if jax.default_backend() != "cpu":
        return jax.vmap(lambda x, kernel: direct(x, kernel, window))(x, kernel), 0
    return lax.map(lambda pair: convolution(*pair, window), (x, kernel)), 0


product = Primitive("convolution")
product.def_abstract_eval(abstract)
product.def_impl(jax.jit(impl, static_argnames="window"))
ad.defbilinear(product, input_gradient, kernel_gradient)
batching.primitive_batchers[product] = batched
mlir.register_lowering(product, mlir.lower_fun(direct, multiple_results=False))
mlir.register_lowering(product, mlir.lower_fun(impl, multiple_results=False), platform="cpu")
