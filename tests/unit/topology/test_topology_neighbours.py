"""Effective neighbours: the published numbers, the definition solved another way, and one path against the other."""

import networkx as nx
import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

from jdl.checks import InputError
from jdl.topology import Topology, complete, exponential, from_graph, one_peer_exponential, random_regular, ring, torus
from jdl.topology.spectrum import neighbours
from jdl.topology.spectrum.neighbours import effective_neighbours
from jdl.topology.topology import grouped
from jdl.topology.weights.weighted import weighted


@pytest.mark.parametrize(
    ("topology", "expected"),
    [
        (ring(32), 8.86),
        (torus(32, rows=4), 20.64),
        (from_graph(nx.convert_node_labels_to_integers(nx.hypercube_graph(5))), 24.29),
        (complete(32), 32),
    ],
    ids=["ring", "torus", "hypercube", "complete"],
)
def test_published_numbers(topology, expected):
    """Vogels, Hendrikx, Jaggi 2022: n = 32, weights 1 / (1 + largest degree), gamma = 0.951."""
    found = effective_neighbours(topology, gamma=0.951)
    assert round(found.mean, 2) == expected
    assert found.worst == pytest.approx(found.mean) and found.error == 0  # all nodes are alike


def plain(topology):
    return Topology(topology.name, topology.weights, topology.stochastic, topology.symmetric)


def lyapunov(topology, gamma):
    W = topology.weights.toarray()
    variance = np.diag(solve_discrete_lyapunov(np.sqrt(gamma) * W, W @ W.T))
    return 1 / (1 - gamma) / variance


DIGRAPH = from_graph(nx.gnp_random_graph(40, 0.15, seed=1, directed=True))


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.99])
@pytest.mark.parametrize(
    "topology",
    [from_graph(nx.star_graph(9)), DIGRAPH, plain(exponential(12)), exponential(12), weighted(ring(9), "lazy")],
    ids=["star", "column stochastic", "not symmetric", "circulant", "lazy"],
)
def test_against_a_lyapunov_solver(topology, gamma):
    found = effective_neighbours(topology, gamma)
    expected = lyapunov(topology, gamma)
    np.testing.assert_allclose(found.each, expected, rtol=1e-9)
    assert found.worst == pytest.approx(expected.min()) and found.mean == pytest.approx(1 / np.mean(1 / expected))


def test_the_mean_is_that_of_the_spectrum():
    topology, gamma = random_regular(50, 3, seed=0), 0.9
    square = np.linalg.eigvalsh(topology.weights.toarray()) ** 2
    expected = 1 / (1 - gamma) / np.mean(square / (1 - gamma * square))
    assert effective_neighbours(topology, gamma).mean == pytest.approx(expected, rel=1e-10)


def test_limits():
    assert effective_neighbours(ring(1), 0.9).mean == pytest.approx(1)
    alone = from_graph(nx.empty_graph(4), allow_disconnected=True)
    np.testing.assert_allclose(effective_neighbours(alone, 0.9).each, 1)
    np.testing.assert_allclose(effective_neighbours(grouped("g", np.array([0, 0, 1, 1, 1])), 0.5).each, [2, 2, 3, 3, 3])
    np.testing.assert_allclose(effective_neighbours(ring(16), 1 - 1e-9).each, 16, rtol=1e-6)  # all the time there is


def test_a_cycle_settles_into_a_periodic_state():
    phases, gamma = one_peer_exponential(12), 0.8
    S = np.zeros((12, 12))
    for t in range(400):
        W = phases[t % 4].weights.toarray()
        S = W @ (gamma * S + np.eye(12)) @ W.T
        if t == 395:
            total = np.zeros(12)
        if t >= 396:
            total += np.diag(S) / 4
    expected = 1 / (1 - gamma) / total
    for cycle in (phases, [plain(phase) for phase in phases]):
        np.testing.assert_allclose(effective_neighbours(cycle, gamma).each, expected, rtol=1e-10)


@pytest.mark.parametrize("kind", ["regular", "irregular", "cycle", "column"])
def test_probes_agree_with_the_solution_within_their_error(monkeypatch, kind):
    topology = {
        "regular": lambda: random_regular(300, 4, seed=1),
        "irregular": lambda: from_graph(nx.barabasi_albert_graph(300, 2, seed=1)),
        "cycle": lambda: [random_regular(300, 3, seed=s) for s in range(3)],
        "column": lambda: from_graph(nx.gnp_random_graph(300, 0.05, seed=5, directed=True)),
    }[kind]()
    exact = effective_neighbours(topology, 0.9)
    monkeypatch.setattr(neighbours, "DENSE_NODES", 0)
    found = effective_neighbours(topology, 0.9)
    assert exact.error == 0 < found.error < 0.05
    off = np.sqrt(np.mean((found.each / exact.each - 1) ** 2))
    # What all nodes have in common is no estimate of many numbers but of one, unless the mean is kept, and left out.
    assert 0.5 * found.error < off < (3 if kind == "column" else 1.5) * found.error
    assert found.mean == pytest.approx(exact.mean, rel=0.05 if kind == "column" else 0.01)
    # The nodes that seem worst are computed anew, so that noise does not make one worse than it is.
    assert exact.worst * (1 - 1e-6) <= found.worst < exact.worst * 1.03


def test_nodes_that_are_alike_are_found_to_be(monkeypatch):
    lattice = plain(torus(64))
    waves = np.cos(2 * np.pi * np.arange(8) / 8)
    formula = (1 + 2 * waves[:, None] + 2 * waves[None, :]).ravel() / 5
    told = Topology("told", lattice.weights, symmetric=True, spectrum=lambda: formula)
    exact = effective_neighbours(lattice, 0.9)
    monkeypatch.setattr(neighbours, "DENSE_NODES", 0)
    found = effective_neighbours(told, 0.9)
    assert found.error == 0
    np.testing.assert_allclose(found.each, exact.each, rtol=1e-6)


def test_refusals():
    for gamma in (1, -0.1, "0.9"):
        with pytest.raises(InputError, match=r"need a number from 0 to less than 1; try gamma=0\.95"):
            effective_neighbours(ring(4), gamma)
