"""Graphs from files, from Python and from the command line."""

import networkx as nx
import numpy as np
import pytest
from scipy import io, sparse

from jdl import checks, topology
from jdl.command import cli

RING = np.eye(4) / 2 + (np.eye(4, k=1) + np.eye(4, k=-1) + np.eye(4, k=3) + np.eye(4, k=-3)) / 4


def test_every_form_of_a_matrix_gives_the_same_graph(tmp_path):
    np.save(tmp_path / "w.npy", RING)
    np.savetxt(tmp_path / "w.csv", RING, delimiter=",")
    np.savetxt(tmp_path / "w.txt", RING)
    sparse.save_npz(tmp_path / "w.npz", sparse.csr_array(RING))
    for name in ("w.npy", "w.csv", "w.txt", "w.npz"):
        found = topology.from_file(4, str(tmp_path / name))
        np.testing.assert_allclose(found.weights.toarray(), RING)
        assert found.symmetric and found.stochastic == "doubly" and found.name == "w"


def test_edges_get_metropolis_weights(tmp_path):
    (tmp_path / "path.edges").write_text("0 1\n1 2\n")
    expected = [[2 / 3, 1 / 3, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1 / 3, 2 / 3]]
    np.testing.assert_allclose(topology.from_file(3, str(tmp_path / "path.edges")).weights.toarray(), expected)


GRAPH = nx.relabel_nodes(nx.barabasi_albert_graph(9, 2, seed=4), {i: (4 * i) % 9 for i in range(9)})
METROPOLIS = topology.metropolis(GRAPH).toarray()


def decentralizepy(kind):
    """What its `Graph.write_graph_to_file` writes: n, then every edge both ways, or the neighbours of each node."""
    lists = [sorted(GRAPH[i]) for i in range(9)]
    if kind == "edges":
        lines = [f"{i} {j}" for i, neighbours in enumerate(lists) for j in neighbours]
    else:
        lines = [" ".join(map(str, neighbours)) for neighbours in lists]
    return "\n".join(["9", *lines]) + "\n"


WRITTEN = {
    "peer.edges": lambda path: path.write_text(decentralizepy("edges")),
    "peer.adj": lambda path: path.write_text(decentralizepy("adjacency")),
    "nx.edgelist": lambda path: nx.write_edgelist(GRAPH, path),
    "nx.EDGES": lambda path: nx.write_edgelist(GRAPH, path, data=False, comments="%"),
    "nx.adjlist": lambda path: nx.write_adjlist(GRAPH, path),
    "nx.graphml": lambda path: nx.write_graphml(GRAPH, path),
    "commas.edges": lambda path: path.write_text(
        "% a comment\n# another\n\n" + "\n".join(f"{i}, {j}  # one" for i, j in GRAPH.edges)
    ),
    "pattern.mtx": lambda path: io.mmwrite(path, nx.to_scipy_sparse_array(GRAPH, range(9)), field="pattern"),
    "weights.mtx": lambda path: io.mmwrite(path, sparse.coo_array(METROPOLIS)),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_every_form_of_a_graph_gives_the_same_weights(name, tmp_path):
    WRITTEN[name](tmp_path / name)
    found = topology.from_file(9, str(tmp_path / name))
    np.testing.assert_allclose(found.weights.toarray(), METROPOLIS, rtol=0, atol=1e-15)
    assert found.symmetric and found.name == name.split(".")[0]


def test_a_directed_graph_is_column_stochastic(tmp_path):
    arcs = nx.DiGraph([(0, 1), (1, 2), (2, 0), (0, 2)])
    nx.write_graphml(arcs, tmp_path / "arcs.graphml")
    io.mmwrite(tmp_path / "arcs.mtx", nx.to_scipy_sparse_array(arcs, range(3)), field="pattern")
    for ending in ("graphml", "mtx"):
        found = topology.from_file(3, str(tmp_path / f"arcs.{ending}"))
        np.testing.assert_allclose(
            found.weights.toarray(), [[1 / 3, 0, 1 / 2], [1 / 3, 1 / 2, 0], [1 / 3, 1 / 2, 1 / 2]]
        )
        assert found.stochastic == "column"


def test_names_in_graphml_keep_their_order(tmp_path):
    nx.write_graphml(nx.Graph([("b", "a"), ("a", "c")]), tmp_path / "names.graphml")
    np.testing.assert_array_equal(topology.from_file(3, str(tmp_path / "names.graphml")).degree, [1, 2, 1])


def test_a_lone_node_has_an_empty_line(tmp_path):
    for text in ("1\n\n", "1\n"):
        (tmp_path / "one.adj").write_text(text)
        assert topology.from_file(1, str(tmp_path / "one.adj")).n == 1


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.edges", "5\n0 1\n", "got '5' in line 1 of {path}, need the number of nodes there, n=3; try n=5"),
        ("x.edges", "0 1\n\n1 2 0.5\n", "got 3 words in line 3 of {path}, need two node numbers, an edge; write one"),
        ("x.edges", "0 1\n1\n", "got 1 words in line 2"),
        ("x.edges", "# from\n1 2\n2 3\n3 4\n", "got '3' in line 3 of {path}, need node numbers from 0 to 2 for n=3"),
        ("x.edges", "0 -1\n", "got '-1' in line 1"),
        ("x.edges", "zero one\n", "got 'zero' in line 1"),
        ("x.edges", "", "got a graph of 3 components"),
        ("x.adj", "4\n1\n0 2\n1\n", "got '4' in line 1 of {path}, need the number of nodes there, n=3; try n=4"),
        ("x.adj", "", "got '' in line 1 of {path}, need the number of nodes there, n=3; write it first"),
        ("x.adj", "3\n1\n0 2\n1\n0\n", "got 4 lines of neighbours in {path}, need one for each of 3 nodes; write an"),
        ("x.adj", "3\n1\n0 2\n1 0\n", "got node 0 among the neighbours of node 2 in line 4 of {path}, but not the"),
        ("x.adj", "3\n1\n0 b\n1\n", "got 'b' in line 3"),
        ("x.adjlist", "0 1\n1 7\n7 8\n", "got '7' in line 2"),
        ("x.pdf", "%PDF-1.4 \u00e9", "need a matrix of numbers, a list of edges or neighbours, or a graph"),
        ("x.mtx", "%%MatrixMarket nothing\n", "need a matrix of numbers, a list of edges or neighbours, or a graph"),
        ("x.graphml", "<svg></svg>", "need a matrix of numbers, a list of edges or neighbours, or a graph"),
        ("x.npy", "0 1\n", "got a graph of 2 components"),  # edges, whatever the name says
        ("x.npy", "", "need a matrix of numbers, a list of edges or neighbours, or a graph of networkx: it is empty"),
        ("x.csv", "1,0\n0\n", "got 1 words in line 2 of {path}, need two node numbers"),
        ("x.csv", "1,0\n0,1\n", "got a matrix of shape (2, 2) in {path}, need (3, 3) for n=3; try n=2"),
        ("x.csv", "1,0,0,1\n", "need (3, 3) for n=3; write a square one"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(name, content, sentence, tmp_path):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(checks.InputError) as error:
        topology.from_file(3, str(path))
    assert sentence.format(path=path) in str(error.value)


def test_arrays_that_are_no_sparse_matrix_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.eye(3))
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "binary.edges").write_bytes(bytes(range(128, 256)))
    for name in ("x.npz", "x.npy", "binary.edges"):
        with pytest.raises(checks.InputError, match="need a matrix of numbers"):
            topology.from_file(3, str(tmp_path / name))


BAD = {
    "no_such_file.npy": (None, "need a file with a weight matrix or a list of edges"),
    "shape.csv": ("1,0\n0,1\n", "got a matrix of shape (2, 2)"),
    "sums.csv": ("1,1,0\n0,1,0\n0,0,1\n", "row 0 summing to 2, need row and column sums of 1"),
    "words.txt": ("a b c\n", "got 'c' in line 1 of"),
    "far.edges": ("0 1\n1 7\n7 8\n", "got '7' in line 2 of"),
    "apart.edges": ("0 1\n", "2 components"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_sentence_and_code_2(name, tmp_path, capsys):
    content, text = BAD[name]
    path = tmp_path / name
    if content:
        path.write_text(content)
    with pytest.raises(checks.InputError):
        topology.from_file(3, str(path))
    flags = ["--problem", "quadratic", "--nodes", "3", "--rounds", "2", "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", "--topology", "from_file", "--path", str(path), *flags])
    said = capsys.readouterr().err.strip().splitlines()
    assert stop.value.code == 2 and len(said) == 1 and text in said[0]


def test_the_command_line_runs_on_a_matrix_from_a_file(tmp_path, capsys):
    np.save(tmp_path / "w.npy", RING)
    flags = ["--problem", "quadratic", "--nodes", "4", "--rounds", "2", "--out", str(tmp_path / "run"), "--json"]
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", "--topology", "from_file", "--path", str(tmp_path / "w.npy"), *flags])
    assert stop.value.code == 0 and '"topology": "from_file"' in capsys.readouterr().out
