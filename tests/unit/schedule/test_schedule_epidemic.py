"""Epidemic learning, random groups and pairs: who meets whom how often, and what a round leaves of disagreement."""

import itertools

import jax
import networkx as nx
import numpy as np
import pytest
import schedule_cases as cases

from jdl.checks import InputError
from jdl.schedule.epidemic import Epidemic
from jdl.schedule.epidemic_local import EpidemicLocal, others
from jdl.schedule.pairwise import Pairwise
from jdl.schedule.random_groups import RandomGroups
from jdl.schedule.random_neighbours import RandomNeighbours
from jdl.topology import complete, exponential, from_graph, ring

KEY, COUNT = jax.random.key(0), 6000
PATH = from_graph(nx.path_graph(4))


def drawn(schedule):
    made, W, _ = cases.rounds(schedule, COUNT, KEY)
    return jax.tree.map(lambda leaf: leaf[:, 0], made), W[:, 0]


@pytest.mark.parametrize(("n", "s"), [(6, 3), (9, 4)])
def test_epidemic_is_a_regular_graph_in_which_all_pairs_are_alike(n, s):
    made, W = drawn(Epidemic.for_nodes(n, degree=s))
    linked = W * (1 - np.eye(n)) > 0
    np.testing.assert_array_equal(linked.sum(axis=2), s)
    np.testing.assert_allclose(W[linked], 1 / (s + 1), rtol=1e-6)
    assert made.links.used.all()
    assert cases.often(linked.mean(axis=0)[np.triu_indices(n, 1)], s / (n - 1), COUNT)
    assert cases.close(cases.left(W, cases.centred(n)), (1 - s / (n - 1)) / (s + 1))


def test_epidemic_shuffles_over_all_permutations():
    # A ring of 5 has 5! / 10 = 12 placements that differ, all equally likely.
    _, W = drawn(Epidemic.for_nodes(5, degree=2))
    _, times = np.unique(W.reshape(COUNT, -1) > 0, axis=0, return_counts=True)
    assert times.shape == (12,) and cases.often(times / COUNT, 1 / 12, COUNT)


@pytest.mark.parametrize(("n", "count"), [(5, 2), (4, 3), (3, 0), (1, 0)])
def test_others_are_uniform_subsets_of_the_others(n, count):
    sets = np.asarray(jax.jit(jax.vmap(lambda key: others(key, n, count)))(jax.random.split(KEY, COUNT)))
    assert sets.shape == (COUNT, n, count) and sets.dtype == np.int32
    possible = list(itertools.combinations(range(n), count))
    for node in range(n):
        rows = [tuple(row) for row in np.sort(sets[:, node], axis=1).tolist()]
        allowed = [one for one in possible if node not in one]
        shares = np.array([rows.count(one) / COUNT for one in allowed])
        assert abs(shares.sum() - 1) < 1e-12 and cases.often(shares, 1 / len(allowed), COUNT)


def test_pushes_average_what_arrives():
    made, W = drawn(EpidemicLocal(6, degree=2))
    heard = (W > 0) & ~np.eye(6, dtype=bool)
    np.testing.assert_array_equal(heard.sum(axis=1), 2)
    assert np.ptp(heard.sum(axis=2)) >= 3
    np.testing.assert_allclose(W, (heard + np.eye(6)) / (1 + heard.sum(axis=2, keepdims=True)), rtol=1e-6)
    assert made.stochastic == "row" and not made.symmetric


@pytest.mark.parametrize(("n", "s"), [(5, 2), (8, 3), (4, 3)])
def test_pushes_leave_what_the_closed_form_says_and_keep_the_mean_on_average(n, s):
    x = cases.centred(n)
    _, W = drawn(EpidemicLocal(n, degree=s))
    expected = (1 - (1 - s / (n - 1)) ** n) / s - 1 / (n - 1)
    assert cases.close(cases.left(W, x), expected)
    drift = np.einsum("rij,j->r", W, x) / n
    assert cases.close(drift, 0)
    assert drift.std() > 0.01 or s == n - 1  # with everybody's model it is exact averaging


def test_the_closed_form_by_enumeration():
    n, s = 4, 2
    x, total, drift = cases.centred(n), 0.0, 0.0
    subsets = [[one for one in itertools.combinations(range(n), s) if node not in one] for node in range(n)]
    worlds = list(itertools.product(*subsets))
    for world in worlds:
        heard = np.eye(n)
        for sender, receivers in enumerate(world):
            heard[list(receivers), sender] = 1
        after = heard @ x / heard.sum(axis=1)
        total, drift = total + after @ after / (x @ x), drift + after.mean()
    assert abs(total / len(worlds) - ((1 - (1 - s / (n - 1)) ** n) / s - 1 / (n - 1))) < 1e-12
    assert abs(drift / len(worlds)) < 1e-12


@pytest.mark.parametrize(("n", "degree"), [(6, 2), (8, 1), (12, 3)])
def test_groups_leave_the_variance_that_the_closed_form_says(n, degree):
    _, W = drawn(RandomGroups.for_nodes(n, degree=degree))
    np.testing.assert_allclose(W @ W, W, atol=1e-6)
    np.testing.assert_array_equal((W > 0).sum(axis=2), degree + 1)
    groups = n // (degree + 1)
    assert cases.close(cases.left(W, cases.centred(n)), (groups - 1) / (n - 1))


def test_groups_are_as_equal_as_can_be_and_all_divisions_equally_likely():
    made, W = drawn(RandomGroups.for_nodes(5, degree=2))
    sizes = np.sort((W > 0).sum(axis=2), axis=1)
    np.testing.assert_array_equal(sizes, np.broadcast_to([2, 2, 3, 3, 3], sizes.shape))
    _, times = np.unique(W.reshape(COUNT, -1) > 0, axis=0, return_counts=True)
    assert times.shape == (10,) and cases.often(times / COUNT, 1 / 10, COUNT)
    np.testing.assert_array_equal(made.links.used.sum(axis=2), np.broadcast_to([3, 2], (COUNT, 2)))


def test_random_groups_of_32_among_512_settle_as_published():
    # VALIDATION 4: 6.1 iterations until the variance of N(0, 1) scalars is below 1e-9, mean of 10 restarts.
    schedule, x = RandomGroups.for_nodes(512, degree=31), np.random.default_rng(0).standard_normal(512)
    keys = jax.random.split(KEY, 80).reshape(10, 8)
    groups = np.asarray(jax.jit(jax.vmap(jax.vmap(lambda key: schedule((), 0, key)[0].links.group)))(keys))
    took = []
    for restart in groups:
        values, count = x, 0
        while values.var() >= 1e-9:
            values = (np.bincount(restart[count], values) / 32)[restart[count]]
            count += 1
        took.append(count)
    assert abs(np.mean(took) - 6.1) <= 0.5


@pytest.mark.parametrize("n", [2, 3, 6])
def test_all_pairs_are_equally_likely(n):
    made, W = drawn(Pairwise(n))
    np.testing.assert_array_equal(made.active.sum(axis=1), 2)
    pairs = (W * (1 - np.eye(n)) > 0).mean(axis=0)[np.triu_indices(n, 1)]
    assert cases.often(pairs, 2 / (n * (n - 1)), COUNT)
    assert cases.close(cases.left(W, cases.centred(n)), 1 - 1 / (n - 1))


def test_a_pair_of_a_graph_is_one_of_its_edges():
    _, W = drawn(Pairwise.of(PATH))
    linked = (W * (1 - np.eye(4)) > 0).mean(axis=0)
    np.testing.assert_array_equal(linked > 0, nx.to_numpy_array(nx.path_graph(4)) > 0)
    assert cases.often(linked[[0, 1, 2], [1, 2, 3]], 1 / 3, COUNT)
    # W is a projection, so E[W'W] = E[W] = I - L / (2 m).
    laplacian = nx.laplacian_matrix(nx.path_graph(4)).toarray()
    np.testing.assert_allclose(W.mean(axis=0), np.eye(4) - laplacian / 6, atol=5 * 0.5 / np.sqrt(COUNT))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Epidemic.for_nodes(4), "got degree=4 with n=4, a regular graph needs degree < n; try degree=3"),
        (lambda: Epidemic.for_nodes(5, degree=3), "a regular graph needs n * degree even; try n=6"),
        (lambda: EpidemicLocal(4), "got degree=4 with n=4, a node can send to at most n - 1 others; try degree=3"),
        (lambda: EpidemicLocal(4, degree=-1), "got degree=-1, need a whole number of at least 0"),
        (lambda: RandomGroups.for_nodes(0), "got n=0, need a whole number of at least 1"),
        (lambda: RandomGroups.for_nodes(4, degree=1.5), "got degree=1.5, need a whole number"),
        (lambda: Pairwise(0), "got n=0, need a whole number of at least 1"),
        (lambda: Pairwise.of(exponential(8)), "whose W is not symmetric, a pair needs a link both ways"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)


def test_two_graphs_are_one_trace():
    traces = 0

    @jax.jit
    def matrix(schedule, key):
        nonlocal traces
        traces += 1
        return schedule((), 0, key)[0].links.senders

    one, other = matrix(Epidemic.for_nodes(20, seed=0), KEY), matrix(Epidemic.for_nodes(20, seed=1), KEY)
    assert traces == 1 and not np.array_equal(one, other)
    matrix(Pairwise.of(ring(5)), KEY), matrix(Pairwise.of(ring(5)), KEY)
    assert traces == 2


# ---- a few neighbours of a graph ---------------------------------------------------------------------------------


@pytest.mark.parametrize("listen", [0.0, 0.3, 1.0, 1.4, 2.0, 9.0])
def test_each_node_listens_to_as_many_neighbours_as_it_should_all_alike(listen):
    """Of the star, whose leaves have one neighbour and whose hub has four, and of a digraph."""
    for graph in (from_graph(nx.star_graph(4)), exponential(6)):
        made, W = drawn(RandomNeighbours.of(graph, listen))
        heard = (W > 0) & ~np.eye(graph.n, dtype=bool)
        links = (graph.weights.toarray() > 0) & ~np.eye(graph.n, dtype=bool)
        have, low = links.sum(axis=1), np.floor(listen)
        assert not (heard & ~links).any()
        np.testing.assert_allclose(W, (heard + np.eye(graph.n)) / (1 + heard.sum(axis=2, keepdims=True)), rtol=1e-6)
        count = heard.sum(axis=2)
        assert np.all((count == np.minimum(low, have)) | (count == np.minimum(low + 1, have)))
        more = (count > low).mean(axis=0)
        assert cases.often(more, np.where(have > low, listen - low, 0), COUNT)
        mean = np.minimum(low, have) + np.where(have > low, listen - low, 0)
        assert cases.often(heard.mean(axis=0)[links], (mean / have)[np.nonzero(links)[0]], COUNT)
        assert made.stochastic == "row" and not made.symmetric


def test_subsets_of_neighbours_are_uniform_and_nodes_draw_apart():
    """Over the complete graph with r = 1.5, by enumeration: each node hears one other, or a pair of them."""
    n, listen = 4, 1.5
    _, W = drawn(RandomNeighbours.of(complete(n), listen))
    rows = W > 0
    for node in range(n):
        sets = [tuple(np.flatnonzero(row)) for row in rows[:, node]]
        others = [one for one in range(n) if one != node]
        for size in (1, 2):
            subsets = [tuple(sorted((node, *some))) for some in itertools.combinations(others, size)]
            shares = np.array([sets.count(one) / COUNT for one in subsets])
            assert cases.often(shares, 0.5 / len(subsets), COUNT)
    x, subsets = cases.centred(n), []
    for node in range(n):
        others = [one for one in range(n) if one != node]
        worlds = [(0.5 / 3, some) for size in (1, 2) for some in itertools.combinations(others, size)]
        subsets.append(sum(share * np.mean(x[[node, *some]]) ** 2 for share, some in worlds))
    assert cases.close(cases.left(W, x), sum(subsets) / (x @ x))
    first, second = rows[:, 0].sum(axis=1) > 2, rows[:, 1].sum(axis=1) > 2
    assert cases.often(np.array([(first & second).mean()]), np.array([0.25]), COUNT)


def test_the_number_of_neighbours_is_a_leaf():
    traces = []

    @jax.jit
    def draw(schedule, key):
        traces.append(schedule)
        return schedule((), 0, key)[0].links.used.sum()

    assert [int(draw(RandomNeighbours.of(ring(6), listen), KEY)) for listen in (0.0, 1.0, 2.0)] == [0, 6, 12]
    assert len(traces) == 1
    with pytest.raises(InputError, match="of type RandomNeighbours, need one topology"):
        RandomNeighbours.of(RandomNeighbours.of(ring(6)))
