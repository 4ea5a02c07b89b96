import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import tree
from jdl.checks import InputError
from jdl.engine.deliveries import traffic_of
from jdl.models import MatrixFactorization
from jdl.types import Wire

MODEL = MatrixFactorization(users=5, items=7, rank=3)
PAIRS = np.array([[0, 0], [4, 6], [2, 6], [2, 1]], np.int32)
RATINGS = np.array([1.0, 5.0, 2.5, 4.0], np.float32)


def shapes(module, x=PAIRS[:1]):
    return jax.eval_shape(module.init, jax.random.key(0), x)


def drawn(*lead):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.standard_normal(lead + leaf.shape).astype(leaf.dtype), shapes(MODEL))


def squares(params):
    return jnp.mean(jnp.square(MODEL.apply(params, PAIRS) - RATINGS.astype(jnp.result_type(float))))


apply = jax.jit(MODEL.apply)


@pytest.mark.parametrize(("users", "items", "rank"), [(5, 7, 3), (943, 1682, 8)])
def test_the_count_is_that_of_the_docstring(users, items, rank):
    found = shapes(MatrixFactorization(users, items, rank))
    assert sum(leaf.size for leaf in jax.tree.leaves(found)) == (users + items) * (rank + 1) + 1
    assert set(found) == {"params"}


def test_ratings_are_those_of_the_formula(x64):
    variables = drawn()
    p, ratings = variables["params"], apply(variables, PAIRS)
    assert ratings.shape == (4,) and ratings.dtype == np.float64
    for rating, (u, i) in zip(ratings, PAIRS, strict=True):
        expected = p["mean"] + p["user_bias"][u] + p["item_bias"][i] + p["user_vectors"][u] @ p["item_vectors"][i]
        np.testing.assert_allclose(rating, expected, rtol=1e-12)


def test_the_start_is_the_mean_and_a_little():
    model = MatrixFactorization(users=50, items=70, rank=4, mean=3.5, deviation=0.1)
    pairs = np.stack([np.arange(50), np.arange(50)], axis=1).astype(np.int32)
    ratings = jax.jit(lambda key: model.apply(model.init(key, pairs[:1]), pairs))(jax.random.key(0))
    assert abs(np.mean(ratings) - 3.5) < 0.02
    assert 0.01 < np.std(ratings) < 0.04  # sqrt(rank) deviation^2 = 0.02


def test_the_gradient_is_the_slope(x64):
    variables, rng, step = drawn(), np.random.default_rng(1), 1e-5
    direction = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape), variables)
    program = jax.jit(jax.value_and_grad(squares))
    ahead, behind = (program(jax.tree.map(lambda p, d, s=s: p + s * d, variables, direction))[0] for s in (step, -step))
    products = jax.tree.map(lambda g, d: float(np.sum(g * d)), program(variables)[1], direction)
    np.testing.assert_allclose(sum(jax.tree.leaves(products)), (ahead - behind) / (2 * step), rtol=1e-8)


def test_one_batch_is_learnt_by_heart_and_other_users_are_not_touched():
    start = jax.tree.map(jnp.asarray, drawn())
    descend = lambda _, params: jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(squares)(params))
    end = jax.jit(lambda params: jax.lax.fori_loop(0, 300, descend, params))(start)
    assert squares(start) > 1 and squares(end) < 1e-4
    same = (start["params"]["user_vectors"] == end["params"]["user_vectors"]).all(axis=1)
    np.testing.assert_array_equal(same, [False, True, False, True, False])


def test_vmapped_equals_looped():
    variables, x = drawn(3), np.stack([PAIRS, PAIRS[::-1], PAIRS % 3])
    together = jax.jit(jax.vmap(MODEL.apply))(variables, x)
    for i in range(3):
        alone = apply(jax.tree.map(lambda leaf, i=i: leaf[i], variables), x[i])
        np.testing.assert_allclose(together[i], alone, rtol=1e-5, atol=1e-6)


def test_nobody_has_the_rating_of_somebody_else():
    ratings = np.asarray(apply(drawn(), np.array([[4, 6], [5, 0], [-1, 0], [0, 7], [0, -1]], np.int32)))
    assert np.isfinite(ratings[0]) and np.isnan(ratings[1:]).all()


def test_users_stay_at_home_and_items_are_averaged():
    """The recipe of the docstring, between three nodes that know each other."""
    private = np.full(3, -1)
    exchange = jdl.exchange.PerModule.of({"user_bias": private, "user_vectors": private})
    own = jax.tree.map(jnp.asarray, drawn(3))
    plan, origin = jdl.topology.complete(3).plan("slots"), jnp.arange(3, dtype=jnp.int32)
    wire = Wire(own, own, jnp.full(3, 49.0 * 32), plan, origin)
    inbox, _, deliveries = jax.jit(exchange.apply)(exchange.init(tree.zeros_like(own)), wire, jax.random.key(0))
    for name, array in own["params"].items():
        mean = jnp.broadcast_to(jnp.mean(array, axis=0, keepdims=True), array.shape)
        expected = array if name.startswith("user") else mean
        np.testing.assert_allclose(inbox["params"][name], expected, rtol=1e-5, atol=1e-6)
    traffic = traffic_of(deliveries)
    np.testing.assert_array_equal(traffic.bits, np.full(3, 2 * (7 * 4 + 1) * 32))  # to two, of items and the mean


@pytest.mark.parametrize(
    ("module", "x", "sentence"),
    [
        (MODEL, np.zeros((2, 3), np.int32), r"got x of type int32 and shape \(2, 3\), need pairs"),
        (MODEL, np.zeros((2, 2), np.float32), "need pairs"),
        (MatrixFactorization(users=0, items=7), PAIRS, "got users=0"),
        (MatrixFactorization(users=5, items=7, rank=0), PAIRS, "got rank=0"),
    ],
)
def test_what_does_not_fit_is_refused(module, x, sentence):
    with pytest.raises(InputError, match=sentence):
        shapes(module, x)
