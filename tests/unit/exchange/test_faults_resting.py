"""Links that rest: models, traffic and seconds against recursions in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl.checks import InputError
from jdl.clock import Clock, Parallel
from jdl.engine.deliveries import traffic_of
from jdl.exchange import RestingLinks
from jdl.types import Wire

N, T = 6, 9
RNG = np.random.default_rng(0)
HALF = np.triu(RNG.uniform(0.1, 0.5, (N, N)), 1)
DELAYS = HALF + HALF.T
RING = jdl.topology.ring(N)
STARTS = RNG.normal(size=(N, 2)).astype(np.float32)


def every_of(graph, delays, most):
    """The multiplicity of each link by the paper's formula; 1 elsewhere."""
    pairs = [(i, j) for i, j in zip(*np.nonzero(graph.weights.toarray()), strict=True) if i != j]
    least = min(delays[i, j] for i, j in pairs)
    every = np.ones((N, N), int)
    for i, j in pairs:
        every[i, j] = min(most, round(delays[i, j] / least))
    return every


@pytest.mark.parametrize("directed", [False, True])
def test_what_rests_is_read_again_and_carries_nothing(directed):
    graph = jdl.topology.designed_ring(DELAYS, directed)
    exchange, every = RestingLinks.of(graph, DELAYS, 4), every_of(graph, DELAYS, 4)
    np.testing.assert_array_equal(exchange.every, every)
    assert len(np.unique(every)) > 2

    def one(carry, t):
        x, state = carry
        wire = Wire(x, x, jnp.full(N, 64.0), graph.plan("slots"), jnp.arange(N, dtype=jnp.int32))
        inbox, state, deliveries = exchange.apply(state, wire, jax.random.key(0))
        return (inbox, state), (inbox, traffic_of(deliveries))

    scan = lambda x: jax.lax.scan(one, (x, exchange.init(x)), jnp.arange(T))[1]
    found, traffic = jax.jit(scan)(jnp.asarray(STARTS))
    W = graph.weights.toarray()
    links = (W != 0) & ~np.eye(N, dtype=bool)
    past = [STARTS.astype(float)]
    for t in range(T):
        old = np.array([[past[t - t % every[i, j]][j] for j in range(N)] for i in range(N)])
        past.append(np.diag(W)[:, None] * past[t] + np.einsum("ij,ijd->id", W * links, old))
        np.testing.assert_array_equal(traffic.messages[t], np.sum(links & (t % every == 0), axis=0))
    np.testing.assert_allclose(found, past[1:], atol=1e-5)


def test_a_round_waits_for_links_that_do_not_rest():
    step = np.array([0.1, 0.1, 0.3, 0.1, 0.1, 0.1])
    clock = Clock(step.astype(np.float32), Parallel(rate=1e30, latency=DELAYS.astype(np.float32)))
    data, method = jdl.problems.quadratic(N), jdl.algorithms.DPSGD(lr=0.1)
    simulation = jdl.simulation(data, method, RING, [RestingLinks.of(RING, DELAYS)], clock=clock)
    seconds = jdl.timing(simulation, T, 1, bits=1.0).simulated_seconds
    every, now, expected = every_of(RING, DELAYS, 5), np.zeros(N), [0.0]
    links = (RING.weights.toarray() != 0) & ~np.eye(N, dtype=bool)
    for t in range(T):
        ready = now + step
        now = np.max(np.where(links & (t % every == 0), ready[None, :] + DELAYS, -np.inf), axis=1)
        now = np.maximum(ready, now)
        expected.append(now.max())
    np.testing.assert_allclose(seconds, expected, rtol=1e-5)


def test_wrong_delays_and_graphs_are_refused():
    with pytest.raises(InputError, match="got delays of links that are 0, negative or not finite"):
        RestingLinks.of(RING, np.zeros((N, N)))
    with pytest.raises(InputError, match=r"got delays of shape \(2, 2\), need \[6, 6\]"):
        RestingLinks.of(RING, np.ones((2, 2)))
    data, method = jdl.problems.quadratic(N), jdl.algorithms.DPSGD()
    with pytest.raises(InputError, match="RestingLinks that needs 'fixed_links'"):
        jdl.simulation(data, method, jdl.schedule.Matching(N), [RestingLinks.of(RING, DELAYS)])
    with pytest.raises(InputError, match="GradientTracking that needs 'doubly_stochastic'"):
        jdl.simulation(data, jdl.algorithms.GradientTracking(), RING, [RestingLinks.of(RING, DELAYS)])
    with pytest.raises(InputError, match=r"got every of shape \(7, 7\), need \[6, 6\]"):
        jdl.simulation(data, method, RING, [RestingLinks.of(jdl.topology.ring(7), np.ones((7, 7)))])
