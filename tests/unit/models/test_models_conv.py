"""LeNet, GN-LeNet and the CNN of McMahan et al.: counts by hand, values against NumPy, laws on small ones."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jdl import checks
from jdl.models.cnn import McMahanCNN
from jdl.models.lenet import GNLeNet, LeNet

SMALL = {
    "lenet": (LeNet(classes=3, channels=(2, 3), hidden=(7, 6)), (12, 12, 1)),
    "gn_lenet": (GNLeNet(classes=3, channels=(2, 4, 4)), (8, 8, 3)),
    "cnn": (McMahanCNN(classes=3, channels=(2, 3), hidden=7), (8, 8, 1)),
}
small = pytest.mark.parametrize(("module", "image"), SMALL.values(), ids=SMALL)
# Of convolutions, normalisation, pooling and a dense layer together; the others are made of the same layers.
one = pytest.mark.parametrize(
    ("module", "image"),
    [pytest.param(*made, marks=[] if name == "gn_lenet" else [pytest.mark.slow]) for name, made in SMALL.items()],
    ids=SMALL,
)


def shapes(module, image, dtype=jnp.float32):
    return jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct((1, *image), dtype))


def drawn(module, image, *lead, seed=0, dtype=jnp.float32):
    """Variables with values by NumPy that keep activations near one, with leading axes."""
    rng = np.random.default_rng(seed)

    def leaf(one):
        return (rng.standard_normal(lead + one.shape) / max(1, np.prod(one.shape[:-1])) ** 0.5).astype(dtype)

    return jax.tree.map(leaf, shapes(module, image, dtype))


def images(image, *lead, seed=1, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal((*lead, *image)).astype(dtype)


def loss(module, variables, x, y):
    logits = module.apply(variables, x)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1))


@pytest.mark.parametrize(
    ("module", "image", "layers"),
    [  # weights and biases: (height width inputs + 1) outputs; of a normalisation: 2 channels
        (LeNet(), (28, 28, 1), [(25 + 1) * 6, (25 * 6 + 1) * 16, (5 * 5 * 16 + 1) * 120, 121 * 84, 85 * 10]),
        (
            LeNet(padding="VALID"),
            (32, 32, 3),
            [(75 + 1) * 6, (25 * 6 + 1) * 16, (5 * 5 * 16 + 1) * 120, 121 * 84, 85 * 10],
        ),
        (GNLeNet(), (32, 32, 3), [76 * 32, 64, (25 * 32 + 1) * 32, 64, (25 * 32 + 1) * 64, 128, (4 * 4 * 64 + 1) * 10]),
        (McMahanCNN(), (28, 28, 1), [26 * 32, (25 * 32 + 1) * 64, (7 * 7 * 64 + 1) * 512, 513 * 10]),
        (McMahanCNN(classes=62), (28, 28, 1), [26 * 32, (25 * 32 + 1) * 64, (7 * 7 * 64 + 1) * 512, 513 * 62]),
        (
            McMahanCNN(channels=(16, 32), hidden=128),
            (28, 28, 1),
            [26 * 16, (25 * 16 + 1) * 32, (7 * 7 * 32 + 1) * 128, 129 * 10],
        ),
    ],
)
def test_parameters(module, image, layers):
    variables = shapes(module, image)
    assert set(variables) == {"params"}  # no batch statistics
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(layer)) for name, layer in variables["params"].items()}
    assert sorted(sizes.values()) == sorted(layers)


@pytest.mark.parametrize(
    ("module", "image", "published"),
    [
        (GNLeNet(), (32, 32, 3), 89_834),  # DecentralizePy
        (McMahanCNN(), (28, 28, 1), 1_663_370),  # McMahan et al. 2017
        (LeNet(padding="VALID"), (32, 32, 3), 62_006),  # PyTorch's tutorial
    ],
)
def test_published_counts(module, image, published):
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes(module, image))) == published


def convolved(x, layer, same=True):
    """Convolution by NumPy: every window times the kernel."""
    edge = layer["kernel"].shape[0] // 2 if same else 0
    x = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, layer["kernel"].shape[:2], axis=(1, 2))
    return np.einsum("bhwcij,ijcf->bhwf", windows, layer["kernel"]) + layer["bias"][None, None, None]


def halved(x):
    """The largest of each two by two."""
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    return x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).max(axis=(2, 4))


def normalised(x, layer, groups):
    split = x.reshape(*x.shape[:3], groups, -1)
    split = split - split.mean(axis=(1, 2, 4), keepdims=True)
    split = split / np.sqrt(split.var(axis=(1, 2, 4), keepdims=True) + 1e-5)
    return split.reshape(x.shape) * layer["scale"][None, None, None] + layer["bias"][None, None, None]


def dense(x, layer):
    return x @ layer["kernel"] + layer["bias"][None]


def relu(x):
    return np.maximum(x, 0)


def by_numpy(name, p, x):
    if name == "gn_lenet":
        for i in range(3):
            x = halved(relu(normalised(convolved(x, p[f"Conv_{i}"]), p[f"GroupNorm_{i}"], groups=2)))
        return dense(x.reshape(len(x), -1), p["Dense_0"])
    x = halved(relu(convolved(x, p["Conv_0"])))
    x = halved(relu(convolved(x, p["Conv_1"], same=name == "cnn"))).reshape(len(x), -1)
    for i in range(1 if name == "cnn" else 2):
        x = relu(dense(x, p[f"Dense_{i}"]))
    return dense(x, p[f"Dense_{i + 1}"])


@pytest.mark.parametrize("name", SMALL)
def test_logits_are_those_of_numpy(name):
    module, image = SMALL[name]
    image = (image[0] + 3, image[1] + 2, image[2])  # odd sizes: the last row or column is in no window of a pooling
    variables, x = drawn(module, image), images(image, 2)
    logits = jax.jit(module.apply)(variables, x)
    assert logits.shape == (2, 3)
    np.testing.assert_allclose(logits, by_numpy(name, variables["params"], x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "image", "variance"),
    [
        pytest.param(LeNet(), (28, 28, 1), 1),
        pytest.param(GNLeNet(), (32, 32, 3), 1 / 3),
        pytest.param(McMahanCNN(), (28, 28, 1), 1, marks=pytest.mark.slow),
    ],
)
def test_initial_loss_is_near_ln_classes(module, image, variance):
    """The mean over all labels of `logsumexp(z) - z_y` exceeds ln K, by Jensen, and by half the variance s^2 of the
    logits at most on average. The last kernel's variance is 1 / inputs, or a third of it, so s^2 is the mean square of
    the features, or a third: of a standard normal number 1/2 after relu, 1.6 after the largest of four. Hence at most
    0.8, or 0.27.
    """
    x = images(image, 2)
    logits = jax.jit(lambda key: module.apply(module.init(key, x), x))(jax.random.key(0))
    mean = np.mean(jax.nn.logsumexp(logits, axis=1) - jnp.mean(logits, axis=1))
    assert 0 < mean - np.log(10) < 0.8 * variance


@pytest.mark.slow
def test_one_batch_is_overfitted():
    module, image = McMahanCNN(classes=4, channels=(8, 8), hidden=16), (8, 8, 3)
    x, y = images(image, 8), jnp.arange(8) % 4

    @jax.jit
    def train(variables):
        def step(variables, _):
            value, grads = jax.value_and_grad(lambda v: loss(module, v, x, y))(variables)
            return jax.tree.map(lambda v, g: v - 0.1 * g, variables, grads), value

        return jax.lax.scan(step, variables, length=60)[1]

    values = train(module.init(jax.random.key(0), x))
    assert values[0] > 1 and values[-1] < 0.05


@one
def test_vmapped_equals_looped(module, image):
    variables, x = drawn(module, image, 3), images(image, 3, 2)
    together, alone = jax.jit(jax.vmap(module.apply)), jax.jit(module.apply)
    looped = [alone(jax.tree.map(lambda leaf, i=i: leaf[i], variables), x[i]) for i in range(3)]
    assert all(np.abs(a - b).max() > 1e-2 for a, b in itertools.pairwise(looped))
    np.testing.assert_allclose(together(variables, x), np.stack(looped), rtol=1e-4, atol=1e-5)


@one
def test_gradient_is_the_finite_difference(x64, module, image):
    flat, unravel = ravel_pytree(drawn(module, image, dtype=np.float64))
    x, y = images(image, 2, dtype=np.float64), jnp.array([0, 2])
    value = jax.jit(jax.value_and_grad(lambda flat: loss(module, unravel(flat), x, y)))
    direction = np.random.default_rng(2).standard_normal(flat.size)
    step = 1e-6 * direction / np.linalg.norm(direction)
    slope = (value(flat + step)[0] - value(flat - step)[0]) / 2
    # The loss is of size 1, so a difference has errors of about 1e-16, and steps of 1e-6 leave ten digits of a slope.
    np.testing.assert_allclose(slope, np.dot(value(flat)[1], step), rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@small
def test_parameters_take_the_dtype_of_the_images(x64, module, image, dtype):
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes(module, image, dtype))} == {jnp.dtype(dtype)}


@pytest.mark.parametrize(
    ("module", "image", "sentence"),
    [
        (LeNet(), (144,), r"got shape \[1, 144\], LeNet needs images \[B, H, W, C\]; try"),
        (GNLeNet(), (8, 8), r"got shape \[1, 8, 8\], GNLeNet needs images"),
        (McMahanCNN(), (784,), r"got shape \[1, 784\], McMahanCNN needs images"),
        (LeNet(), (12, 11, 1), "got images of 12x11, LeNet needs at least 12x12; try"),
        (LeNet(padding="VALID"), (15, 16, 1), "LeNet needs at least 16x16"),
        (LeNet(padding="FULL"), (28, 28, 1), "got padding 'FULL'"),
        (GNLeNet(), (7, 8, 3), "GNLeNet needs at least 8x8"),
        (McMahanCNN(), (3, 4, 1), "McMahanCNN needs at least 4x4"),
        (GNLeNet(channels=(2, 3, 4)), (8, 8, 3), "got groups=2, need a divisor of the 3 channels"),
    ],
)
def test_refusals(module, image, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        shapes(module, image)


@pytest.mark.parametrize(
    ("module", "side"), [(LeNet(), 12), (LeNet(padding="VALID"), 16), (GNLeNet(), 8), (McMahanCNN(), 4)]
)
def test_the_smallest_images_that_they_take(module, side):
    out = jax.eval_shape(
        lambda x: module.apply(module.init(jax.random.key(0), x), x),
        jax.ShapeDtypeStruct((1, side, side, 1), jnp.float32),
    )
    assert out.shape == (1, 10)


def test_modules_are_values():
    assert LeNet() == LeNet() and hash(GNLeNet()) == hash(GNLeNet()) and McMahanCNN(62) != McMahanCNN()
