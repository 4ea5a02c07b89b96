"""Algebra on trees against NumPy, dtypes kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdl import tree

RNG = np.random.default_rng(0)
X = {
    "a": jnp.asarray(RNG.standard_normal((4, 3)), jnp.float32),
    "b": [jnp.asarray(RNG.standard_normal(4), jnp.bfloat16)],
}
Y = jax.tree.map(lambda x: x + 1, X)


def same(ours, expected):
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    for a, b, x in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), jax.tree.leaves(X), strict=True):
        assert a.dtype == x.dtype
        np.testing.assert_allclose(np.asarray(a, np.float32), np.asarray(b, np.float32), rtol=1e-2)


def test_algebra_leaf_by_leaf():
    same(tree.add(X, Y), jax.tree.map(lambda x, y: x + y, X, Y))
    same(tree.sub(X, Y), jax.tree.map(lambda x, y: x - y, X, Y))
    same(tree.scale(2.5, X), jax.tree.map(lambda x: np.asarray(x, np.float32) * 2.5, X))
    wide = lambda x: np.asarray(x, np.float32)
    same(tree.axpy(-0.5, X, Y), jax.tree.map(lambda x, y: -0.5 * wide(x) + wide(y), X, Y))


@pytest.mark.parametrize("a", [0.5, np.float64(0.5), jnp.float32(0.5)], ids=["float", "numpy", "array"])
def test_the_dtype_is_that_of_the_tree(a):
    assert all(s.dtype == x.dtype for s, x in zip(jax.tree.leaves(tree.scale(a, X)), jax.tree.leaves(X), strict=True))
    assert all(s.dtype == x.dtype for s, x in zip(jax.tree.leaves(tree.axpy(a, X, Y)), jax.tree.leaves(X), strict=True))


def test_zeros_of_shapes():
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), X)
    same(tree.zeros_like(shapes), jax.tree.map(lambda x: np.zeros(x.shape), X))


def test_norm_and_bits():
    x = {"a": X["a"], "w": jnp.arange(4.0)}
    expected = sum(np.square(np.asarray(leaf)).sum() for leaf in x.values())
    assert float(tree.norm_squared(x)) == pytest.approx(expected, rel=1e-6)
    assert float(tree.norm_squared(())) == 0
    assert tree.bits(X) == 3 * 32 + 16
    assert tree.bits(()) == 0
    assert tree.bits({"k": jnp.zeros((5, 2, 3), jnp.float16), "flag": jnp.zeros(5, bool)}) == 6 * 16 + 8


def test_rows():
    rows = jnp.asarray([2, 0])
    taken = tree.take_rows(X, rows)
    assert np.array_equal(taken["a"], np.asarray(X["a"])[[2, 0]])
    put = tree.put_rows(X, rows, jax.tree.map(jnp.zeros_like, taken))
    assert np.array_equal(np.asarray(put["a"]), np.asarray(X["a"]) * np.array([0, 1, 0, 1])[:, None])
    assert tree.take_rows(X, None) is X and tree.put_rows(X, None, Y) is Y and tree.where_rows(None, X, Y) is X
    mixed = tree.where_rows(jnp.asarray([True, False, False, True]), X, Y)
    assert np.array_equal(mixed["a"][1:3], Y["a"][1:3]) and np.array_equal(mixed["a"][::3], X["a"][::3])
    np.testing.assert_allclose(tree.mean_rows(X)["a"], np.asarray(X["a"]).mean(0), rtol=1e-6)
    assert tree.column(jnp.arange(4.0), jnp.zeros((4, 2, 3))).shape == (4, 1, 1)


def test_three_spellings_of_a_number_are_one_program():
    traces = []
    program = jax.jit(lambda x: traces.append(x) or x["lr"])
    for lr in (1, 1.0, 0.25, np.float64(0.5), np.float32(0.5), jnp.float32(2), jnp.asarray(3.0)):
        (leaf,) = jax.tree.leaves(tree.numbers_to_arrays({"lr": lr}))
        assert leaf.dtype == jnp.float32 and leaf.shape == () and not leaf.weak_type
        program({"lr": leaf})
    assert len(traces) == 1


def test_what_is_no_number_stays():
    given = {
        "ids": jnp.arange(3),
        "flag": jnp.asarray(True),
        "key": jax.random.key(1),
        "table": jnp.ones(2, jnp.bfloat16),
    }
    kept = tree.numbers_to_arrays(given)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), kept) == jax.tree.map(lambda x: (x.shape, x.dtype), given)
