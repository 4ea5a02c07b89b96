"""Gossip alone: contraction by lambda_2 to seven digits, push-sum, CHOCO-gossip, D2's condition on lambda_n."""

import beds
import jax
import numpy as np
import plan_reading
import pytest

import jdl
from jdl import algorithms, exchange, topology
from jdl.compressors import TopK

pytestmark = pytest.mark.usefixtures("x64")


def ring():
    graph = topology.ring(10)
    return graph, (1 + 2 * np.cos(2 * np.pi / 10)) / 3, np.cos(2 * np.pi * np.arange(10) / 10)


def torus():
    graph = topology.torus(25)
    return graph, (3 + 2 * np.cos(2 * np.pi / 5)) / 5, np.repeat(np.cos(2 * np.pi * np.arange(5) / 5), 5)


def exponential():
    """Eigenvalues lie in the plane, but W is normal: the real part of a Fourier mode keeps its norm when it turns."""
    graph = topology.exponential(16)
    return graph, (4 - 1) / (4 + 1), np.cos(2 * np.pi * np.arange(16) * 8 / 16)


def random_regular():
    """No closed form: eigenvalues by LAPACK from the adjacency matrix alone, W = (I + A) / 5."""
    graph = topology.random_regular(12, degree=4, seed=1)
    adjacency = np.zeros((12, 12))
    adjacency[tuple(graph.edges.T)] = 1
    values, vectors = np.linalg.eigh((np.eye(12) + adjacency + adjacency.T) / 5)
    order = np.argsort(-np.abs(values))
    return graph, abs(values[order[1]]), vectors[:, order[1]]


@pytest.mark.parametrize("make", [ring, torus, exponential, random_regular])
def test_disagreement_contracts_by_lambda_2(make):
    graph, expected, mode = make()
    assert topology.lambda_2(graph) == pytest.approx(expected, rel=1e-12)
    X = 3.0 + mode[:, None] * np.arange(1.0, beds.DIM + 1)
    problem = beds.quadratic(n=graph.n)
    models, _, _ = beds.trajectory(jdl.simulation(problem, algorithms.DPSGD(lr=0.0), graph), 20, X)
    size = np.linalg.norm(models - models.mean(axis=1, keepdims=True), axis=(1, 2))
    np.testing.assert_allclose(size[1:] / size[:-1], expected, rtol=1e-9)
    np.testing.assert_allclose(models.mean(axis=1), np.broadcast_to(models[0].mean(0), (21, beds.DIM)), atol=1e-13)


@pytest.mark.parametrize("kind", [algorithms.DGD, algorithms.GradientTracking, algorithms.AugDGM, algorithms.PushSum])
def test_a_random_start_ends_at_the_rate_of_lambda_2(kind):
    """By power iteration, for every method that mixes once with W."""
    graph, expected, _ = ring()
    simulation = jdl.simulation(beds.quadratic(n=10), kind(lr=0.0), graph)
    models, _, _ = beds.trajectory(simulation, 200, beds.start(n=10))
    size = np.linalg.norm(models - models.mean(axis=1, keepdims=True), axis=(1, 2))
    assert (size[120] / size[80]) ** (1 / 40) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("eigenvalue", [-0.30, -0.40])
def test_d2_is_stable_only_above_minus_a_third(eigenvalue):
    """The consensus mode of D2 at lr = 0 obeys z^2 = lambda (2 z - 1): roots of modulus .924 and 1.148."""
    a = (1 + eigenvalue) / 2
    W = np.array([[a, 1 - a], [1 - a, a]])
    models, _, _ = beds.trajectory(jdl.simulation(beds.quadratic(n=2), algorithms.D2(lr=0.0), W), 120, beds.start(n=2))
    gap = np.linalg.norm(models[:, 0] - models[:, 1], axis=1)
    growth = np.abs(np.roots([1, -2 * eigenvalue, eigenvalue])).max()
    assert (gap[120] / gap[100]) ** (1 / 20) == pytest.approx(growth, rel=1e-6)
    assert (gap[120] > gap[0]) == (eigenvalue < -1 / 3)


def test_push_sum_finds_the_mean_on_a_digraph_and_its_weights_are_why():
    P, X = beds.directed_column(), beds.start()
    graph = topology.from_weights(P, stochastic="column")
    simulation = jdl.simulation(beds.quadratic(), algorithms.PushSum(lr=0.0), graph)
    models, nodes, _ = beds.trajectory(simulation, 200, X)
    np.testing.assert_allclose(np.asarray(nodes.w).sum(axis=1), beds.N, rtol=1e-13)
    np.testing.assert_allclose(models[-1], np.broadcast_to(X.mean(0), X.shape), atol=1e-10)
    numerator = np.asarray(nodes.x)[-1]
    np.testing.assert_allclose(numerator.mean(0), X.mean(0), atol=1e-12)
    assert np.abs(numerator - X.mean(0)).max() > 0.05


def test_push_sum_survives_lost_links():
    """Mass is kept by the sender: the sum of weights stays n and the limit stays the exact mean."""
    X, graph = beds.start(), topology.from_weights(beds.directed_column(), stochastic="column")
    simulation = jdl.simulation(beds.quadratic(), algorithms.PushSum(lr=0.0), graph, [exchange.Lossy(0.3)])
    models, nodes, _ = beds.trajectory(simulation, 400, X)
    np.testing.assert_allclose(np.asarray(nodes.w).sum(axis=1), beds.N, rtol=1e-12)
    np.testing.assert_allclose(models[-1], np.broadcast_to(X.mean(0), X.shape), atol=1e-10)


def test_push_sum_reads_failing_directed_doubly_stochastic_links_as_column_stochastic():
    X = beds.start()
    graph = topology.exponential(beds.N)
    simulation = jdl.simulation(beds.quadratic(), algorithms.PushSum(lr=0.0), graph, [exchange.Lossy(0.3)])
    models, nodes, _ = beds.trajectory(simulation, 300, X)
    np.testing.assert_allclose(models[-1], np.broadcast_to(X.mean(0), X.shape), atol=1e-10)
    assert np.abs(np.asarray(nodes.w) - 1).max() > 0.05


@pytest.mark.parametrize("graph", [topology.ring(8), topology.torus(9)], ids=["ring", "torus"])
def test_choco_gossip_keeps_the_mean_and_converges_linearly_to_it(graph):
    """Top 2 of 5 entries, gamma 0.2, 3,000 rounds: the figures of cross-check 16."""
    X = beds.start(n=graph.n)
    network = [exchange.Choco(gamma=0.2, compressor=TopK(0.4))]
    simulation = jdl.simulation(beds.quadratic(n=graph.n), algorithms.DPSGD(lr=0.0), graph, network)
    models, _, _ = beds.trajectory(simulation, 3000, X)
    np.testing.assert_allclose(models.mean(axis=1), np.broadcast_to(X.mean(0), (3001, beds.DIM)), atol=1e-11)
    distance = np.linalg.norm(models - X.mean(0), axis=(1, 2))
    assert distance[-1] < 1e-8
    # Linear: until it reaches the rounding floor, every 100 rounds gain at least a fixed factor.
    before, after = distance[0:2901:100], distance[100:3001:100]
    assert np.all((after < 0.9 * before) | (after < 1e-12))
    assert distance[20] > 1e-8


def test_lost_undirected_links_keep_the_mean():
    X = beds.start()
    simulation = jdl.simulation(beds.quadratic(), algorithms.DPSGD(lr=0.0), beds.symmetric(), [exchange.Lossy(0.5)])
    models, _, _ = beds.trajectory(simulation, 300, X)
    np.testing.assert_allclose(models.mean(axis=1), np.broadcast_to(X.mean(0), (301, beds.DIM)), atol=1e-12)
    assert np.abs(models[-1] - X.mean(0)).max() < 1e-8


def test_one_peer_exponential_averages_exactly_in_one_period():
    X = beds.start()
    cycle = topology.one_peer_exponential(8)
    models, _, _ = beds.trajectory(jdl.simulation(beds.quadratic(), algorithms.DPSGD(lr=0.0), cycle), 3, X)
    np.testing.assert_allclose(models[3], np.broadcast_to(X.mean(0), X.shape), atol=1e-14)
    assert np.abs(models[2] - X.mean(0)).max() > 0.05


def test_random_matchings_halve_disagreement_on_average():
    """A round leaves (n - 2) / (2 (n - 1)) of the squared disagreement in expectation: Boyd et al. 2006, to 5 sigma."""
    x = beds.start()[:, 0] - beds.start()[:, 0].mean()
    W = plan_reading.rounds(jdl.schedule.Matching(8), 4096, jax.random.key(0)).W[:, 0]
    left = np.square(W @ x).sum(axis=1) / np.square(x).sum()
    expected = (8 - 2) / (2 * (8 - 1))
    assert abs(left.mean() - expected) < 5 * left.std() / np.sqrt(len(left))
