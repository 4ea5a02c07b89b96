"""Pictures of graphs: as many panels as rounds, every link and node drawn, at the positions that are known."""

import networkx as nx
import numpy as np
import pytest

from jdl.checks import InputError
from jdl.schedule import Matching
from jdl.show import drawing, layout
from jdl.show.drawing import draw
from jdl.topology import Topology, complete, from_graph, one_peer_exponential, random_regular, ring


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


@pytest.mark.parametrize("topology", [ring(8), random_regular(8, 3), complete(3), ring(1), ring(2)])
def test_a_graph_is_one_panel(topology, tmp_path):
    figure = draw(topology, tmp_path / "graph.png")
    assert (tmp_path / "graph.png").read_bytes()[:4] == b"\x89PNG" and figure._repr_png_()[:4] == b"\x89PNG"
    assert titles(figure) == []
    assert figure.axes[0].collections[-1].get_offsets().shape == (topology.n, 2)


def test_positions_and_links_are_those_of_the_topology():
    places = np.random.default_rng(0).random((70, 2))
    plain = random_regular(70, 3)
    figure = draw(Topology("placed", plain.weights, symmetric=True, positions=places))
    lines, nodes = figure.axes[0].collections
    np.testing.assert_allclose(nodes.get_offsets(), places)
    drawn = {frozenset(map(tuple, np.round(segment, 9))) for segment in lines.get_segments()}
    assert drawn == {frozenset(map(tuple, np.round(places[pair], 9))) for pair in plain.edges}


def test_colours_are_degrees():
    figure = draw(from_graph(nx.star_graph(6)))
    nodes = figure.axes[0].collections[-1]
    assert sorted(nodes.get_array()) == [1] * 6 + [6]
    assert len(figure.axes) == 2  # with a bar that says so


def test_a_panel_a_round():
    assert titles(draw(one_peer_exponential(16))) == ["round 0", "round 1", "round 2", "round 3"]
    assert len(titles(draw(one_peer_exponential(256)))) == drawing.PANELS
    assert len(titles(draw(Matching(6)))) == drawing.SAMPLED


@pytest.mark.parametrize("n", [9, 15, 60], ids=["stiff springs", "loose springs", "smooth vectors"])
def test_many_nodes_are_placed_apart(monkeypatch, n):
    monkeypatch.setattr(layout, "STIFF", 10)
    monkeypatch.setattr(layout, "LOOSE", 20)
    nodes = draw(from_graph(nx.barabasi_albert_graph(n, 2, seed=0))).axes[0].collections[-1].get_offsets()
    assert len(np.unique(np.round(nodes, 6), axis=0)) == n and np.all(np.isfinite(nodes))


def test_folders_of_a_picture_are_made(tmp_path):
    draw(ring(3), tmp_path / "new" / "graph.png")
    assert (tmp_path / "new" / "graph.png").is_file()


def test_refusals(tmp_path):
    with pytest.raises(InputError, match="got 89,700 links, a picture shows 60,000 at most"):
        draw(complete(300))
    with pytest.raises(InputError, match="need a file that can be written"):
        draw(ring(3), tmp_path / "graph.words")
