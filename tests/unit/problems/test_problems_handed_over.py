"""What users hand over to problems: data, partitions and models; measured in 32 bits; notes on what is odd."""

import warnings

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draws import draw

from jdl import checks, models, problems
from jdl.data import Dataset
from jdl.data.partition import Dirichlet
from jdl.problems.arrays import widened
from jdl.problems.division import divide, rule_of
from jdl.problems.fitting import fit, say_scale
from jdl.problems.losses import losses, right
from jdl.problems.supervised import Supervised

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)
DATA = Dataset(X[:30], Y[:30], X[30:], Y[30:], num_classes=2, name="t", source="")
BAD = DATA._replace(train_x=np.where(np.arange(150).reshape(30, 5) == 7, np.nan, X[:30]))


@pytest.mark.parametrize("make", [problems.supervised, problems.logistic_regression])
def test_problems_check_data_as_loaders_do(make):
    with pytest.raises(checks.InputError, match="got t with train_x that is not finite in 32 bits: nan in example 1"):
        make(BAD, nodes=2)
    with pytest.raises(checks.InputError, match="got data of type int"):
        make(3, nodes=2)


def test_problems_take_lists_and_pairs_and_partitions_of_ones_own():
    lists = DATA._replace(train_x=X[:30].tolist(), train_y=Y[:30].tolist())
    owner = np.arange(30) % 3
    problem = problems.supervised(lists, nodes=3, model="linear", partition=owner)
    np.testing.assert_array_equal(problem.indices[1], np.flatnonzero(owner == 1))
    np.testing.assert_array_equal(problem.train_x, X[:30])
    assert problems.logistic_regression(
        (X, Y), nodes=2, partition=[range(20), list(range(20, 32))]
    ).num_examples.tolist() == [
        20,
        12,
    ]
    with pytest.raises(checks.InputError, match="got partition as 30 numbers from 0 to 2, need the node, 0 to 3"):
        problems.digits(nodes=4, hidden=0, partition=owner)


def test_bytes_are_scaled_in_logistic_regression_too():
    grey = RNG.integers(0, 256, (30, 5)).astype(np.uint8)
    grey[0] = 255
    made = problems.logistic_regression(
        DATA._replace(train_x=grey, test_x=grey[:10], train_y=Y[:30].astype(np.uint8)), nodes=1
    )
    expected = np.concatenate([grey / np.float32(255), np.ones((30, 1), np.float32)], axis=1)
    np.testing.assert_allclose(made.features[0], expected[made_order(made, expected)], rtol=1e-6)
    assert sorted(set(np.asarray(made.labels).ravel().tolist())) == [-1, 1]


def made_order(made, expected):
    place = {tuple(np.round(row, 5)): k for k, row in enumerate(expected)}
    return [place[tuple(np.round(row, 5))] for row in np.asarray(made.features[0])]


def test_features_of_logistic_regression_that_are_not_finite_are_told():
    features = np.ones((2, 3, 4), np.float32)
    features[1, 2] = np.nan  # padding, which is not looked at
    features[0, 1, 1] = np.inf
    with pytest.raises(checks.InputError, match="got features that are not finite for 1 of 5 examples"):
        problems.Logistic.from_arrays(features, np.ones((2, 3)), [3, 2])


class Train(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(2)(x)


class Whole(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(x) + self.param("count", lambda key: jnp.zeros((), jnp.int32)).astype(x.dtype)


class Chosen(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(x).astype(jnp.int32)


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (
            Train(),
            r"got Train, of which Python says: .*missing 1 required positional argument: 'train'. Need",
        ),
        (Whole(), r"got a model with the parameter count of type int32, need real numbers, which have gradients"),
        (Chosen(), r"got a model that returns int32, need real numbers"),
    ],
)
def test_models_that_cannot_be_learnt_are_told(module, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        problems.supervised(DATA, nodes=2, model=module)


def test_images_with_channels_first_are_told_to_named_models():
    images = DATA._replace(train_x=np.zeros((30, 3, 32, 32), np.uint8), test_x=np.zeros((10, 3, 32, 32), np.uint8))
    for name in ("lenet", "resnet8", "linear", None):
        with pytest.raises(checks.InputError, match=r"channels first, need \[N, height, width, channels\]; try"):
            fit(images, name)
    own = models.Linear(classes=2)
    assert fit(images, own) == (own, images)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_losses_and_hits_are_measured_in_32_bits(dtype):
    outputs = jnp.asarray(RNG.normal(size=(997, 10)), dtype)
    y = RNG.integers(0, 10, 997).astype(np.int32)
    z = np.asarray(outputs.astype(jnp.float32), np.float64)
    expected = np.log(np.exp(z).sum(axis=1)) - z[np.arange(997), y]
    measured, hits = losses(outputs, jnp.asarray(y)), right(outputs, jnp.asarray(y))
    assert measured.dtype == hits.dtype == jnp.float32
    np.testing.assert_allclose(measured, expected, rtol=2e-6)
    assert abs(float(jnp.mean(hits)) - np.mean(z.argmax(axis=1) == y)) < 1e-6
    real = RNG.normal(size=997).astype(np.float32)
    squares = losses(outputs[:, :1], jnp.asarray(real))
    assert squares.dtype == jnp.float32
    np.testing.assert_allclose(squares, (z[:, 0] - real) ** 2, rtol=1e-5, atol=1e-9)


def test_nodes_without_data_are_noted_where_they_are_many():
    data = DATA._replace(train_x=X[:30])
    with pytest.warns(checks.Note, match="30 examples for 100 nodes: 70 nodes hold none"):
        divide(data, 100, rule_of("iid"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        divide(data, 30, rule_of("iid"))


@pytest.mark.parametrize(
    ("scale", "noted"), [(1, False), (50, False), (30_000, True), (np.array([1, 1, 1, 1, 5e4], np.float32), True)]
)
def test_features_of_unlike_scale_are_noted(scale, noted):
    data = DATA._replace(train_x=X[:30] * np.float32(scale) if np.ndim(scale) == 0 else X[:30] * scale)
    if noted:
        with pytest.warns(checks.Note, match=r"features of t vary by .* scale them first"):
            say_scale(data)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            say_scale(data)


def test_the_table_of_minibatches_has_a_width_that_many_seeds_share():
    """A width of its own for each seed of the data would be a program of its own to compile."""
    shapes = {
        problems.supervised(
            DATA, nodes=3, model="linear", partition=Dirichlet(alpha=1.0), batch_size=4, seed=seed
        ).indices.shape
        for seed in range(6)
    }
    assert shapes <= {(3, 16), (3, 32)}
    table = np.arange(33).reshape(3, 11)
    np.testing.assert_array_equal(widened(table, 4)[:, :11], table)
    assert widened(table, 4).shape == (3, 16)
    for batch_size in (0, 11, 12):  # all of a node's examples, whose sum would have other terms
        assert widened(table, batch_size) is table


@pytest.mark.parametrize("sampling", ["replacement", "epochs"])
def test_the_width_of_the_table_does_not_change_what_is_drawn(sampling):
    problem = problems.supervised(DATA, nodes=2, model="linear", batch_size=4, sampling=sampling)
    narrow = problem.replace(indices=problem.indices[:, : int(problem.num_examples.max())])
    assert problem.indices.shape[1] == 16 and narrow.indices.shape[1] == 15 and isinstance(problem, Supervised)
    which = draw(1, t=1, order=9)
    batch = jax.jit(type(problem).batch)
    for one, other in zip(batch(problem, 0, which), batch(narrow, 0, which), strict=True):
        np.testing.assert_array_equal(one, other)
