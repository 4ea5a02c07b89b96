"""Inputs from gradients: exactly, of one example on the wires of a run, and as a weighted mean of several."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import privacy
from jdl.checks import InputError


def test_inputs_are_found_to_the_last_digit():
    rng = np.random.default_rng(0)
    x, delta = rng.standard_normal((5, 7)), rng.standard_normal((5, 3))
    delta[4] = 0
    found = privacy.inverted(x[:, :, None] * delta[:, None], delta)
    np.testing.assert_allclose(found[:4], x[:4], rtol=1e-12)
    assert np.isnan(found[4]).all()
    # Of several examples in one gradient it is a mean whose weights are the entries of the output that is taken.
    best = np.argmax(np.abs(delta.sum(axis=0)))
    mean = delta[:, best] @ x / delta[:, best].sum()
    np.testing.assert_allclose(privacy.inverted(x.T @ delta, delta.sum(axis=0)), mean, rtol=1e-9)
    for kernel, bias in ((np.ones((2, 3)), np.ones(2)), (np.ones(3), np.ones(3)), (np.ones((2, 3)), 1.0)):
        with pytest.raises(InputError, match="one layer"):
            privacy.inverted(kernel, bias)


def test_the_messages_of_a_round_betray_the_images_of_nodes():
    n = 3
    problem = jdl.problems.digits(nodes=n, hidden=0)
    problem = problem.replace(num_examples=jnp.ones(n, jnp.int32))
    with jax.enable_x64(True):
        simulation = jdl.simulation(problem, jdl.algorithms.DPSGD(lr=0.3), jdl.topology.ring(n))
        state = jdl.sim.init(simulation)
        (wire,) = jax.jit(jdl.sim.wires)(simulation, state)
        change = jax.tree.map(
            lambda sent, model: np.asarray(sent) - np.asarray(model), wire.sent, jdl.sim.models(simulation, state)
        )
    bias, kernel = jax.tree.leaves(change)
    rows = np.asarray(problem.indices)[:, 0]
    np.testing.assert_array_equal(np.argmax(np.abs(bias), axis=1), np.asarray(problem.train_y)[rows])
    images = np.asarray(problem.train_x)[rows].reshape(n, -1)
    np.testing.assert_allclose(privacy.inverted(kernel, bias), images, atol=1e-4)
