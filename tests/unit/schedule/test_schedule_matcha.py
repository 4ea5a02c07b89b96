"""Edge colourings, activation probabilities and the step of MATCHA, against enumeration and bounds that certify."""

import itertools

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
import schedule_cases as cases
from plan_reading import matrix

from jdl.checks import InputError
from jdl.schedule.matcha import Matcha
from jdl.topology import complete, exponential, from_graph, random_regular, ring, torus
from jdl.topology.graphs.matchings import edge_colouring, matchings
from jdl.topology.spectrum import activation as host

KEY = jax.random.key(0)
# Two cliques of four and one bridge, which every path between them takes.
BARBELL = from_graph(nx.barbell_graph(4, 0), name="barbell")
GRAPHS = {
    "petersen": nx.petersen_graph(),  # cubic, and not three-colourable
    "complete 7": nx.complete_graph(7),  # every colour leaves a node out: 7 colours for degree 6
    "complete 8": nx.complete_graph(8),
    "star": nx.star_graph(6),
    "path": nx.path_graph(5),
    "one edge": nx.path_graph(2),
    "no edge": nx.empty_graph(3),
    "odd ring": nx.cycle_graph(9),
    "bipartite": nx.complete_bipartite_graph(4, 5),
    **{f"random {seed}": nx.gnp_random_graph(24, 0.35, seed=seed) for seed in range(30)},
}


def test_colourings_are_proper_and_spare_no_more_than_one_colour():
    def check(name):
        graph = GRAPHS[name]
        edges = np.array(graph.edges, int).reshape(-1, 2)
        colour = edge_colouring(len(graph), edges)
        assert colour.shape == (len(edges),)
        at = [(node, c) for pair, c in zip(edges.tolist(), colour.tolist(), strict=True) for node in pair]
        assert len(set(at)) == len(at)
        most = max(dict(graph.degree).values())
        assert len(edges) == 0 or (colour.min() >= 0 and colour.max() <= most)
        if name in ("petersen", "complete 7", "odd ring"):
            assert len(set(colour.tolist())) == most + 1

    cases.all_hold(check, [(name,) for name in GRAPHS])


@pytest.mark.parametrize("topology", [ring(5), torus(12, 3), random_regular(10, 3), complete(6), BARBELL, ring(1)])
def test_matchings_hold_every_edge_once(topology):
    partners = matchings(topology)
    n, own = topology.n, np.arange(topology.n)
    np.testing.assert_array_equal(np.take_along_axis(partners, partners, axis=1), np.broadcast_to(own, partners.shape))
    held = [(i, j) for partner in partners for i, j in enumerate(partner.tolist()) if i < j]
    assert sorted(held) == sorted(map(tuple, topology.edges.tolist()))
    assert len(partners) <= topology.degree.max() + 1 and partners.shape[1] == n


def laplacians(partners):
    eye = np.eye(partners.shape[1])
    return np.array([eye - eye[partner] for partner in partners])


def connectivity(partners, p):
    return np.linalg.eigvalsh(np.tensordot(p, laplacians(partners), axes=1))[1]


@pytest.mark.parametrize("topology", [BARBELL, random_regular(12, 3, seed=1), torus(12, 3), ring(2)])
@pytest.mark.parametrize("budget", [0.2, 0.5, 1.0])
def test_probabilities_are_the_best_as_the_bound_certifies(topology, budget):
    partners = matchings(topology)
    p, value, bound = host.activation(partners, budget)
    assert np.all((p >= 0) & (p <= 1)) and p.sum() <= budget * len(partners) + 1e-9
    assert abs(value - connectivity(partners, p)) < 1e-9
    assert value <= bound + 1e-12 and bound - value <= 1e-4 * bound
    # What the bound says is true of any others.
    for seed in range(50):
        other = np.random.default_rng(seed).dirichlet(np.ones(len(p))) * budget * len(p)
        assert connectivity(partners, np.minimum(other, 1)) <= bound + 1e-9
    if budget == 1.0:
        assert bound >= connectivity(partners, np.ones(len(p))) - 1e-9


def test_the_bridge_is_used_more_than_others():
    partners = matchings(BARBELL)
    p, value, _ = host.activation(partners, 0.5)
    bridge = next(j for j, partner in enumerate(partners) if partner[3] == 4)
    assert p[bridge] > 2 * max(np.delete(p, bridge))
    assert value > 1.2 * connectivity(partners, np.full(len(p), 0.5))


@pytest.mark.parametrize("topology", [BARBELL, random_regular(10, 3)])
def test_expected_square_by_enumeration(x64, topology):
    schedule = Matcha.of(topology, 0.4)
    partners, p, alpha = np.asarray(schedule.partners).T, np.asarray(schedule.probabilities), float(schedule.alpha)
    L, eye = laplacians(partners), np.eye(topology.n)
    mean = np.zeros_like(eye)
    worlds = np.array(list(itertools.product([0.0, 1.0], repeat=len(p))))
    plans = jax.jit(jax.vmap(lambda on: schedule.replace(probabilities=on)((), 0, KEY)[0]))(worlds)
    for on, W in zip(worlds, matrix(plans), strict=True):
        np.testing.assert_allclose(W, eye - alpha * np.tensordot(on, L, axes=1), atol=1e-14)
        mean += np.prod(np.where(on, p, 1 - p)) * W.T @ W
    Lbar, Ltilde = np.tensordot(p, L, axes=1), np.tensordot(p * (1 - p), L, axes=1)
    np.testing.assert_allclose(mean, eye - 2 * alpha * Lbar + alpha**2 * (Lbar @ Lbar + 2 * Ltilde), atol=1e-12)
    norm = np.linalg.norm(mean - 1 / topology.n, 2)
    assert abs(norm - host.contraction(partners, p, alpha)) < 1e-10 and norm < 1
    others = [host.contraction(partners, p, alpha * factor) for factor in (0.9, 0.99, 1.01, 1.1)]
    assert min(others) > norm


def test_with_the_whole_budget_it_is_the_best_constant_weight():
    schedule = Matcha.of(torus(16, 4), budget=1.0)
    values = np.linalg.eigvalsh(nx.laplacian_matrix(nx.grid_2d_graph(4, 4, periodic=True)).toarray())
    np.testing.assert_allclose(schedule.probabilities, 1, atol=1e-3)
    np.testing.assert_allclose(float(schedule.alpha), 2 / (values[1] + values[-1]), rtol=2e-3)
    plan, _ = schedule.replace(probabilities=jnp.ones_like(schedule.probabilities))((), 0, KEY)
    laplacian = laplacians(np.asarray(schedule.partners).T).sum(axis=0)
    np.testing.assert_allclose(matrix(plan), np.eye(16) - float(schedule.alpha) * laplacian, atol=1e-6)


def test_links_are_on_as_often_as_the_probabilities_say():
    count, schedule = 4000, Matcha.for_nodes(10, degree=3, budget=0.4)
    made, _, _ = cases.rounds(schedule, count, KEY)
    partners, p = np.asarray(schedule.partners), np.asarray(schedule.probabilities)
    real = partners != np.arange(10)[:, None]
    used = made.links.used[:, 0]
    assert not used[:, ~real].any()
    assert cases.often(used.mean(axis=0), p[None, :] * real, count)
    edges = used.sum(axis=(1, 2)) / 2
    assert cases.close(edges, p @ (real.sum(axis=0) / 2))
    both = np.mean(used[:, :, 0].any(axis=1) & used[:, :, 1].any(axis=1))
    assert cases.often(both, p[0] * p[1], count)


def test_large_graphs_take_the_sparse_solver_and_agree(monkeypatch):
    partners = matchings(random_regular(60, 4))
    p, _, bound = host.activation(partners, 0.5)
    alpha = host.best_step(partners, p)
    monkeypatch.setattr(host, "DENSE_NODES", 10)
    again, value, other = host.activation(partners, 0.5)
    assert abs(connectivity(partners, again) - value) < 1e-6
    np.testing.assert_allclose(other, bound, rtol=2e-4)
    np.testing.assert_allclose(host.best_step(partners, p), alpha, rtol=1e-4)


def test_budgets_share_a_program():
    structures = {jax.tree.structure(Matcha.for_nodes(8, degree=3, budget=budget)) for budget in (0.3, 0.6)}
    assert len(structures) == 1


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Matcha.for_nodes(8, budget=0.0), "got budget=0.0, need a share above 0 and at most 1; try budget=0.5"),
        (lambda: Matcha.for_nodes(8, budget=1.5), "got budget=1.5, need a share above 0"),
        (lambda: Matcha.of(exponential(8)), "whose W is not symmetric, a matching needs links both ways"),
        (
            lambda: Matcha.of(from_graph(nx.Graph([(0, 1), (2, 3)]), allow_disconnected=True)),
            "whose graph is not connected, need one that is",
        ),
        (
            lambda: Matcha.of(from_graph(nx.empty_graph(3), allow_disconnected=True)),
            "whose graph is not connected, need one that is",
        ),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
