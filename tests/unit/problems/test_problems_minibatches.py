"""Places of minibatches: each once a pass, in the rule's order, for any number of examples in one program."""

from itertools import chain

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from draws import draw
from scipy.stats import binom, chi2

from jdl.problems.minibatches import SAMPLING, batches, in_row, minibatch
from jdl.problems.poisson import poisson, room

COUNTS = (0, 1, 4, 7)
program = jax.jit(minibatch, static_argnums=(0, 3))


def taken(sampling, count, size, steps, steps_per_round=1, t=0):
    """The real places of so many minibatches of one round, in their order."""
    parts = (program(sampling, draw(k=k, t=t), jnp.int32(count), size, steps_per_round) for k in range(steps))
    return [np.asarray(places)[np.asarray(real)].tolist() for places, real in parts]


@pytest.mark.parametrize("sampling", [word for word in SAMPLING if word not in ("replacement", "poisson")])
@pytest.mark.parametrize("count", COUNTS)
def test_a_pass_takes_each_example_once_and_the_last_batch_what_is_left(sampling, count):
    a_pass = -(-count // 3)
    assert int(batches(jnp.int32(count), 3)) == a_pass
    found = taken(sampling, count, 3, 2 * max(a_pass, 1))
    for one in (found[: len(found) // 2], found[len(found) // 2 :]):
        assert sorted(chain.from_iterable(one)) == list(range(count))
        assert [len(part) for part in one] == ([3] * (count // 3) + [count % 3] * (count % 3 > 0) or [0])
    if sampling == "stream":
        assert found[0] == list(range(min(count, 3)))


def test_rounds_begin_anew_or_go_on():
    """Seven examples in threes, one minibatch a round: three rounds of "epochs" are a pass, of "round" three starts."""
    on = [taken("epochs", 7, 3, 1, t=t)[0] for t in range(3)]
    assert sorted(chain.from_iterable(on)) == list(range(7)) and on == taken("epochs", 7, 3, 3, steps_per_round=3)
    assert on == [*taken("epochs", 7, 3, 2, steps_per_round=2), *taken("epochs", 7, 3, 1, steps_per_round=2, t=1)]
    anew = [taken("round", 7, 3, 1, t=t)[0] for t in range(30)]
    assert len({tuple(part) for part in anew}) > 20  # of 210


@pytest.mark.parametrize("sampling", SAMPLING)
def test_one_program_for_all_counts(sampling):
    program = jax.jit(jax.vmap(lambda count: minibatch(sampling, draw(k=1), count, 2)))
    places, real = program(jnp.array(COUNTS, jnp.int32))
    for row, count in enumerate(COUNTS):
        alone = minibatch(sampling, draw(k=1), jnp.int32(count), 2)
        np.testing.assert_array_equal(places[row], alone[0])
        np.testing.assert_array_equal(real[row], alone[1])
        assert (np.asarray(places[row])[np.asarray(real[row])] < count).all()
    assert not real[0].any() and places.dtype == jnp.int32


def test_parts_of_a_row_are_the_row():
    places, real = in_row(jnp.int32(5), 8)
    assert places.tolist() == list(range(8)) and real.tolist() == [True] * 5 + [False] * 3
    parts = [in_row(jnp.int32(5), 8, jnp.int32(part), 3) for part in range(3)]
    assert sorted(int(p) for places, real in parts for p in places[real]) == list(range(5))


def test_each_example_joins_by_itself():
    """Of 4,000 minibatches of 3 in the mean among 7: the number is binomial, and who joins does not depend on whom."""
    keys = jax.random.split(jax.random.key(5), 4000)
    drawn = jax.jit(jax.vmap(lambda key: poisson(key, jnp.int32(7), 3)))
    places, real = (np.asarray(x) for x in drawn(keys))
    joined = np.zeros((4000, 7))
    for row in range(4000):
        joined[row, places[row][real[row]]] += 1
    assert joined.max() == 1
    q, sizes = 3 / 7, joined.sum(axis=1)
    chances = binom.pmf(np.arange(8), 7, q)
    counts = np.bincount(sizes.astype(int), minlength=8)
    assert np.sum((counts - 4000 * chances) ** 2 / (4000 * chances)) < chi2.ppf(1 - 1e-6, 7)
    both = joined.T @ joined / 4000
    expected = np.where(np.eye(7, dtype=bool), q, q * q)
    assert np.abs(both - expected).max() < 5 * np.sqrt(q * (1 - q) / 4000)


def test_a_minibatch_has_room_for_what_joins():
    sizes = np.arange(1, 3000)
    assert max(scipy.stats.poisson.sf(room(int(size)), size) for size in sizes) < 1e-9  # no binomial has a longer tail
