"""Graphs from files, from Python and from the command line."""

import numpy as np
import pytest
from scipy import sparse

from jdl import checks, cli, topology

RING = np.eye(4) / 2 + (np.eye(4, k=1) + np.eye(4, k=-1) + np.eye(4, k=3) + np.eye(4, k=-3)) / 4


def test_every_form_of_a_matrix_gives_the_same_graph(tmp_path):
    np.save(tmp_path / "w.npy", RING)
    np.savetxt(tmp_path / "w.csv", RING, delimiter=",")
    np.savetxt(tmp_path / "w.txt", RING)
    sparse.save_npz(tmp_path / "w.npz", sparse.csr_array(RING))
    for name in ("w.npy", "w.csv", "w.txt", "w.npz"):
        found = topology.from_file(4, str(tmp_path / name))
        np.testing.assert_allclose(found.weights.toarray(), RING)
        assert found.symmetric and found.kind == "doubly" and found.name == "w"


def test_edges_get_metropolis_weights(tmp_path):
    (tmp_path / "path.edges").write_text("0 1\n1 2\n")
    expected = [[2 / 3, 1 / 3, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1 / 3, 2 / 3]]
    np.testing.assert_allclose(topology.from_file(3, str(tmp_path / "path.edges")).weights.toarray(), expected)


BAD = {
    "no_such_file.npy": (None, "need a file with a weight matrix or a list of edges"),
    "shape.csv": ("1,0\n0,1\n", "got a matrix of shape (2, 2)"),
    "sums.csv": ("1,1,0\n0,1,0\n0,0,1\n", "row 0 summing to 2, need row and column sums of 1"),
    "words.txt": ("a b c\n", "need numbers in the form that its ending says"),
    "far.edges": ("0 1\n1 7\n", "need pairs of node numbers from 0 to 2 for n=3"),
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
