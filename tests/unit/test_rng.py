"""Keys are named, and orders drawn without being made are uniform."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

import jdl
from jdl.engine import xla
from jdl.engine.state import Code
from jdl.problems.orders import shuffled
from jdl.rng import STREAMS, fold_in, integers, key_of


def test_streams_are_numbered_apart():
    assert len(set(STREAMS.values())) == len(STREAMS)
    root = jax.random.key(0)
    keys = jax.jit(lambda root: [jax.random.key_data(key_of(root, name, 3)) for name in STREAMS])(root)
    assert len({tuple(key.tolist()) for key in keys}) == len(STREAMS)


@pytest.fixture(params=[False, True], ids=["written out", "of JAX"])
def generator(request, monkeypatch):
    """The generator that users run, and the one of programs that should compile fast, as those of tests."""
    monkeypatch.setattr(xla, "COMPILE_FAST", request.param)


def test_keys_and_bits_are_those_of_jax(generator):
    """A fold is JAX's own; a whole number is the product of JAX's bits and the bound, over 2^32."""
    ids, below = jnp.arange(-2, 4, dtype=jnp.int32), np.array([1, 2, 10, 60_000, 2**20 + 7, 2**31 - 1])

    @jax.jit
    def drawn(root, ids, below):
        ours = jax.vmap(lambda i: fold_in(root, 5, i))(ids)
        theirs = jax.vmap(lambda i: jax.random.fold_in(jax.random.fold_in(root, 5), i))(ids)
        bits = jax.vmap(lambda key: jax.random.bits(key, (50,), jnp.uint32))(theirs)
        numbers = jax.vmap(lambda key, below: integers(key, 50, below))(ours, below)
        return jax.random.key_data(ours), jax.random.key_data(theirs), bits, numbers

    ours, theirs, bits, numbers = map(np.asarray, drawn(jax.random.key(3), ids, jnp.asarray(below, jnp.int32)))
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(numbers, bits.astype(np.uint64) * below[:, None].astype(np.uint64) >> np.uint64(32))


def test_runs_draw_alike_with_both_generators(monkeypatch):
    """Minibatches, orders and compressors, three nodes at a time: the models of users' programs are those of tests'."""
    problem = jdl.problems.digits(nodes=4, hidden=0, batch_size=5)
    parts = problem, jdl.algorithms.DPSGD(lr=0.3), jdl.topology.ring(4), [jdl.compressors.RandK(0.5)]
    ends = []
    for fast in (False, True):
        monkeypatch.setattr(xla, "COMPILE_FAST", fast)
        # Traces are kept for each `code`; those of one generator must not serve the other.
        built = jdl.simulation(*parts, mapping=3).replace(code=Code(*[f"draws of a fast compiler: {fast}"] * 3))
        program = jax.jit(lambda s: jdl.sim.advance(s, jdl.sim.init(s), 3)[0].nodes.x).lower(built)
        assert ("call @threefry(" in program.as_text()) != fast
        ends.append(program.compile()(built))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *ends)


@functools.partial(jax.jit, static_argnums=2)
def orders(keys, sizes, most=60):
    """For each key and size, where the first places of its order lie; places beyond the size ask for the last."""
    places = jnp.arange(most, dtype=jnp.int32)
    return jax.vmap(lambda key, size: shuffled(key, jnp.minimum(places, size - 1), size))(keys, sizes)


def test_an_order_holds_each_number_once_whatever_its_size():
    sizes = jnp.arange(1, 61, dtype=jnp.int32)
    found = np.asarray(orders(jax.random.split(jax.random.key(1), 60), sizes))
    for size, order in zip(range(1, 61), found, strict=True):
        assert sorted(order[:size].tolist()) == list(range(size))


def test_large_orders_are_orders_too():
    size = 70_001  # more than 16 bits
    found = np.asarray(jax.jit(shuffled)(jax.random.key(2), jnp.arange(size, dtype=jnp.int32), jnp.int32(size)))
    assert np.array_equal(np.sort(found), np.arange(size))
    assert abs(np.corrcoef(found, np.arange(size))[0, 1]) < 5 / np.sqrt(size)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_all_orders_of_a_few_are_equally_likely(size):
    draws = 24_000
    found = np.asarray(orders(jax.random.split(jax.random.key(size), draws), jnp.full(draws, size, jnp.int32), 5))
    found = found[:, :size]
    counts = [np.all(found == np.array(order), axis=1).sum() for order in itertools.permutations(range(size))]
    expected = draws / len(counts)
    assert sum(counts) == draws
    assert np.sum((np.array(counts) - expected) ** 2) / expected < chi2.ppf(1 - 1e-4, len(counts) - 1)


def test_pairs_of_places_are_independent():
    draws, size = 20_000, 60
    found = np.asarray(orders(jax.random.split(jax.random.key(9), draws), jnp.full(draws, size, jnp.int32)))
    for one, other in ((0, 1), (0, 59), (7, 31)):
        table = np.histogram2d(found[:, one] // 10, found[:, other] // 10, bins=[range(7), range(7)])[0]
        same, apart = 10 * 9 / (60 * 59), 100 / (60 * 59)
        expected = draws * np.where(np.eye(6, dtype=bool), same, apart)
        assert np.sum((table - expected) ** 2 / expected) < chi2.ppf(1 - 1e-4, 35)
