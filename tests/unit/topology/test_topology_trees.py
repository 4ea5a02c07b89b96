"""Trees: edges as networkx has them, and what a tree is: connected, with one edge less than nodes."""

import networkx as nx
import numpy as np
import pytest
from plan_reading import all_hold

from jdl.checks import InputError
from jdl.topology.graphs.lattices import chain
from jdl.topology.graphs.trees import binary_tree, star, tree
from jdl.topology.spectrum.eigenvalues import lambda_2


def test_trees_are_full_from_the_top():
    def check(n, children):
        expected = sorted(sorted(edge) for edge in nx.full_rary_tree(children, n).edges)
        assert tree(n, children).edges.tolist() == expected
        if children == 2:
            assert binary_tree(n).edges.tolist() == expected
        assert len(expected) == n - 1 and tree(n, children).n == n

    all_hold(check, [(n, children) for n in (1, 2, 3, 4, 7, 12, 13, 40) for children in (1, 2, 3, 5)])


def test_trees_at_their_ends_are_chain_and_star():
    np.testing.assert_array_equal(tree(9, children=1).weights.toarray(), chain(9).weights.toarray())
    np.testing.assert_array_equal(tree(9, children=8).weights.toarray(), star(9).weights.toarray())


@pytest.mark.parametrize("n", [3, 4, 10])
def test_star(n):
    assert star(n).edges.tolist() == [[0, leaf] for leaf in range(1, n)]
    assert lambda_2(star(n)) == pytest.approx(1 - 1 / n, abs=1e-12)


def test_the_gap_of_a_binary_tree_closes_like_one_over_n():
    scaled = [n * (1 - lambda_2(binary_tree(n))) for n in (63, 127, 255)]
    np.testing.assert_allclose(scaled, scaled[-1], rtol=0.1)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: star(0), "got n=0, need a whole number of at least 1; try n=1"),
        (lambda: binary_tree(0), "got n=0, need a whole number of at least 1; try n=1"),
        (lambda: tree(9, children=0), "got children=0, need a whole number of at least 1; try children=1"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
