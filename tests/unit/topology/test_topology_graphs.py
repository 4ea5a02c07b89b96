"""Every graph with one W: its weights by their sums and by Metropolis' rule, its spectrum by an eigensolver."""

import itertools
import re

import numpy as np
import pytest
from plan_reading import all_hold
from scipy.optimize import linear_sum_assignment

from jdl.checks import InputError
from jdl.topology.cycles.exponentials import one_peer_exponential
from jdl.topology.graphs.bipartite import complete_bipartite
from jdl.topology.graphs.cliques import barbell, caveman, complete, two_cliques
from jdl.topology.graphs.complex_networks import barabasi_albert, random_geometric, watts_strogatz
from jdl.topology.graphs.digraphs import de_bruijn, exponential, kautz
from jdl.topology.graphs.expanders import expander, margulis
from jdl.topology.graphs.lattices import chain, grid, hypercube, ring, torus
from jdl.topology.graphs.linked import linked
from jdl.topology.graphs.random_graphs import erdos_renyi, random_regular, stochastic_block
from jdl.topology.graphs.social import social_network
from jdl.topology.graphs.trees import binary_tree, star, tree
from jdl.topology.topology import Topology, circulant

ANY = (ring, chain, complete, star, binary_tree, tree, exponential, erdos_renyi, random_geometric)
FROM_TWO = (two_cliques, barbell, complete_bipartite)

WITH_SIDES = (grid, torus, hypercube, caveman, margulis, de_bruijn, kautz, social_network)
WITH_DEGREE = (random_regular, expander, watts_strogatz, barabasi_albert, stochastic_block)
EVERY = (*ANY, *FROM_TWO, *WITH_SIDES, *WITH_DEGREE)

GRAPHS = [
    *(make(n) for make, n in itertools.product(ANY, (1, 2, 3, 4, 5, 8, 13))),
    *(make(n) for make, n in itertools.product(FROM_TWO, (2, 3, 4, 5, 8, 13, 14))),
    *(complete_bipartite(9, left) for left in (1, 3, 8)),
    *(barbell(9, path) for path in (0, 1, 7)),
    *(grid(n) for n in (4, 6, 12, 15)),
    *(torus(n) for n in (9, 12, 30)),
    *(torus(n, dims=dims) for n, dims in ((3, 1), (8, 1), (27, 3), (36, 3), (60, 3))),
    *(hypercube(2**d) for d in range(6)),
    *(caveman(n, size) for n, size in ((6, 3), (10, 5), (12, 4))),
    *(margulis(m * m) for m in (1, 2, 3, 4, 7)),
    *(de_bruijn(n, degree) for n, degree in ((1, 2), (2, 2), (8, 2), (3, 3), (9, 3))),
    *(kautz(n, degree) for n, degree in ((3, 2), (12, 2), (4, 3), (12, 3))),
    *(random_regular(n, degree) for n, degree in ((1, 0), (2, 1), (3, 2), (6, 5), (10, 3), (31, 4))),
    *(expander(n, degree) for n, degree in ((1, 0), (2, 1), (3, 2), (31, 4))),
    *(watts_strogatz(n, degree) for n, degree in ((3, 2), (5, 4), (30, 4))),
    *(barabasi_albert(n, degree) for n, degree in ((2, 1), (3, 1), (3, 2), (30, 2))),
    *(stochastic_block(n, blocks) for n, blocks in ((1, 1), (2, 1), (2, 2), (3, 3), (5, 4), (8, 4), (40, 4))),
    social_network(),
    *itertools.chain.from_iterable(one_peer_exponential(n) for n in (1, 2, 3, 6, 8)),
]
CIRCULANT = [topology for topology in GRAPHS if topology.shifts is not None]
# Links of these may come twice, and nodes may hear themselves: W = (I + A) / (degree + 1) counts both.
MULTIPLE = ("de_bruijn", "kautz", "margulis")
SIMPLE = [topology for topology in GRAPHS if topology.symmetric and topology.name not in MULTIPLE]
CLOSED = [topology for topology in GRAPHS if topology.spectrum and topology.name not in MULTIPLE]


def named(graphs):
    """The graphs as cases, by what they say of themselves."""
    return {f"{i}: {graph!r}": (graph,) for i, graph in enumerate(graphs)}


def test_every_graph_is_what_it_claims():
    def check(topology):
        W = topology.weights.toarray()
        assert W.shape == (topology.n, topology.n) and topology.stochastic == "doubly"
        np.testing.assert_allclose(W.sum(axis=0), 1, rtol=0, atol=1e-14)
        np.testing.assert_allclose(W.sum(axis=1), 1, rtol=0, atol=1e-14)
        assert W.min() >= 0
        assert topology.symmetric == np.array_equal(W, W.T)
        links = W * (1 - np.eye(topology.n)) != 0
        np.testing.assert_array_equal(topology.degree, links.sum(axis=1))
        sender, receiver = topology.edges.T
        drawn = np.zeros_like(links)
        drawn[receiver, sender] = True
        np.testing.assert_array_equal(drawn | drawn.T if topology.symmetric else drawn, links)
        assert len(sender) == links.sum() // (2 if topology.symmetric else 1) == topology.edge_count
        reached = np.linalg.matrix_power((W != 0).astype(float) + np.eye(topology.n), topology.n) > 0
        assert reached.all() or topology.name.startswith("one_peer")
        assert topology.positions is None or topology.positions.shape == (topology.n, 2)

    all_hold(check, named(GRAPHS))


def test_undirected_graphs_have_metropolis_weights():
    def check(topology):
        W = topology.weights.toarray()
        links = (W != 0) & ~np.eye(topology.n, dtype=bool)
        degree = links.sum(axis=1)
        expected = np.where(links, 1 / (1 + np.maximum.outer(degree, degree)), 0)
        expected += np.diag(1 - expected.sum(axis=1))
        np.testing.assert_allclose(W, expected, rtol=0, atol=1e-15)

    all_hold(check, named(SIMPLE))


def test_closed_form_spectrum():
    """Of W that are normal; de Bruijn's and Kautz' have Jordan blocks, which no eigensolver resolves."""

    def check(topology):
        W = topology.weights.toarray()
        claimed = topology.spectrum()
        assert claimed.shape == (topology.n,)
        if topology.symmetric:
            np.testing.assert_allclose(np.sort(claimed), np.linalg.eigvalsh(W), rtol=0, atol=1e-12)
        else:
            apart = np.abs(claimed[:, None] - np.linalg.eigvals(W)[None, :])
            assert apart[linear_sum_assignment(apart)].max() < 1e-12

    all_hold(check, named(CLOSED))


def test_which_graphs_have_a_closed_form():
    """The list above would be empty if nothing claimed one; a grid claims none, for it has none."""
    names = {topology.name for topology in CLOSED}
    assert names >= {"ring", "chain", "torus", "hypercube", "complete", "star", "complete_bipartite", "two_cliques"}
    assert "exponential" in names and "grid" not in names


def test_circulant_graphs_listen_along_their_shifts():
    def check(topology):
        shift = np.eye(topology.n)
        W = sum((np.roll(shift, s, axis=1) for s in topology.shifts), start=shift) / (len(topology.shifts) + 1)
        np.testing.assert_allclose(topology.weights.toarray(), W, rtol=0, atol=1e-15)

    all_hold(check, named(CIRCULANT))


def test_any_n_works_or_the_refusal_names_what_does():
    def check(make):
        for n in range(1, 41):
            try:
                topology = make(n)
            except InputError as error:
                name, value = re.search(r"try (\w+)=(\d+)", str(error)).groups()
                near = {"n": n, name: int(value)}
                assert make(**near).n == near["n"]
            else:
                assert topology.n == n

    all_hold(check, {make.__name__: (make,) for make in EVERY})


def test_an_edge_that_comes_twice_counts_once():
    twice = linked("twice", 3, np.array([[0, 1], [1, 0], [0, 1], [1, 2]]))
    np.testing.assert_array_equal(twice.weights.toarray(), chain(3).weights.toarray())


@pytest.mark.parametrize("tau", range(5))
def test_one_peer_exponential_averages_exactly_in_a_period(tau):
    n = 2**tau
    phases = one_peer_exponential(n)
    assert len(phases) == max(1, tau)
    product = np.eye(n)
    for phase in phases:
        assert set(phase.degree) == ({1} if n > 1 else {0})
        product = phase.weights.toarray() @ product
    np.testing.assert_allclose(product, np.full((n, n), 1 / n), rtol=0, atol=1e-12)


def test_one_peer_exponential_is_not_exact_elsewhere():
    product = np.linalg.multi_dot([phase.weights.toarray() for phase in one_peer_exponential(6)])
    assert np.abs(product - 1 / 6).max() > 0.01


def test_repr_tells_what_it_is():
    assert repr(ring(1)) == "<ring: 1 node, 0 edges, degree 0, doubly stochastic, symmetric>"
    assert repr(exponential(4)) == "<exponential: 4 nodes, 8 directed links, degree 2, doubly stochastic>"
    assert isinstance(ring(4), Topology)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: one_peer_exponential(0), "got n=0, need"),
        (lambda: circulant("twice", 5, (1, 6)), r"got shifts=(1, 6), need shifts that differ from each other"),
        (lambda: circulant("self", 5, (5,)), r"and from 0 modulo n=5; leave some out"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
