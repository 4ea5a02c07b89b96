"""Push-pull against a NumPy loop with its two matrices, its limit, and its invariant over links that fail."""

import numpy as np
import ways
from programs.push_pull import PushPull

import jdl
from jdl.exchange import Lossy

N, LR = 8, 0.15


def links() -> np.ndarray:
    """bool[i, j], whether j sends to i: a directed cycle, and chords that give in- and out-degrees of 1 to 4."""
    sends = np.roll(np.eye(N, dtype=bool), 1, axis=1)
    for receiver, sender in ((0, 3), (0, 5), (0, 6), (2, 5), (4, 5), (7, 2)):
        sends[receiver, sender] = True
    return sends


def rows() -> np.ndarray:
    """A: random weights on the links and the diagonal, whose rows sum to one."""
    A = np.random.default_rng(1).uniform(0.5, 1.5, (N, N)) * (links() | np.eye(N, dtype=bool))
    return A / A.sum(axis=1, keepdims=True)


def columns() -> np.ndarray:
    """B: equal shares of each sender, whose columns sum to one."""
    B = (links() | np.eye(N, dtype=bool)).astype(float)
    return B / B.sum(axis=0, keepdims=True)


def problem() -> jdl.problems.Quadratic:
    return jdl.problems.quadratic(nodes=N, dim=3, condition=3.0, heterogeneity=2.0)


def build(seed=0, network=(), algorithm=None, **how):
    algorithm = PushPull(lr=LR) if algorithm is None else algorithm
    graph = jdl.topology.from_weights(rows(), stochastic="row")
    return jdl.simulation(problem(), algorithm, graph, network, seed=seed, **how)


def test_trajectory_is_that_of_explicit_matrices():
    simulation = build()
    A, b = np.asarray(simulation.problem.A, float), np.asarray(simulation.problem.b, float)
    grad = lambda x: np.einsum("nij,nj->ni", A, x) - b
    x = np.asarray(ways.init(simulation).nodes.x, float)
    y = grad(x)
    for _ in range(6):
        new = rows() @ (x - LR * y)
        x, y = new, columns() @ y + grad(new) - grad(x)
    np.testing.assert_allclose(ways.state_after(simulation, 6).nodes.x, x, rtol=1e-5, atol=1e-5)


def test_it_finds_the_optimum_where_gossip_over_the_same_rows_does_not():
    best = np.asarray(problem().optimum.params)
    distance = lambda simulation: np.abs(np.asarray(ways.state_after(simulation, 400).nodes.x) - best).max()
    assert distance(build()) < 1e-5
    assert distance(build(algorithm=jdl.algorithms.DPSGD(lr=LR))) > 1e-2


def test_trackers_keep_the_sum_of_the_gradients_over_links_that_fail():
    simulation = build(network=[Lossy(0.4)])
    for rounds in (1, 7):
        nodes = ways.state_after(simulation, rounds).nodes
        np.testing.assert_allclose(nodes.y.sum(axis=0), nodes.g.sum(axis=0), rtol=1e-5, atol=2e-5)


@ways.of("push_pull")
def test_in_all_ways(names):
    ways.check(build, names)
