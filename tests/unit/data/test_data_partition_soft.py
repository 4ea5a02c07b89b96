"""The soft partition: weights by their law, places by the weights, and minibatches drawn anew from the pool."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from partition_cases import LABELS, N, histogram

import jdl
from jdl.checks import InputError
from jdl.data.partition import Soft
from jdl.data.partition.soft import by_class_weights
from jdl.types import BatchId


def test_places_of_classes_are_the_weights_and_examples_of_a_class_are_dealt_evenly():
    weights = np.random.default_rng(0).dirichlet(np.full(10, 0.3), 30)
    for places in (0, 100, 5000):
        split, m = by_class_weights(weights, LABELS, places), places or N
        assert split.indices.shape == (30, m) and split.indices.dtype == split.counts.dtype == np.int32
        np.testing.assert_array_equal(split.counts, m)
        assert np.all(np.abs(histogram(split, LABELS) - m * weights) < 1)
        for row in split.indices:
            times = np.bincount(row, minlength=N)
            assert max(np.ptp(times[LABELS == label]) for label in range(10)) <= 1


def test_rounding_has_no_bias_and_which_examples_come_once_more_is_drawn():
    weights, labels = np.full((4000, 3), 1 / 3), np.arange(6) % 3
    counts = histogram(by_class_weights(weights, labels, 4), labels)
    assert set(np.unique(counts)) == {1, 2} and abs(counts.mean(0) - 4 / 3).max() < 5 * np.sqrt(2 / 9 / 4000)
    held = by_class_weights(weights, labels, 3, seed=2).indices
    assert np.abs(np.bincount(held.ravel(), minlength=6) / 4000 - 0.5).max() < 5 * np.sqrt(0.25 / 4000)


def test_weights_have_the_variance_of_the_dirichlet_law():
    """Var q = (1/C)(1 - 1/C) / (C alpha + 1), and the nodes draw apart."""
    for alpha in (0.1, 1.0):
        shares = histogram(Soft(alpha, 2000)(LABELS, 800), LABELS) / 2000
        squares = (shares - 0.1) ** 2
        expected, error = 0.09 / (10 * alpha + 1), squares.mean(1).std() / np.sqrt(800)
        assert abs(squares.mean() - expected) < 5 * error < expected
        assert np.abs(np.corrcoef(shares[::2].ravel(), shares[1::2].ravel())[0, 1]) < 5 / np.sqrt(4000)


def test_nodes_share_examples_and_the_seed_decides():
    one, same, other = (Soft(0.3)(LABELS, 20, seed=seed).indices for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.max([len({*a} & {*b}) for a in one[:5] for b in one[5:10]]) > 20


@pytest.mark.parametrize("alpha", [5e-324, 1e-6, 1e6, 1.7e308])
def test_extreme_concentrations_are_taken(alpha):
    split = Soft(alpha, 50)(LABELS, 7)
    pure = (histogram(split, LABELS) > 0).sum(1)
    assert split.counts.tolist() == [50] * 7 and (np.all(pure == 1) if alpha < 1 else np.all(pure == 10))


def test_minibatches_are_drawn_anew_by_class_and_then_alike():
    """200 minibatches of 32: classes by the node's weights, every example of a class as often as the others."""
    labels, weights = np.arange(60) % 3, np.array([[0.7, 0.3, 0.0], [0.1, 0.1, 0.8]])
    data = jdl.data.Dataset(np.arange(60.0)[:, None], labels, np.zeros((3, 1)), np.arange(3), 3, "pool", "")
    built = jdl.problems.Supervised.from_data(
        data, by_class_weights(weights, labels, 600), jdl.models.MLP((), 3), batch_size=32
    )
    zero = jnp.int32(0)
    draw = lambda key: built.batch(jnp.int32(1), BatchId(key=key, order_key=key, t=zero, count=zero, k=zero))[0][:, 0]
    seen = np.asarray(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 200)), int)
    assert len(np.unique(seen, axis=0)) == 200
    shares, count = np.bincount(seen.ravel(), minlength=60) / seen.size, seen.size
    expected = (weights[1] / 20)[labels]
    assert np.all(np.abs(shares - expected) < 5 * np.sqrt(expected * (1 - expected) / count))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Soft(alpha=0), "got alpha=0"),
        (lambda: Soft(places=-1), "got places=-1"),
        (lambda: by_class_weights(np.ones((2, 3)) / 3, np.arange(8) % 4), "each of 4 classes"),
        (lambda: by_class_weights(np.ones((2, 4)), np.arange(8) % 4), "not of sum 1"),
        (lambda: Soft()(LABELS, 10**9), "GiB"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
