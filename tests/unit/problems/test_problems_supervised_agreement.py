"""Examples, division, model and what is frozen: what does not go together is told, not learnt as something else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from jdl import checks, models
from jdl.data import Dataset, Partition
from jdl.problems import Supervised, supervised

RNG = np.random.default_rng(0)
X, CLASSES = RNG.standard_normal((12, 4)).astype(np.float32), (np.arange(12) % 3).astype(np.int32)
REAL = (3 + RNG.standard_normal(12)).astype(np.float32)
DIVIDED = Partition(np.arange(12).reshape(3, 4), np.full(3, 4))


def made(module, x=X, y=CLASSES, split=DIVIDED, classes=None, **options):
    classes = (0 if np.asarray(y).dtype.kind == "f" else 3) if classes is None else classes
    return Supervised.from_data(Dataset(x, y, x[:5], y[:5], classes, "made", ""), split, module, **options)


class Numbers(nn.Module):
    """`features` numbers an example, without the axis where `squeezed`."""

    features: int = 1
    squeezed: bool = False

    @nn.compact
    def __call__(self, x):
        out = nn.Dense(self.features, param_dtype=x.dtype)(x)
        return out.squeeze() if self.squeezed else out


@pytest.mark.parametrize("squeezed", [False, True])
def test_one_number_an_example_is_held_against_its_own_target(squeezed, x64):
    """[4, 1] less [4] is [4, 4] to NumPy: the loss summed 16 differences, of which 12 are of other examples."""
    problem = made(Numbers(squeezed=squeezed), X.astype(np.float64), REAL.astype(np.float64))
    params = {"params": {"Dense_0": {"kernel": jnp.arange(4.0)[:, None], "bias": jnp.ones(1)}}}
    for id in range(3):
        rows = DIVIDED.indices[id]
        expected = np.mean((X[rows].astype(float) @ np.arange(4.0) + 1 - REAL[rows]) ** 2)
        np.testing.assert_allclose(problem.loss(params, problem.full_batch(id))[0], expected, rtol=1e-12)
    expected = np.mean((X[:5].astype(float) @ np.arange(4.0) + 1 - REAL[:5]) ** 2)
    np.testing.assert_allclose(problem.evaluate(params)["loss"], expected, rtol=1e-12)


def test_several_numbers_an_example_are_averaged_within_it(x64):
    y = RNG.standard_normal((12, 2))
    problem = made(Numbers(2), X.astype(np.float64), y)
    params = {"params": {"Dense_0": {"kernel": jnp.ones((4, 2)), "bias": jnp.zeros(2)}}}
    expected = np.mean((X[:4].astype(float).sum(axis=1)[:, None] - y[:4]) ** 2)
    np.testing.assert_allclose(problem.loss(params, problem.full_batch(0))[0], expected, rtol=1e-12)
    assert list(problem.evaluate(params)) == ["loss"]


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_models_by_name_learn_real_targets_with_one_output(name):
    problem = supervised(Dataset(X, REAL, X[:5], REAL[:5], 0, "real", ""), nodes=3, model=name)
    assert problem.module.classes == 1
    assert jax.eval_shape(problem.evaluate, jax.eval_shape(problem.init, jax.random.key(0)))["loss"].shape == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.bool_])
def test_classes_of_any_whole_type_are_the_same_classes(dtype):
    y = CLASSES % 2
    one, other = made(models.Linear(classes=2), y=y), made(models.Linear(classes=2), y=y.astype(dtype))
    assert other.train_y.dtype == other.test_y.dtype == jnp.int32
    np.testing.assert_array_equal(one.train_y, other.train_y)


def test_grey_images_and_bytes_are_pixels():
    grey = RNG.integers(0, 256, (12, 4, 4)).astype(np.uint8)
    for x in (grey, grey.reshape(12, 16)):
        problem = supervised(Dataset(x, CLASSES, x[:5], CLASSES[:5], 3, "grey", ""), nodes=3, model="mlp")
        assert problem.train_x.shape == (12, 16) and problem.train_x.dtype == jnp.uint8


class Pair(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x), x


class Dropped(nn.Module):
    @nn.compact
    def __call__(self, x, train=True):
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=not train)(x))


class Counting(nn.Module):
    @nn.compact
    def __call__(self, x):
        calls = self.variable("calls", "number", lambda: jnp.zeros(()))
        calls.value += 1
        return nn.Dense(3)(x)


class ByBatch(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x) + self.param("shift", nn.initializers.zeros, (x.shape[0], 1))


class Fixed(nn.Module):
    def __call__(self, x):
        return x[:, :3]


IMAGES = np.zeros((12, 2, 2, 1), np.uint8)
REFUSED = {
    "too few outputs": (dict(module=models.Linear(classes=2)), r"got classes from 0 to 2 and a model with 2 outputs"),
    "classes from one": (
        dict(module=models.Linear(classes=3), y=CLASSES + 1),
        r"got made with classes from 1 to 3, need them from 0 to 2",
    ),
    "unknown as -1": (dict(module=models.Linear(classes=3), y=CLASSES - 1), r"got made with classes from -1 to 1"),
    "images to a line": (dict(module=models.Linear(classes=3), x=IMAGES), r"outputs of \[2, 2, 2, 3\] for two exam"),
    "two numbers for one": (dict(module=Numbers(2), y=REAL), r"outputs of \[2, 2\] .* need a number for each target"),
    "one-hot classes": (
        dict(module=Numbers(3), y=np.eye(3)[CLASSES], classes=3),
        r"targets of type float64 to train, .* num_classes=3",
    ),
    "two results": (dict(module=Pair()), r"got a model that returns a tuple, need one array"),
    "dropout": (dict(module=Dropped()), r'got Dropped, of which flax says: Dropout_0 needs PRNG for "dropout"'),
    "a counter": (dict(module=Counting()), r'flax says: Cannot update variable "number" .*changes no variable'),
    "batch in shapes": (dict(module=ByBatch()), r"got ByBatch, .* do not depend on the number of examples"),
    "nothing to learn": (dict(module=Fixed()), r"got a model with the variables \[\], need a dict with 'params'"),
    "a number": (dict(module=3), r"got a model of type int, need an object with init\(key, x\) and apply"),
    "an nnx module": (
        dict(module=nnx.Linear(4, 3, rngs=nnx.Rngs(0))),
        r"got a model of type Linear, need .* models.FromNNX\(make\)",
    ),
    "a class": (dict(module=models.Linear), r"got the class Linear, not a model made of it"),
    "an array in it": (dict(module=Numbers(np.ones(2))), r"got a model of type Numbers, which cannot be hashed"),
    "words": (dict(module=models.Linear(classes=3), x=np.full((12, 2), "a")), r"examples of type <U1 .* need floats"),
    "too many rows": (
        dict(module=models.Linear(classes=3), split=Partition(np.arange(16).reshape(4, 4), np.full(4, 4))),
        r"got a partition of examples 0 to 15, for 12 examples",
    ),
    "a base left out": (
        dict(module=models.LoRA(models.Linear(classes=3), targets=()), frozen={}),
        r"differ from the model's in 2 arrays \(frozen/params/Dense_0/bias of shape None for \(3,\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together_is_told(case):
    options, sentence = REFUSED[case]
    with pytest.raises(checks.InputError, match=sentence):
        made(**options)


def test_what_is_tested_on_is_of_the_kind_that_is_trained_on():
    for x, y, sentence in (
        (X[:0], CLASSES[:0], r"test_x, test_y of .*\(0, 4\), \(0,\), need as many targets as examples, at least one"),
        (X[:5], CLASSES[:4], r"test_x, test_y of .*\(5, 4\), \(4,\), need as many"),
        (X[:5, :3], CLASSES[:5], r"\(5, 3\), \(5,\), need .* test examples of the same shape"),
        ((9 * X[:5]).astype(np.uint8), CLASSES[:5], r"examples of float32 to train and uint8 to test on"),
    ):
        with pytest.raises(checks.InputError, match=sentence):
            Supervised.from_data(Dataset(X, CLASSES, x, y, 3, "", ""), DIVIDED, models.Linear(classes=3))


def test_data_that_do_not_say_how_many_words_there_are():
    whole = np.arange(24, dtype=np.int32).reshape(12, 2)
    for y, lacking in ((CLASSES, "'vocabulary'"), (REAL, "'users' and 'items'")):
        classes = 3 if y is CLASSES else 0
        with pytest.raises(checks.InputError, match=rf"got made, whole numbers .* without a list of {lacking}"):
            supervised(Dataset(whole, y, whole[:5], y[:5], classes, "made", ""), nodes=2)
