"""The layers against `lax` and `flax`: values, all derivatives, and one kernel a node, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from jdl.checks import InputError
from jdl.models import layers
from jdl.models.layers.convolution import convolve
from jdl.models.layers.dense import matrix_product

RNG = np.random.default_rng(0)


def waves(x):
    return jnp.sum(jnp.sin(x))


def everything(f):
    """Value, gradient, Hessian-vector product (forward over reverse) and directional derivative of `f(x, w)`."""

    def gradient(x, w):
        return jax.grad(lambda x, w: waves(f(x, w)), argnums=(0, 1))(x, w)

    def of(x, w):
        along = (jax.tree.map(jnp.cos, (x, w)),)[0]
        return f(x, w), gradient(x, w), jax.jvp(gradient, (x, w), along)[1], jax.jvp(f, (x, w), along)[1]

    return of


def same(f, g, x, w, axes=(0, 0), tolerance=1e-12):
    ours, theirs = (jax.jit(jax.vmap(everything(one), axes))(x, w) for one in (f, g))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * (1 + np.abs(b).max())), ours, theirs
    )


CONVOLUTIONS = [  # images, kernel, strides, padding, dilation
    ((2, 9, 7, 3), (5, 3, 4), (1, 1), "SAME", (1, 1)),  # few channels: columns in pairs, an odd number of them
    ((2, 6, 8, 9), (3, 2, 4), (2, 1), "SAME", (1, 2)),
    ((3, 8, 8, 8), (3, 3, 2), (2, 2), "VALID", (1, 1)),  # the last row and column are not seen
    ((2, 11, 8, 8), (3, 3, 2), (3, 2), ((1, 0), (2, 3)), (2, 1)),
    ((2, 5, 6, 4), (1, 1, 3), (2, 2), ((1, 0), (0, 2)), (1, 1)),  # a matrix product
]


@pytest.mark.parametrize(("images", "kernel", "strides", "padding", "dilation"), CONVOLUTIONS)
def test_convolution(x64, images, kernel, strides, padding, dilation):
    def theirs(x, w):
        order = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, w, strides, padding, rhs_dilation=dilation, dimension_numbers=order)

    x = RNG.standard_normal((3, *images))
    w = RNG.standard_normal((3, *kernel[:2], images[3], kernel[2]))
    same(lambda x, w: convolve(x, w, strides, padding, dilation), theirs, x, w)


def test_convolution_in_one_operation_where_the_device_is_no_cpu(x64, monkeypatch):
    images, kernel, strides, padding, dilation = CONVOLUTIONS[1]
    x = RNG.standard_normal((3, *images))
    w = RNG.standard_normal((3, *kernel[:2], images[3], kernel[2]))

    def convolved(x, w):
        return convolve(x, w, strides, padding, dilation)

    expected = jax.jit(jax.vmap(everything(convolved)))(x, w)
    assert "scan" in str(jax.make_jaxpr(jax.vmap(convolved))(x, w))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert "scan" not in str(jax.make_jaxpr(jax.vmap(lambda x, w: convolved(x, w)))(x, w))
    found = jax.jit(jax.vmap(everything(lambda x, w: convolved(x, w))))(x, w)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10), found, expected)


@pytest.mark.parametrize("axes", [(None, 0), (0, None)])
def test_convolution_of_shared_images_or_kernels(x64, axes):
    x, w = RNG.standard_normal((2, 2, 5, 5, 8)), RNG.standard_normal((2, 3, 3, 8, 2))
    x, w = (value if axis == 0 else value[0] for value, axis in zip((x, w), axes, strict=True))
    order = ("NHWC", "HWIO", "NHWC")
    same(convolve, lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=order), x, w, axes)


@pytest.mark.parametrize("rows", [4, 20])  # written out, and a matrix product
@pytest.mark.parametrize("axes", [(0, 0), (None, 0), (0, None)])
def test_dense(x64, rows, axes):
    x, w = RNG.standard_normal((2, rows, 5)), RNG.standard_normal((2, 5, 3))
    x, w = (value if axis == 0 else value[0] for value, axis in zip((x, w), axes, strict=True))
    same(matrix_product, jnp.matmul, x, w, axes)


def reduced(window, strides, padding):
    dims, steps = (1, *window, 1), (1, *strides, 1)
    border = padding if isinstance(padding, str) else ((0, 0), *padding, (0, 0))
    return (lambda x, w: lax.reduce_window(x * w, -jnp.inf, lax.max, dims, steps, border)), (
        lambda x, w: lax.reduce_window(x * w, 0.0, lax.add, dims, steps, border) / (window[0] * window[1])
    )


@pytest.mark.parametrize(
    ("window", "strides", "padding"),
    [((2, 2), None, "VALID"), ((2, 3), None, "SAME"), ((3, 3), (2, 2), "SAME"), ((3, 2), (1, 2), ((1, 0), (0, 1)))],
)
def test_pooling(x64, window, strides, padding):
    largest, mean = reduced(window, strides or window, padding)
    x, w = RNG.standard_normal((2, 2, 6, 8, 3)), 1 + RNG.random((2, 1, 1, 1, 1))
    x, w = jnp.asarray(x), jnp.broadcast_to(jnp.asarray(w), x.shape)

    def first_order(f):  # jax has no second derivative of a `reduce_window` that takes the largest
        return lambda x, w: (f(x, w), jax.grad(lambda x: waves(f(x, w)))(x))

    for ours, theirs in ((layers.max_pool, largest), (layers.avg_pool, mean)):
        a = jax.jit(jax.vmap(first_order(lambda x, w, ours=ours: ours(x * w, window, strides, padding))))(x, w)
        b = jax.jit(jax.vmap(first_order(theirs)))(x, w)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12), a, b)


@pytest.mark.parametrize("strides", [None, (1, 1)])
def test_the_first_of_places_that_tie_has_the_gradient(strides):
    x = jnp.zeros((2, 2, 2, 1))
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(layers.max_pool(x, (2, 2), strides))))(x)
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[1, 0], [0, 0]])


def test_largest_has_a_second_derivative_through_what_follows(x64):
    x = jnp.asarray(RNG.standard_normal((2, 4, 4, 1)))
    gradient = jax.grad(lambda x: waves(layers.max_pool(x)))
    product, largest = jax.jit(lambda x: (jax.jvp(gradient, (x,), (jnp.ones_like(x),))[1], layers.max_pool(x)))(x)
    kept = np.asarray(x) == np.repeat(np.repeat(largest, 2, 1), 2, 2)
    np.testing.assert_allclose(product, np.where(kept, -np.sin(x), 0), atol=1e-14)


def test_global_mean():
    x = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(layers.global_avg_pool(x), x.mean((1, 2)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm(x64, groups):
    x, w = RNG.standard_normal((2, 3, 4, 5, 6)), {"params": {k: RNG.random((2, 6)) for k in ("scale", "bias")}}
    theirs = nn.GroupNorm(groups, epsilon=1e-5, param_dtype=jnp.float64)
    with jax.numpy_dtype_promotion("standard"):  # which flax's own needs in float64
        same(lambda x, w: layers.GroupNorm(groups).apply(w, x), lambda x, w: theirs.apply(w, x), x, w)


def test_group_norm_far_from_zero():
    """Values 1,000 standard deviations from zero: E x^2 - mean^2 in float32 loses every digit."""
    exact = RNG.standard_normal((2, 8, 8, 4))
    x = (exact + 1000).astype(np.float32)
    out, _ = layers.GroupNorm(2).init_with_output(jax.random.key(0), x)
    wide = x.astype(np.float64).reshape(2, 64, 2, 2)
    want = (wide - wide.mean((1, 3), keepdims=True)) / wide.std((1, 3), keepdims=True)
    np.testing.assert_allclose(out, want.reshape(x.shape), atol=2e-3)


LAYERS = [
    (layers.Conv(4, (3, 2)), nn.Conv(4, (3, 2))),
    (layers.Conv(4, use_bias=False), nn.Conv(4, (3, 3), use_bias=False)),
    (layers.Dense(4), nn.Dense(4)),
    (layers.Dense(4, use_bias=False), nn.Dense(4, use_bias=False)),
    (layers.GroupNorm(2), nn.GroupNorm(2, epsilon=1e-5)),
]


@pytest.mark.parametrize(("ours", "theirs"), LAYERS)
def test_parameters_are_those_of_flax(ours, theirs):
    x = RNG.standard_normal((2, 4, 4, 2)).astype(np.float32)
    both = jax.jit(lambda key, x: [one.init_with_output(key, x) for one in (ours, theirs)])
    (a, start), (b, other) = both(jax.random.key(3), x)
    jax.tree.map(np.testing.assert_array_equal, start, other)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
def test_all_stays_in_the_dtype_of_the_input(x64, dtype):
    def net(x):
        for layer in (layers.Conv(4), layers.GroupNorm(2), layers.Dense(2)):
            x, params = layer.init_with_output(jax.random.key(0), layers.max_pool(x, (2, 2), (1, 1)))
            assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {x.dtype} == {jnp.dtype(dtype)}
        return layers.global_avg_pool(layers.avg_pool(x, (1, 1)))

    gradient = jax.eval_shape(jax.grad(lambda x: jnp.sum(net(x))), jax.ShapeDtypeStruct((2, 5, 5, 2), dtype))
    assert gradient.dtype == dtype


def test_sentences():
    x = jnp.zeros((1, 4, 4, 3))
    with pytest.raises(InputError, match="got groups=2, need a divisor of the 3 channels"):
        layers.GroupNorm(2).init(jax.random.key(0), x)
    with pytest.raises(InputError, match="try a smaller window"):
        layers.max_pool(x, (5, 5))
    with pytest.raises(InputError, match="got padding 'SAMI'"):
        layers.max_pool(x, padding="SAMI")
