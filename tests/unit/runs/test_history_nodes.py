"""Metrics of every node in a history and its file: the same bits after reading, and no damaged evaluation."""

import numpy as np
import pytest

from jdl.runs.history import History
from jdl.runs.history_files import append_csv, append_nodes, join_nodes, read_csv, read_nodes

N, ROUNDS = 3, (0, 5, 9)


@pytest.fixture
def rows():
    draw = np.random.default_rng(0).standard_normal((len(ROUNDS), 2, N)).astype(np.float32)
    draw[1, 0, 2], draw[2, 1, 0] = np.nan, -np.inf
    return [
        {"round": t, "mean_loss": float(a.sum()), "nodes/drift": a, "nodes/degree": b}
        for t, (a, b) in zip(ROUNDS, draw, strict=True)
    ]


@pytest.fixture
def file(tmp_path, rows):
    for row in rows:
        append_nodes(tmp_path / "nodes.csv", row)
        append_csv(tmp_path / "history.csv", row)
    return tmp_path / "nodes.csv"


def same(found, expected):
    assert [row.keys() for row in found] == [row.keys() for row in expected]
    for row, other in zip(found, expected, strict=True):
        for name, value in row.items():
            np.testing.assert_array_equal(value, np.asarray(other[name], np.float64), err_msg=name)


def test_numbers_of_every_node_are_apart_from_columns(rows):
    history = History(rows)
    assert list(history.columns) == list(history.rows[0]) == ["round", "mean_loss"]
    assert list(history.nodes) == ["drift", "degree"] and history.nodes["drift"].shape == (3, N)
    np.testing.assert_array_equal(history.nodes["degree"][1], rows[1]["nodes/degree"])
    assert History([]).nodes == {} and History([{"round": 0}]).nodes == {}


def test_both_files_return_the_same_bits(file, rows):
    assert file.read_text().splitlines()[0] == "round,node,drift,degree"
    assert (file.parent / "history.csv").read_text().splitlines()[0] == "round,mean_loss"
    same(join_nodes(read_csv(file.parent / "history.csv"), read_nodes(file, N)), rows)


def test_without_metrics_of_nodes_there_is_no_file(tmp_path):
    append_nodes(tmp_path / "nodes.csv", {"round": 0, "mean_loss": 1.0})
    assert not list(tmp_path.iterdir()) and read_nodes(tmp_path / "nodes.csv", N) == {}


@pytest.mark.parametrize("cut", [1, 3, 20, 60])
def test_an_evaluation_that_is_cut_short_does_not_count(file, rows, cut):
    """Whole lines may be missing, too: the last evaluation counts only with a line for every node."""
    lines = file.read_text()
    last = lines.index("\n9,0,") + 1
    assert 60 < len(lines) - last
    file.write_text(lines[:-cut])
    found = join_nodes(read_csv(file.parent / "history.csv"), read_nodes(file, N))
    same(found, rows[:2])


def test_lines_after_damage_do_not_count(file, rows):
    file.write_text(file.read_text().replace("\n5,1,", "\n5,?,"))
    assert list(read_nodes(file, N)) == [0]
    file.write_text(file.read_text().replace("\n0,0,", "\n0,1,"))
    assert read_nodes(file, N) == {}
