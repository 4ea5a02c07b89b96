"""Private gradients against a NumPy loop over examples, and over three methods that know nothing of them."""

import functools

import jax
import numpy as np
import pytest
import ways
from flax import struct
from programs.private_gradients import PrivateGradients

import jdl
from jdl.types import FULL

N = 8
METHODS = {
    "DPSGD": jdl.algorithms.DPSGD(lr=0.1),
    "GradientTracking": jdl.algorithms.GradientTracking(lr=0.1),
    "FedAvg": jdl.algorithms.FedAvg(lr=0.1, local_steps=2),
}


@functools.cache
def problem():
    return jdl.problems.digits(nodes=N, hidden=0, batch_size=8)


@struct.dataclass
class Gradient:
    """A method whose state is the last gradient of all examples of the node, with these examples; nobody talks."""

    needs = frozenset({"grad"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params, *node.grad(params, FULL)[:1], node.batch(FULL)

    def send(self, state, node):
        return (), state

    def recv(self, state, inbox, node):
        return self.init(state[0], node), {}

    def model(self, state):
        return state[0]


def build(seed=0, algorithm=METHODS["DPSGD"], clip=0.5, noise=0.3, **how):
    graph = None if "peers" not in algorithm.needs else jdl.topology.ring(N)
    oracle = [] if clip is None else [PrivateGradients(clip, noise)]
    return jdl.simulation(problem(), algorithm, graph, oracle=oracle, seed=seed, **how)


def flat(x, lead=1):
    return np.concatenate([np.reshape(leaf, (*leaf.shape[:lead], -1)) for leaf in jax.tree.leaves(x)], axis=lead)


def gradients(noise):
    """From the initial model: the gradients f[n, d] of all nodes, with the model and the examples."""
    params, gradient, batch = ways.state_after(build(algorithm=Gradient(), noise=noise), 1).nodes
    return flat(gradient), jax.tree.map(lambda x: np.asarray(x[0]), params), jax.tree.map(np.asarray, batch)


# One method in the default suite.
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in METHODS if name != "GradientTracking"]


@pytest.mark.parametrize("name", ["GradientTracking", *SLOW])
def test_without_clipping_and_noise_every_method_is_itself(name):
    both = [build(algorithm=METHODS[name], clip=clip, noise=0.0) for clip in (np.inf, None)]
    states = [flat((state.nodes, state.server), 0) for state in (ways.state_after(s, 2) for s in both)]
    np.testing.assert_allclose(*states, rtol=1e-4, atol=1e-6)


def test_gradients_are_the_means_of_clipped_gradients_of_single_examples():
    found, params, (x, y, real) = gradients(noise=0.0)
    bias, kernel = (leaf.astype(float) for leaf in jax.tree.leaves(params))
    for i in range(N):
        each = []
        for image, label in zip(x[i][real[i]].reshape(-1, 64).astype(float), y[i][real[i]], strict=True):
            outputs = image @ kernel + bias
            p = np.exp(outputs - outputs.max())
            error = p / p.sum() - np.eye(10)[label]
            g = np.concatenate([error, np.outer(image, error).ravel()])
            each.append(g * min(1, 0.5 / np.linalg.norm(g)))
        np.testing.assert_allclose(found[i], np.mean(each, axis=0), rtol=1e-4, atol=1e-6)
    assert np.all(np.linalg.norm(found, axis=1) <= 0.5)


def test_noise_has_the_standard_deviation_of_the_paper():
    (exact, _, (_, _, real)), (noisy, _, _) = gradients(0.0), gradients(0.3)
    noise = (noisy - exact) * real.sum(axis=1)[:, None] / (0.3 * 0.5)
    # Of n d = 5,200 draws: the mean and the standard deviation, within four of their own standard deviations.
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size) and abs(noise.std() - 1) < 4 / np.sqrt(2 * noise.size)
    assert np.abs(np.corrcoef(noise) - np.eye(N)).max() < 5 / np.sqrt(noise.shape[1])


@ways.of("private_gradients")
def test_in_all_ways(names):
    ways.check(build, names)
