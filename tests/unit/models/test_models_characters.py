"""LSTM and GRU over characters: counts by hand, layer after layer, one matrix product a step, laws on small ones."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jdl import checks
from jdl.models.characters import CharGRU, CharLSTM
from jdl.models.recurrent import GRU, LSTM

FAMILIES = [CharLSTM, CharGRU]
family = pytest.mark.parametrize("family", FAMILIES)
# What both have in common is tried with the simpler one; with the other among the slow checks.
sample = pytest.mark.parametrize("family", [pytest.param(CharLSTM, marks=pytest.mark.slow), CharGRU])


def small(family):
    return family(vocab=5, width=3, hidden=4)


def shapes(module, *shape, dtype=jnp.int32):
    return jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct(shape, dtype))


def drawn(tree, *lead, dtype=np.float32):
    """Values by NumPy in the shapes of `tree`, with leading axes."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: 0.5 * rng.standard_normal(lead + leaf.shape).astype(dtype), tree)


def text(*shape, vocab=5):
    return np.random.default_rng(1).integers(0, vocab, shape).astype(np.int32)


def loss(module, variables, x):
    """Of the next characters, the first one after the last."""
    logits, y = module.apply(variables, x), jnp.roll(x, -1, axis=1)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], axis=2))


@pytest.mark.parametrize("vocab", [80, 90])
@pytest.mark.parametrize(("family", "gates", "extra"), [(CharLSTM, 4, 0), (CharGRU, 3, 256)])
def test_parameters(family, gates, extra, vocab):
    """A matrix for inputs and one for h, a bias for each gate; the GRU has one more for n, inside."""
    variables = shapes(family(vocab=vocab), 1, 80)
    assert set(variables) == {"params"}  # no batch statistics, no carry
    layers = [gates * 256 * (inputs + 256 + 1) + extra for inputs in (8, 256)]
    count = 8 * vocab + sum(layers) + (256 + 1) * vocab
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == count


def test_published_counts():
    """LEAF's model has 80 characters: 8 vocab + 4 256 (8 + 256 + 1) + 4 256 (512 + 1) + 257 vocab. McMahan et al. count
    866,578 without a vocabulary; peepholes (three numbers for each of 256 in two layers) and 258 characters give it.
    """
    count = {v: sum(leaf.size for leaf in jax.tree.leaves(shapes(CharLSTM(vocab=v), 1, 80))) for v in (80, 90, 258)}
    assert count[80] == 640 + 271_360 + 525_312 + 20_560 == 817_872
    assert count[90] == 820_522
    assert count[258] + 2 * 3 * 256 == 866_578


@family
def test_logits_are_embedding_layers_and_dense(family):
    """Each text by itself, time first in the layers and second outside."""
    module, x = small(family), text(2, 4)
    variables = drawn(shapes(module, 1, 4))
    p, layer = variables["params"], LSTM(4) if family is CharLSTM else GRU(4)
    name, apply = type(layer).__name__, jax.jit(layer.apply)
    logits = jax.jit(module.apply)(variables, x)
    assert logits.shape == (2, 4, 5)
    for i in range(2):
        h = p["embedding"][x[i]][:, None]  # [T, 1, width]
        for j in range(2):
            h = apply({"params": p[f"{name}_{j}"]}, h)
        expected = np.asarray(h)[:, 0] @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"][None]
        np.testing.assert_allclose(logits[i], expected, rtol=1e-5, atol=1e-6)


@family
@pytest.mark.parametrize("odd", [5, -1])
def test_a_character_that_is_none_gives_nan_from_there_on(family, odd):
    module, x = small(family), text(2, 4)
    variables, x[1, 2] = drawn(shapes(module, 1, 4)), odd
    unknown = np.isnan(jax.jit(module.apply)(variables, x)).all(axis=2)
    assert unknown.tolist() == [[False] * 4, [False, False, True, True]]


@family
def test_a_logit_knows_the_past_alone(family):
    module, x = small(family), text(1, 6)
    variables, other = drawn(shapes(module, 1, 6)), x.copy()
    other[0, 3] = (x[0, 3] + 1) % 5
    apply = jax.jit(module.apply)
    away = np.abs(apply(variables, x) - apply(variables, other)).max(axis=(0, 2))
    assert (away[:3] == 0).all() and (away[3:] > 1e-4).all()


@family
def test_one_matrix_product_a_step(family):
    """Inputs are multiplied before the scan: its body holds the product of h with all gates at once, and no other."""
    module = small(family)
    program = jax.make_jaxpr(module.apply)(drawn(shapes(module, 1, 6)), text(2, 6)).jaxpr
    outside = [str(e.primitive) for e in program.eqns]
    bodies = [e.params["jaxpr"].jaxpr for e in program.eqns if str(e.primitive) == "scan"]
    assert outside.count("scan") == 2 and outside.count("dot_general") <= 3  # a layer each, and the dense one
    assert [sum(str(e.primitive) == "dot_general" for e in body.eqns) for body in bodies] == [1, 1]


@sample
def test_initial_loss_is_near_ln_classes(family):
    """The mean over all labels of `logsumexp(z) - z_y` exceeds ln K, by Jensen, and by half the variance s^2 of the
    logits at most on average. The last kernel is N(0, 1 / inputs), so s^2 is the mean square of h, which is below 1:
    at most 0.5.
    """
    module, x = family(vocab=80, hidden=32), text(2, 8, vocab=80)
    variables = jax.jit(lambda key: module.init(key, x))(jax.random.key(0))
    assert 0.9 < np.std(variables["params"]["embedding"]) < 1.1  # N(0, 1): 640 numbers, errors of 0.03
    logits = jax.jit(module.apply)(variables, x)
    mean = np.mean(jax.nn.logsumexp(logits, axis=2) - jnp.mean(logits, axis=2))
    assert 0 < mean - np.log(80) < 0.5


@pytest.mark.slow
def test_one_batch_is_overfitted():
    """Texts of `a 4 4 a`: after the second 4 comes what came first, which memory alone can tell."""
    module = CharLSTM(vocab=5, width=4, hidden=16, layers=1)
    x = jnp.array([[first, 4, 4, first] for first in range(4)] * 2, jnp.int32)

    @jax.jit
    def train(variables):
        def step(variables, _):
            value, grads = jax.value_and_grad(lambda v: loss(module, v, x))(variables)
            return jax.tree.map(lambda v, g: v - g, variables, grads), value

        return jax.lax.scan(step, variables, length=300)[1]

    values = train(module.init(jax.random.key(0), x))
    assert values[0] > 1 and values[-1] < 0.05


@sample
def test_vmapped_equals_looped(family):
    module, x = small(family), text(3, 2, 6)
    variables = drawn(shapes(module, 1, 6), 3)
    together, alone = jax.jit(jax.vmap(module.apply)), jax.jit(module.apply)
    looped = [alone(jax.tree.map(lambda leaf, i=i: leaf[i], variables), x[i]) for i in range(3)]
    assert all(np.abs(a - b).max() > 1e-2 for a, b in itertools.pairwise(looped))
    np.testing.assert_allclose(together(variables, x), np.stack(looped), rtol=1e-5, atol=1e-6)


@sample
def test_gradient_is_the_finite_difference(x64, family):
    module, x = small(family), text(2, 6)
    flat, unravel = ravel_pytree(drawn(shapes(module, 1, 6), dtype=np.float64))
    value = jax.jit(jax.value_and_grad(lambda flat: loss(module, unravel(flat), x)))
    direction = np.random.default_rng(2).standard_normal(flat.size)
    step = 1e-5 * direction / np.linalg.norm(direction)
    slope = (value(flat + step)[0] - value(flat - step)[0]) / 2
    np.testing.assert_allclose(slope, np.dot(value(flat)[1], step), rtol=1e-7, atol=1e-14)


@family
def test_parameters_are_of_the_usual_float(x64, family):
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes(small(family), 1, 6))} == {jnp.dtype(jnp.float64)}
    with jax.enable_x64(False):
        assert {leaf.dtype for leaf in jax.tree.leaves(shapes(small(family), 1, 6))} == {jnp.dtype(jnp.float32)}


@family
@pytest.mark.parametrize(("shape", "dtype"), [((6,), jnp.int32), ((1, 6, 5), jnp.int32), ((1, 6), jnp.float32)])
def test_refusals(family, shape, dtype):
    with pytest.raises(checks.InputError, match=r"got text as (int|float)32\[.*\], need whole numbers \[B, T\]; try"):
        shapes(small(family), *shape, dtype=dtype)


def test_modules_are_values():
    assert CharLSTM() == CharLSTM() and hash(CharGRU()) == hash(CharGRU()) and CharLSTM(vocab=90) != CharLSTM()
