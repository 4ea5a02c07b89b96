"""Expanders, by networkx's edges and by the bounds on their spectra; and the one graph that was observed."""

import math

import networkx as nx
import numpy as np
import pytest
from plan_reading import all_hold

from jdl.checks import InputError
from jdl.topology.graphs.expanders import expander, margulis
from jdl.topology.graphs.random_graphs import random_regular
from jdl.topology.graphs.social import social_network


def modulus(topology):
    return np.linalg.norm(topology.weights.toarray() - 1 / topology.n, 2)


@pytest.mark.parametrize("m", [2, 3, 4, 7, 8])
def test_margulis_edges(m):
    expected = nx.margulis_gabber_galil_graph(m)
    A = nx.to_numpy_array(expected, nodelist=[(x, y) for x in range(m) for y in range(m)])
    A += np.diag(np.diag(A))  # networkx counts a loop once, the rule from both ends
    assert np.all(A.sum(axis=1) == 8)
    np.testing.assert_allclose(margulis(m * m).weights.toarray(), (np.eye(m * m) + A) / 9, rtol=0, atol=1e-15)


def test_margulis_bound():
    def check(m):
        assert modulus(margulis(m * m)) <= (1 + 5 * math.sqrt(2)) / 9

    all_hold(check, [(m,) for m in range(2, 22)])


@pytest.mark.parametrize(("n", "degree"), [(3, 2), (10, 3), (60, 3), (61, 4), (60, 16), (20, 19)])
def test_expander_keeps_its_bound(n, degree):
    for seed in range(3):
        topology = expander(n, degree, seed)
        assert set(topology.degree) == {degree}
        assert modulus(topology) <= (1 + 2 * math.sqrt(degree - 1)) / (degree + 1) + 1e-9


def test_expander_is_drawn_again_where_the_first_draw_is_slow():
    bound = (1 + 2 * math.sqrt(2)) / 4
    slow = next(seed for seed in range(1000) if modulus(random_regular(100, 3, seed)) > bound)
    fast = next(seed for seed in range(slow, 1000) if modulus(random_regular(100, 3, seed)) <= bound)
    assert (expander(100, 3, slow).weights != random_regular(100, 3, fast).weights).nnz == 0
    assert (expander(100, 3, slow).weights != random_regular(100, 3, slow).weights).nnz > 0


def test_social_network_is_women_by_events():
    """Davis' table: 18 x 14 with 89 ones; the best attended event had 14 guests, the busiest women went to 8."""
    topology = social_network()
    women, events = topology.degree[:18], topology.degree[18:]
    assert women.sum() == events.sum() == topology.edge_count == 89
    assert women.max() == 8 and events.max() == 14
    assert topology.edges[:, 0].max() < 18 <= topology.edges[:, 1].min()
    assert modulus(topology) == pytest.approx(0.9179, abs=5e-5)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: margulis(2), "got n=2, a Margulis graph needs a square; try n=1"),
        (lambda: margulis(3), "got n=3, a Margulis graph needs a square; try n=4"),
        (lambda: margulis(1000), "got n=1000, a Margulis graph needs a square; try n=1024"),
        (lambda: expander(4), "got degree=4 with n=4, a regular graph needs degree < n; try degree=3"),
        (lambda: expander(9, 3), "got degree=3 with n=9, a regular graph needs n * degree even; try n=10"),
        (lambda: social_network(33), "got n=33, this social network has 32 nodes; try n=32"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
