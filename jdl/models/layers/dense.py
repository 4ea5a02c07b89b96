"""Dense layers: matrix products, except where an explicit sum gives the gradient of a small batch faster."""

from __future__ import annotations

import functools
import operator

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

__all__ = ["Dense", "head"]


class Dense(nn.Module):
    """`x W + b` from f[..., inputs] to f[..., features], with the parameters of `nn.Dense`.

    Args:
      features: width of the result.
      use_bias: whether there is a bias b.
      kernel_init: initialiser of W, by default normal with variance 1 / inputs.

    >>> import jax, jax.numpy as jnp
    >>> out, params = Dense(features=3).init_with_output(jax.random.key(0), jnp.ones((2, 4)))
    >>> out.shape, params["params"]["kernel"].shape
    ((2, 3), (4, 3))
    """

    features: int
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), x.dtype)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), x.dtype) if self.use_bias else None
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias)
        out = matrix_product(x.reshape(-1, x.shape[-1]), kernel).reshape(*x.shape[:-1], self.features)
        return out if bias is None else out + bias.reshape((1,) * (out.ndim - 1) + (-1,))


def head(classes: int) -> Dense:
    """The last layer of a network, with a third of the usual initial variance.

    This is PyTorch's variance. With it the first loss of normalised features is nearer to ln(classes).

    Args:
      classes: number of logits.
    """
    return Dense(classes, kernel_init=nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"))


# The gradient of a kernel, sum_b x_b g_b^T, written as an explicit sum fuses with the step of SGD into one pass;
# as a matrix product it is a separate operation. Measured on one core, a training step of a node, vmapped:
# 64-32-10, batch 16, n = 1,024: 7.1 -> 4.1 us; 784-200-200-10, batch 10, n = 100: 552 -> 400 us. Written as a
# reduction instead, XLA takes 110 us for the first; with the forward product as a sum too it takes 8.5 us.
FEW_ROWS = 16


def matrix_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`x @ kernel` of f[B, K] and f[K, N]."""
    return (product.bind if x.shape[0] <= FEW_ROWS else jnp.matmul)(x, kernel)


def written_out(x: jax.Array, g: jax.Array) -> jax.Array:
    """`x^T g` of f[..., B, K] and f[..., B, N], as an explicit sum of B outer products."""
    wide = x.dtype if x.dtype.itemsize >= 4 else jnp.float32
    terms = (
        x[..., b, :, None].astype(wide) * g[..., b, None, :].astype(wide)  # each term fuses
        for b in range(x.shape[-2])
    )
    return functools.reduce(operator.add, terms).astype(x.dtype)


def _abstract_product(x, kernel):
    return jax.core.ShapedArray((*x.shape[:-1], kernel.shape[-1]), x.dtype)


def _abstract_outer(x, g):
    return jax.core.ShapedArray((*x.shape[:-2], x.shape[-1], g.shape[-1]), x.dtype)


def _turned(x: jax.Array) -> jax.Array:
    return jnp.swapaxes(x, -1, -2)


def _primitive(name, abstract, implementation, left, right):
    """A bilinear function of matrices with the same leading axes, and its derivatives by both arguments."""
    primitive = Primitive(name)
    primitive.def_abstract_eval(abstract)
    primitive.def_impl(jax.jit(implementation))
    ad.defbilinear(primitive, left, right)
    mlir.register_lowering(primitive, mlir.lower_fun(implementation, multiple_results=False))

    def batched(args, axes):
        size = next(x.shape[axis] for x, axis in zip(args, axes, strict=True) if axis is not None)
        lead = [
            lax.broadcast(x, (size,)) if axis is None else jnp.moveaxis(x, axis, 0)
            for x, axis in zip(args, axes, strict=True)
        ]
        return primitive.bind(*lead), 0

    batching.primitive_batchers[primitive] = batched
    return primitive


# They are primitives, so that derivatives of all orders exist, and `jdl.engine.cost` counts a single result.
outer = _primitive(
    "dense_gradient",
    _abstract_outer,
    written_out,
    lambda ct, x, g: jnp.matmul(g, _turned(ct)),
    lambda ct, x, g: jnp.matmul(x, ct),
)
product = _primitive(
    "dense",
    _abstract_product,
    jnp.matmul,
    lambda g, x, kernel: jnp.matmul(g, _turned(kernel)),
    lambda g, x, kernel: outer.bind(x, g),
)
