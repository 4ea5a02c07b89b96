"""Residual networks: counts by hand, layer by layer, values against NumPy, laws on small ones."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jdl import checks
from jdl.models.resnet import ResNet8, ResNet18, ResNet20

SMALL = {
    "pad": (ResNet8(classes=3, channels=(2, 4)), 1),
    "project": (ResNet8(classes=3, channels=(2, 4), shortcut="project"), 1),
    "deep": (ResNet20(classes=3, channels=(2, 2, 4)), 3),
}
IMAGE = (7, 6, 3)


def shapes(module, image=IMAGE, dtype=jnp.float32):
    return jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct((1, *image), dtype))


def drawn(module, *lead, dtype=jnp.float32):
    """Variables with values by NumPy that keep activations near one, with leading axes."""
    rng = np.random.default_rng(0)

    def leaf(one):
        return (rng.standard_normal(lead + one.shape) / max(1, np.prod(one.shape[:-1])) ** 0.5).astype(dtype)

    return jax.tree.map(leaf, shapes(module, dtype=dtype))


def images(*lead, dtype=np.float32):
    return np.random.default_rng(1).standard_normal((*lead, *IMAGE)).astype(dtype)


def by_hand(stages, blocks, project):
    """Names and sizes of the layers: a 3x3 convolution from a to b channels has 9 a b weights, a normalisation 2 b
    numbers, a projection a b weights and 2 b numbers.
    """
    before = stages[0]
    layers = {"Conv_0": 9 * 3 * before, "GroupNorm_0": 2 * before}
    numbers = itertools.count()
    for stage in stages:
        for _ in range(blocks):
            size = 9 * before * stage + 2 * stage + 9 * stage * stage + 2 * stage
            if project and before != stage:
                size += before * stage + 2 * stage
            layers[f"Block_{next(numbers)}"] = size
            before = stage
    return layers | {"Dense_0": (before + 1) * 10}


# ResNet-8: stem 432 + 32; stages (2,304 + 32) 2 = 4,672; 4,608 + 64 + 9,216 + 64 = 13,952; 18,432 + 128 + 36,864 + 128
# = 55,552; dense 650. Projections add 512 + 64 and 2,048 + 128. ResNet-20 has two more blocks of equal channels a
# stage: 2 (4,672 + 18,560 + 73,984) = 194,432 more. Published: 0.27M for ResNet-20 (He et al., table 6); 269,722 and
# 11,173,962 by well-known PyTorch replications.
@pytest.mark.parametrize(
    ("module", "stages", "blocks", "count"),
    [
        (ResNet8(), (16, 32, 64), 1, 75_290),
        (ResNet8(shortcut="project"), (16, 32, 64), 1, 75_290 + 2_752),
        (ResNet20(), (16, 32, 64), 3, 75_290 + 194_432),
        (ResNet20(shortcut="project"), (16, 32, 64), 3, 75_290 + 194_432 + 2_752),
        (ResNet18(), (64, 128, 256, 512), 2, 11_173_962),
    ],
)
def test_parameters(module, stages, blocks, count):
    variables = shapes(module, (32, 32, 3))
    assert set(variables) == {"params"}  # no batch statistics
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(layer)) for name, layer in variables["params"].items()}
    assert sizes == by_hand(stages, blocks, module.shortcut == "project")
    assert sum(sizes.values()) == count
    leaves = jax.tree_util.tree_leaves_with_path(variables["params"])
    biased = {path[0].key for path, _ in leaves if path[-1].key == "bias" and "Conv" in path[-2].key}
    assert not biased  # the normalisation has them


def convolved(x, layer, stride):
    """3x3 with a border of one, or 1x1: by NumPy, every window times the kernel."""
    edge = layer["kernel"].shape[0] // 2
    x = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, layer["kernel"].shape[:2], axis=(1, 2))
    return np.einsum("bhwcij,ijcf->bhwf", windows[:, ::stride, ::stride], layer["kernel"])


def normalised(x, layer, groups=2):
    split = x.reshape(*x.shape[:3], groups, -1)
    split = split - split.mean(axis=(1, 2, 4), keepdims=True)
    split = split / np.sqrt(split.var(axis=(1, 2, 4), keepdims=True) + 1e-5)
    return split.reshape(x.shape) * layer["scale"][None, None, None] + layer["bias"][None, None, None]


def relu(x):
    return np.maximum(x, 0)


def block(x, p, channels, stride):
    out = relu(normalised(convolved(x, p["Conv_0"], stride), p["GroupNorm_0"]))
    out = normalised(convolved(out, p["Conv_1"], 1), p["GroupNorm_1"])
    if "Conv_2" in p:
        return relu(out + normalised(convolved(x, p["Conv_2"], stride), p["GroupNorm_2"]))
    shortcut = np.zeros((*out.shape[:3], channels), x.dtype)
    shortcut[..., : x.shape[-1]] = x[:, ::stride, ::stride]
    return relu(out + shortcut)


@pytest.mark.parametrize(("module", "blocks"), SMALL.values(), ids=SMALL)
def test_logits_are_those_of_numpy(module, blocks):
    variables, x = drawn(module), images(2)
    p, out = variables["params"], x
    out = relu(normalised(convolved(out, p["Conv_0"], 1), p["GroupNorm_0"]))
    for i, channels in enumerate(np.repeat(module.channels, blocks)):
        out = block(out, p[f"Block_{i}"], channels, 2 if i > 0 and i % blocks == 0 else 1)
    rows, columns = {2: (4, 3), 3: (2, 2)}[len(module.channels)]  # 7x6, halved and rounded up at each new stage
    assert out.shape == (2, rows, columns, module.channels[-1])
    expected = out.mean(axis=(1, 2)) @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"][None]
    np.testing.assert_allclose(jax.jit(module.apply)(variables, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("module", [ResNet8(), pytest.param(ResNet20(), marks=pytest.mark.slow)])
def test_initial_loss_is_near_ln_classes(module):
    """The mean over all labels of `logsumexp(z) - z_y` exceeds ln K, by Jensen, and by half the variance s^2 of the
    logits at most on average, whatever the depth. Blocks start as their shortcuts, which leave 16 of 64 features, each
    a mean over places of the stem's, whose mean square after relu is 1/2: s^2 = 16 / (3 * 64) * 1/2 at most, 0.042.
    """
    x = np.random.default_rng(1).standard_normal((2, 32, 32, 3)).astype(np.float32)
    logits = jax.jit(lambda key: module.apply(module.init(key, x), x))(jax.random.key(0))
    mean = np.mean(jax.nn.logsumexp(logits, axis=1) - jnp.mean(logits, axis=1))
    assert 0 < mean - np.log(10) < 0.021


@pytest.mark.slow
def test_vmapped_equals_looped():
    module, _ = SMALL["project"]
    variables, x = drawn(module, 3), images(3, 2)
    together, alone = jax.jit(jax.vmap(module.apply)), jax.jit(module.apply)
    looped = [alone(jax.tree.map(lambda leaf, i=i: leaf[i], variables), x[i]) for i in range(3)]
    assert all(np.abs(a - b).max() > 1e-2 for a, b in itertools.pairwise(looped))
    np.testing.assert_allclose(together(variables, x), np.stack(looped), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pad", "project"])
def test_gradient_is_the_finite_difference(x64, name):
    module, _ = SMALL[name]
    flat, unravel = ravel_pytree(drawn(module, dtype=np.float64))
    x = images(2, dtype=np.float64)

    @jax.jit
    @jax.value_and_grad
    def value(flat):
        logits = module.apply(unravel(flat), x)
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) - logits[:, 1])

    direction = np.random.default_rng(2).standard_normal(flat.size)
    step = 1e-6 * direction / np.linalg.norm(direction)
    slope = (value(flat + step)[0] - value(flat - step)[0]) / 2
    # The loss is of size 1, so a difference has errors of about 1e-16, and steps of 1e-6 leave ten digits of a slope.
    np.testing.assert_allclose(slope, np.dot(value(flat)[1], step), rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_parameters_take_the_dtype_of_the_images(x64, dtype):
    for module, _ in SMALL.values():
        assert {leaf.dtype for leaf in jax.tree.leaves(shapes(module, dtype=dtype))} == {jnp.dtype(dtype)}


@pytest.mark.parametrize(
    ("module", "image", "sentence"),
    [
        (ResNet8(), (3072,), r"got shape \[1, 3072\], ResNet8 needs images \[B, H, W, C\]; try"),
        (ResNet20(shortcut="paad"), (8, 8, 3), "got shortcut 'paad', which does not exist; did you mean pad"),
        (ResNet18(groups=3), (8, 8, 3), "got groups=3, need a divisor of the 64 channels"),
        (ResNet8(channels=(8, 4)), (8, 8, 3), "got 4 channels after 8, need at least as many; try shortcut='project'"),
    ],
)
def test_refusals(module, image, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        shapes(module, image)


def test_modules_are_values():
    assert ResNet20() == ResNet20() and hash(ResNet18()) == hash(ResNet18()) and ResNet8() != ResNet8(groups=1)
