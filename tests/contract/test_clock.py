"""The clock against max-plus products: one slow node delays its neighbours one hop a round."""

import jax.numpy as jnp
import numpy as np
import ways
from programs.clock import Clock, reading

import jdl
from jdl.compressors import TopK
from jdl.exchange import Lossy

N, DIM = 8, 4
BANDWIDTH = 64.0  # bits a second: a model of 128 bits takes two seconds


def build(seed=0, network=None, compute=None, **how):
    compute = jnp.arange(1.0, N + 1) if compute is None else jnp.asarray(compute, jnp.float32)
    network = [Clock(compute, BANDWIDTH), Lossy(0.3)] if network is None else [Clock(compute, BANDWIDTH), *network]
    problem = jdl.problems.quadratic(nodes=N, dim=DIM)
    graph = jdl.topology.ring(N)
    metrics = {"clock": reading}
    return jdl.simulation(problem, jdl.algorithms.DPSGD(), graph, network, seed=seed, metrics=metrics, **how)


def clock(rounds, network=(), compute=None):
    simulation = build(network=list(network), compute=compute)
    return np.asarray(reading(None, ways.state_after(simulation, rounds), simulation))


def max_plus(compute, message_seconds, rounds):
    """The power of the matrix of a round, applied to zeros: M_ii = compute_i, M_ij = compute_j + message_seconds."""
    distance = np.abs(np.arange(N)[:, None] - np.arange(N))
    distance = np.minimum(distance, N - distance)
    M = np.where(distance == 0, compute, np.where(distance == 1, compute + message_seconds, -np.inf))
    ends = np.zeros(N)
    for _ in range(rounds):
        ends = np.max(M + ends, axis=1)
    return ends


def test_one_slow_node_delays_its_neighbours_one_hop_a_round():
    compute, slow = np.ones(N), np.ones(N) + 4.0 * (np.arange(N) == 2)
    for rounds in range(1, 5):
        usual, late = clock(rounds, compute=compute), clock(rounds, compute=slow)
        np.testing.assert_array_equal(usual, 3.0 * rounds)
        np.testing.assert_array_equal(late, max_plus(slow, 2.0, rounds))
        hops = np.minimum(np.abs(np.arange(N) - 2), N - np.abs(np.arange(N) - 2))
        np.testing.assert_array_equal(late > usual, hops <= rounds)


def test_smaller_messages_arrive_earlier_and_lost_ones_keep_nobody_waiting():
    compute = np.random.default_rng(0).uniform(1, 3, N)
    # One of four numbers: 32 bits, and 2 for its place.
    np.testing.assert_allclose(clock(5, [TopK(0.25)], compute), max_plus(compute, 34 / BANDWIDTH, 5), rtol=1e-6)
    np.testing.assert_allclose(clock(5, [Lossy(1.0)], compute), 5 * compute, rtol=1e-6)


@ways.of("clock")
def test_in_all_ways(names):
    ways.check(build, names)
