"""Files of graphs as other programs write them: told by content, nodes numbered anew, weights used or a sentence."""

import gzip
import json

import networkx as nx
import numpy as np
import pytest
from scipy import io, sparse

from jdl import checks, topology

RING = [(i, (i + 1) % 6) for i in range(6)]
W = topology.ring(6).weights.toarray()
GRAPH = nx.Graph(RING)


def lines(form):
    return "".join(form.format(a, b) + "\n" for a, b in RING)


def mutual(first="6\n"):
    return first + "".join(" ".join(map(str, sorted(GRAPH[i]))) + "\n" for i in range(6))


# Each is the ring of six nodes. None: no note; a word: the note that is given.
AS_WRITTEN = {
    "n_first.txt": ("6\n" + lines("{} {}"), None),
    "snap.txt": ("# Undirected graph\n# Nodes: 6 Edges: 6\n# FromNodeId\tToNodeId\n" + lines("{}\t{}"), None),
    "crlf.txt": (lines("{} {}").replace("\n", "\r\n"), None),
    "konect.tsv": ("% sym unweighted\n" + lines("{}\t{}\t1"), None),
    "pairs.csv": (lines("{},{}"), None),
    "semicolons.csv": (lines("{};{}"), None),
    "no_ending": (lines("{} {}"), None),
    "header.csv": ("source,target\n" + lines("{},{}"), None),
    "swapped.csv": ("weight,from,to\n" + lines("1,{},{}"), None),
    "unknown.csv": ("a,b\n" + lines("{},{}"), None),
    "quoted.csv": ('"Source","Target"\n' + lines('"{}","{}"'), None),
    "gephi.csv": ("Source,Target,Type,Id,Label,Weight\n" + lines("{},{},Undirected,0,,1.0"), None),
    "other.csv": ("source,target,since\n" + lines("{},{},1999"), "columns since are not used"),
    "both_ways.edges": (lines("{} {}") + lines("{1} {0}"), None),
    "data.edgelist": (lines("{} {} {{'weight': 1}}"), None),
    "neighbours.txt": (mutual(), None),
    "from_1.edges": ("".join(f"{a + 1} {b + 1}\n" for a, b in RING), "node 1 is node 0"),
    "gaps.edges": ("".join(f"{7 * a + 3} {7 * b + 3}\n" for a, b in RING), "in the order 3, 10, 17, 24, 31, 38"),
    "names.csv": ("".join(f"p{a},p{b}\n" for a, b in RING), "in the order p0, p1, p2, p3, p4, p5"),
    "from_1.adjlist": ("".join(f"{a + 1} {b + 1}\n" for a, b in RING), "node 1 is node 0"),
    "matrix.csv": ("\n".join(",".join(map(repr, row)) for row in W.tolist()), None),
    "adjacency.txt": ("\n".join(" ".join(map(str, row)) for row in (W > 0.2).astype(int).tolist()), None),
    "bare.gml": ("graph [\n" + "".join(f"node [ id {i} ]\n" for i in range(6)) + "".join(
        f"edge [ source {a} target {b} ]\n" for a, b in RING) + "]\n", None),
    "links.json": (json.dumps({"nodes": [{"id": i} for i in range(6)], "links": [
        {"source": a, "target": b} for a, b in RING]}), None),
}  # fmt: skip
WRITTEN = {
    "nx.gml": lambda path: nx.write_gml(GRAPH, path),
    "nx.gexf": lambda path: nx.write_gexf(GRAPH, path),
    "nx.net": lambda path: nx.write_pajek(GRAPH, path),
    "nx.graphml.gz": lambda path: nx.write_graphml(GRAPH, path),
    "edges.json": lambda path: path.write_text(json.dumps(nx.node_link_data(GRAPH, edges="edges"))),
    "adjacency.json": lambda path: path.write_text(json.dumps(nx.adjacency_data(GRAPH))),
    "snap.txt.gz": lambda path: path.write_bytes(gzip.compress(lines("{}\t{}").encode())),
    "matrix.dat": lambda path: path.write_bytes(_npy(W)),
    "adjacency.mtx": lambda path: io.mmwrite(path, sparse.coo_array((W > 0.2).astype(int))),
}


def _npy(array):
    import io as streams

    stream = streams.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def read(n, path, note=None):
    if note is None:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return topology.from_file(n, str(path))
    with pytest.warns(checks.Note, match=note):
        return topology.from_file(n, str(path))


@pytest.mark.parametrize("name", [*AS_WRITTEN, *WRITTEN])
def test_the_ring_is_read_however_it_is_written(name, tmp_path):
    content, note = AS_WRITTEN.get(name, (None, None))
    if content is None:
        WRITTEN[name](tmp_path / name)
    else:
        (tmp_path / name).write_bytes(content.encode())
    np.testing.assert_allclose(read(6, tmp_path / name, note).weights.toarray(), W, rtol=0, atol=1e-15)


WEIGHTED = {
    "blanks.edgelist": "0 1 0.25\n1 2 0.5\n",
    "comma.csv": "source,target,weight\n1,0,.25\n1,2,.5\n",
    "braces.edgelist": "0 1 {'weight': 0.25}\n1 2 {'weight': 0.5}\n",
    "both.txt": "0 1 0.25\n1 0 0.25\n1 2 0.5\n2 1 0.5\n",
    "names.csv": "u,v,w\na,b,0.25\nb,c,0.5\n",
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_of_edges_are_those_of_W(name, tmp_path):
    (tmp_path / name).write_text(WEIGHTED[name])
    found = read(3, tmp_path / name, "order a, b, c" if name == "names.csv" else None)
    np.testing.assert_array_equal(found.weights.toarray(), [[0.75, 0.25, 0], [0.25, 0.25, 0.5], [0, 0.5, 0.5]])
    assert found.symmetric


@pytest.mark.parametrize(
    ("name", "content", "n", "sentence"),
    [
        ("from_1.edges", "1 2\n2 3\n", 4, "got 3 nodes in {path}, numbered from 1 to 3, need n=4 of them; try n=3"),
        ("odd.edges", "0 1\n1 2\n2 x\n", 4, "got 'x' in line 3 of {path}"),
        ("short.csv", "0,1\n1,2\n2\n", 3, "got 1 words in line 3 of {path}"),
        ("two.edges", "0 1 .2\n1 0 .3\n", 2, "got the edge 1 0 again in line 2 of {path}, with weight 0.3 after 0.2"),
        ("odd.csv", "0,1,.2\n1,2,much\n", 3, "got 'much' in line 2 of {path}, need a number for the weight"),
        ("arcs.csv", "Source,Target,Type\n0,1,Directed\n", 2, "got a directed edge in line 2 of {path}"),
        ("cut.csv", "source,target,weight\n0,1\n", 2, "got 2 cells in line 2 of {path}, need 3 below"),
        ("no.json", '{"a": 1}', 2, "no node-link or adjacency data as networkx writes them"),
        ("six.edges", "6\n0 1\n", 2, "got '6' in line 1 of {path}, need the number of nodes there, n=2; try n=6"),
        ("nan.edges", "0 1 nan\n", 2, "got 'nan' in line 1 of {path}, need a number for the weight"),
    ],
)
def test_what_is_wrong_is_a_sentence_with_the_line(name, content, n, sentence, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(checks.InputError) as error:
        topology.from_file(n, str(tmp_path / name))
    assert sentence.format(path=tmp_path / name) in str(error.value)


def test_strengths_that_are_no_weights_of_a_W_are_said_not_to_be_used(tmp_path):
    (tmp_path / "strong.csv").write_text(lines("{},{},17"))
    found = read(6, tmp_path / "strong.csv", r"weights of strong are not used, since those of a node sum to 34")
    np.testing.assert_allclose(found.weights.toarray(), W)


F32 = topology.ring(5).weights.toarray().astype(np.float32)


@pytest.mark.parametrize(
    "write",
    {
        "savetxt": lambda path: np.savetxt(path, F32),
        "shortest": lambda path: path.write_text("\n".join(" ".join(map(str, row)) for row in F32)),
        "four decimals": lambda path: np.savetxt(path, F32, fmt="%.4f"),
        "mtx": lambda path: io.mmwrite(path.with_suffix(".txt"), sparse.coo_matrix(F32)),
        "half": lambda path: np.savetxt(path, F32.astype(np.float16)),
    }.values(),
)
def test_a_W_is_judged_by_its_digits_whatever_carries_them(write, tmp_path):
    """And sums are made 1 to the last digits of float64, which float32 does not give."""
    write(tmp_path / "w.txt")
    path = next(tmp_path.iterdir())
    found = read(5, path).weights
    np.testing.assert_allclose(found.sum(axis=0), 1, rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.toarray(), topology.ring(5).weights.toarray(), rtol=0, atol=2e-4)


def test_directed_weights_of_float32_are_normalised_and_a_sum_that_is_off_is_said_in_full():
    draw = np.random.default_rng(0).random((4, 4)).astype(np.float32)
    rows = (draw / draw.sum(axis=1, keepdims=True)).tolist()
    found = topology.from_weights(rows, stochastic="row")
    np.testing.assert_allclose(found.weights.sum(axis=1), 1, rtol=0, atol=1e-15)
    cycle = (np.eye(3)[[1, 2, 0]].astype(np.float32) * np.float32(1 / 3) + np.eye(3, dtype=np.float32) * 2 / 3).tolist()
    np.testing.assert_allclose(topology.from_weights(cycle).weights.sum(axis=0), 1, rtol=0, atol=1e-14)
    with pytest.raises(checks.InputError, match=r"row 0 summing to 1\.00000[34]\d*, need"):
        topology.from_weights([[1 / 3 + 3.1e-6, 2 / 3], [2 / 3, 1 / 3]])
    with pytest.raises(checks.InputError, match=r"summing to 0\.9, need"):
        topology.from_weights([[0.5, 0.4], [0.4, 0.6]])
