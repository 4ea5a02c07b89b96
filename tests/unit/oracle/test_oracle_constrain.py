"""The constrain-and-scale loss: its gradient by hand, its limits, and rounds with what is scaled, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracle_cases import about, flat, grad, model, numpy_gradients, same, small

import jdl
from jdl.oracle import Backdoor, ConstrainAndScale, as_oracle
from jdl.types import FULL, PUBLIC

POISON = Backdoor(1, size=1, value=7.0)
LIAR = {"honest": jnp.bool_(False)}


def of(*parts):
    return as_oracle(list(jdl.tree.numbers_to_arrays(parts)))


@pytest.mark.parametrize("squared", [True, False])
def test_the_gradient_is_that_of_the_poison_and_of_the_distance(squared):
    problem = small()
    x, start = model(problem, 0), model(problem, 1)
    both, memory = of(ConstrainAndScale(0.7, squared), POISON), (start, (), ())
    found = flat(grad(both, about(problem, 2, memory=memory, **LIAR), x, FULL))

    inputs, labels, real = of(POISON).batch(about(problem, 2, **LIAR), FULL)
    assert np.all(real) and np.any(np.asarray(inputs) == 7)
    poisoned = numpy_gradients(x, inputs, labels).mean(axis=0)
    gap = np.asarray(flat(x), np.float64) - flat(start)
    pull = 2 * gap if squared else gap / np.linalg.norm(gap)
    np.testing.assert_allclose(found, 0.7 * poisoned + 0.3 * pull, rtol=1e-5, atol=1e-6)

    at_start = flat(grad(both, about(problem, 2, memory=memory, **LIAR), start, FULL))
    np.testing.assert_allclose(at_start, 0.7 * numpy_gradients(start, inputs, labels).mean(axis=0), rtol=1e-5)


def test_honest_nodes_public_data_and_an_alpha_of_one_are_as_without_it():
    problem = small().replace(public_x=jnp.ones((3, 2)), public_y=jnp.zeros(3, jnp.int32))
    x, memory = model(problem, 0), (model(problem, 1), (), ())
    both, alone = of(ConstrainAndScale(0.7), POISON), of(POISON)
    whole = of(ConstrainAndScale(1.0), POISON)
    for oracle, which, who in ((both, FULL, {}), (both, PUBLIC(0), LIAR), (whole, FULL, LIAR)):
        plain = grad(alone, about(problem, 2, **who), x, which)
        assert same(grad(oracle, about(problem, 2, memory=memory, **who), x, which), plain)


def test_rounds_begin_where_the_last_one_ended_and_the_lie_is_scaled():
    """Three rounds of two local steps over a complete graph, in NumPy."""
    n, lr, alpha, honest = 4, 0.1, 0.6, np.array([True, True, False, True])
    problem = jdl.problems.quadratic(n, dim=3, seed=2)
    start = np.random.default_rng(0).standard_normal((n, 3))
    built = jdl.simulation(
        problem,
        jdl.algorithms.DPSGD(lr=lr, local_steps=2),
        jdl.topology.complete(n),
        [jdl.exchange.ModelReplacement()],
        oracle=[ConstrainAndScale(alpha, squared=True)],
        roles=jdl.roles.of(honest=honest),
    )
    rounds = jax.jit(lambda s, x: jdl.sim.advance(s, jdl.sim.init(s, x), jnp.int32(3))[0].nodes.x)
    found = np.asarray(rounds(built, jnp.asarray(start, jnp.float32)))

    A, b, x = np.asarray(problem.A, np.float64), np.asarray(problem.b, np.float64), start
    for _ in range(3):
        y = x
        for _ in range(2):
            g = np.einsum("ide,ie->id", A, y) - b
            y = y - lr * np.where(honest[:, None], g, alpha * g + (1 - alpha) * 2 * (y - x))
        centre = y[honest].mean(axis=0)
        sent = np.where(honest[:, None], y, centre + n * (y - centre))
        mean = sent.mean(axis=0)
        x = mean + np.where(honest[:, None], 0, (y - sent) / n)
    np.testing.assert_allclose(found, x, rtol=2e-5, atol=1e-5)
