"""Lattices: neighbours as networkx has them, closed forms at the end of the spectrum, and which n they refuse."""

import itertools
import math

import networkx as nx
import numpy as np
import pytest

from jdl.checks import InputError
from jdl.topology.graphs.boxes import boxes, nearest_box
from jdl.topology.graphs.cliques import complete
from jdl.topology.graphs.lattices import chain, grid, hypercube, ring, torus
from jdl.topology.spectrum.eigenvalues import lambda_2


def edges_of(graph):
    return sorted(sorted(edge) for edge in graph.edges)


def test_ring_of_one_and_two():
    np.testing.assert_array_equal(ring(1).weights.toarray(), [[1]])
    np.testing.assert_array_equal(ring(2).weights.toarray(), [[0.5, 0.5], [0.5, 0.5]])
    assert len(ring(2).edges) == 1 and len(ring(1).edges) == 0
    np.testing.assert_array_equal(ring(3).weights.toarray(), complete(3).weights.toarray())


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_chain_is_a_path(n):
    assert chain(n).edges.tolist() == edges_of(nx.path_graph(n))


@pytest.mark.parametrize(
    ("n", "rows", "shape"), [(12, None, (3, 4)), (14, None, (2, 7)), (30, 5, (5, 6)), (4, 2, (2, 2))]
)
def test_grid_neighbours(n, rows, shape):
    topology = grid(n, rows)
    expected = nx.convert_node_labels_to_integers(nx.grid_2d_graph(*shape))
    assert topology.edges.tolist() == edges_of(expected)
    steps = topology.positions[topology.edges[:, 0]] - topology.positions[topology.edges[:, 1]]
    np.testing.assert_array_equal(np.abs(steps).sum(axis=1), 1)


def test_grid_is_not_i_minus_a_multiple_of_its_laplacian():
    """Why it has no closed form: the weights along the border differ from those inside."""
    W = grid(9).weights
    assert W[0, 1] == pytest.approx(1 / 4) and W[1, 4] == pytest.approx(1 / 5)
    assert grid(16).weights[0, 1] == pytest.approx(1 / 4) and grid(6).weights[0, 3] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("n", "rows", "shape"), [(12, None, (3, 4)), (36, None, (6, 6)), (30, 3, (3, 10)), (9, 3, (3, 3)), (12, 4, (4, 3))]
)
def test_torus_neighbours(n, rows, shape):
    W = torus(n, rows).weights.toarray()
    expected = np.zeros((n, n))
    for i in range(n):
        row, column = divmod(i, shape[1])
        for down, right in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
            expected[i, (row + down) % shape[0] * shape[1] + (column + right) % shape[1]] = 1 / 5
    np.testing.assert_allclose(W, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("n", "dims", "sides"), [(27, 3, (3, 3, 3)), (60, 3, (3, 4, 5)), (7, 1, (7,)), (81, 4, (3,) * 4)]
)
def test_torus_of_any_dimension(n, dims, sides):
    expected = nx.grid_graph(dim=list(reversed(sides)), periodic=True)
    numbers = {place: int(np.ravel_multi_index(place if dims > 1 else (place,), sides)) for place in expected}
    assert torus(n, dims=dims).edges.tolist() == edges_of(nx.relabel_nodes(expected, numbers))


def test_sides_are_as_equal_as_n_allows():
    assert [torus(n).degree.max() for n in (12, 900)] == [4, 4]
    assert torus(36).positions.max(axis=0).tolist() == [5, 5]
    assert torus(900).positions.max(axis=0).tolist() == [29, 29]
    assert grid(24).positions.max(axis=0).tolist() == [5, 3]
    assert torus(27, dims=3).positions is None


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_boxes_against_all_tuples(dims):
    for n in range(1, 40):
        every = itertools.combinations_with_replacement(range(2, n + 1), dims)
        assert list(boxes(n, dims, 2)) == [sides for sides in every if math.prod(sides) == n]


def test_nearest_box_is_the_nearest():
    for dims, smallest in ((2, 2), (2, 3), (3, 3)):
        works = [n for n in range(200) if next(boxes(n, dims, smallest), None)]
        for n in range(1, 100):
            assert nearest_box(n, dims, smallest) == min(works, key=lambda other: (abs(other - n), -other))


@pytest.mark.parametrize("d", range(2, 6))
def test_hypercube_neighbours(d):
    expected = nx.hypercube_graph(d)
    labels = {place: int("".join(map(str, place)), 2) for place in expected}
    topology = hypercube(2**d)
    assert topology.edges.tolist() == edges_of(nx.relabel_nodes(expected, labels))
    assert set(topology.degree) == {d}


def test_hypercube_of_one_and_two():
    np.testing.assert_array_equal(hypercube(1).weights.toarray(), [[1]])
    np.testing.assert_array_equal(hypercube(2).weights.toarray(), [[0.5, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("topology", "expected"),
    [
        (chain(9), (1 + 2 * math.cos(math.pi / 9)) / 3),
        (ring(9), (1 + 2 * math.cos(2 * math.pi / 9)) / 3),
        (torus(25), (3 + 2 * math.cos(2 * math.pi / 5)) / 5),
        (torus(9), 2 / 5),
        (torus(64, dims=3), 5 / 7),
        (hypercube(32), 4 / 6),
    ],
    ids=repr,
)
def test_lambda_2_as_the_docstrings_say(topology, expected):
    assert lambda_2(topology) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ring(0), "got n=0, need a whole number of at least 1; try n=1"),
        (lambda: chain(1.5), "got n=1.5, need a whole number of at least 1; try n=1"),
        (lambda: grid(1), "got n=1, a grid needs rows x columns of at least 2 x 2; try n=4"),
        (lambda: grid(7), "got n=7, a grid needs rows x columns of at least 2 x 2; try n=8"),
        (lambda: grid(7, rows=3), "got n=7 with rows=3, a grid needs at least 2 full columns; try n=6"),
        (lambda: torus(1), "got n=1, a torus needs rows x columns of at least 3 x 3; try n=9"),
        (lambda: torus(2), "got n=2, a torus needs rows x columns of at least 3 x 3; try n=9"),
        (lambda: torus(13), "got n=13, a torus needs rows x columns of at least 3 x 3; try n=12"),
        (lambda: torus(14), "got n=14, a torus needs rows x columns of at least 3 x 3; try n=15"),
        (lambda: torus(12, rows=2), "got rows=2, a torus needs a whole number of at least 3; try rows=3"),
        (lambda: torus(13, rows=4), "got n=13 with rows=4, a torus needs at least 3 full columns; try n=12"),
        (lambda: torus(8, rows=4), "got n=8 with rows=4, a torus needs at least 3 full columns; try n=12"),
        (lambda: torus(30, dims=3), "got n=30, a torus with dims=3 needs sides of at least 3; try n=27"),
        (lambda: torus(30, dims=40), f"a torus with dims=40 needs sides of at least 3; try n={3**40}"),
        (lambda: torus(60, rows=3, dims=3), "got rows=3 with dims=3, rows need dims=2; leave rows out"),
        (lambda: torus(9, dims=0), "got dims=0, need a whole number of at least 1; try dims=1"),
        (lambda: hypercube(0), "got n=0, need a whole number of at least 1; try n=1"),
        (lambda: hypercube(3), "got n=3, a hypercube needs a power of two; try n=4"),
        (lambda: hypercube(5), "got n=5, a hypercube needs a power of two; try n=4"),
        (lambda: hypercube(100), "got n=100, a hypercube needs a power of two; try n=128"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
