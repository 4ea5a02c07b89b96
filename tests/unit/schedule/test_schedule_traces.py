"""Traces of who is there: both formats by hand, and what is wrong with a file is named by its line."""

import json
import pickle

import jax
import numpy as np
import pytest

from jdl.checks import InputError
from jdl.schedule import Availability, Fixed, Traced, read_trace
from jdl.topology import ring


def written(folder, text):
    path = folder / "trace.csv"
    path.write_text(text)
    return path


TABLE = """# who is there
node,start,end
0,0,100
1,50,60

0,150,200
1, 60, 200
2,0,1
"""


def test_a_table_of_intervals(tmp_path):
    path = written(tmp_path, TABLE)
    expected = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 0], [1, 1, 0]], bool)  # at 0, 50, 100 and 150 seconds
    np.testing.assert_array_equal(read_trace(path, 3, 50), expected)
    np.testing.assert_array_equal(read_trace(str(path), 3, 50, rounds=6)[4:], np.zeros((2, 3), bool))
    pool = Availability.from_trace(path, 3, seconds_per_round=50)
    np.testing.assert_array_equal(pool.table, expected)
    assert np.array_equal(np.asarray(pool((), 5, jax.random.key(0))[0].active), expected[1])  # it begins again
    assert np.array_equal(Traced.from_trace(Fixed.of(ring(3)), path, 50).table, expected)


# Client 2 comes before client 10, and both before a client with a name; of three clients two are taken.
TRACE = {
    "10": {"active": [0, 30], "inactive": [10, 40], "finish_time": 50, "duration": 20, "model": "x"},
    "2": {"active": [5], "inactive": [20], "finish_time": 25},
    "a": {"active": [], "inactive": [], "finish_time": 1},
}


@pytest.mark.parametrize("write", ["json", "pickle"])
def test_a_trace_of_clients_that_repeats(tmp_path, write):
    path = tmp_path / "trace"
    path.write_bytes(json.dumps(TRACE).encode() if write == "json" else pickle.dumps(TRACE))
    at = np.arange(0, 100, 10)
    expected = np.array([[5 <= t % 25 <= 20, t % 50 <= 10 or 30 <= t % 50 <= 40] for t in at])
    np.testing.assert_array_equal(read_trace(path, 2, 10, rounds=10), expected)
    assert read_trace(path, 2, 10).shape == (5, 2)  # the longest of the two finish_times
    with pytest.raises(InputError, match=r"got 3 clients .* need 4"):
        read_trace(path, 4, 10)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0,0,10\n0,5,20\n", "got start 5 in line 2 .* before the end 10"),
        ("0,20,30\n\n0,5,10\n", "got start 5 in line 3"),
        ("0,7,7\n", "got 7 to 7 in line 1 .* need a later end"),
        ("0,-1,7\n", "got -1 to 7 in line 1 .* at least 0"),
        ("0,nan,7\n", "line 1"),
        ("node,start,end\n0,1\n", "got '0,1' in line 2 .* need node,start,end"),
        ("0,1,2,3\n", "got '0,1,2,3' in line 1"),
        ("zero,1,2\n", "got 'zero,1,2' in line 1"),
        ("1,0,5\n", "got node 1 in line 1 .* need one of n=1"),
        ("", r"got no line of 1 of 1 nodes \(0\)"),
        ('{"0": {"active": [0, 5], "inactive": [9, 6], "finish_time": 9}}', "got start 5 in interval 1 of client '0'"),
        ('{"0": {"active": [0], "inactive": [9], "finish_time": 8}}', "got finish_time=8 of client '0'"),
        ('{"0": {"active": [0], "inactive": [9, 10], "finish_time": 8}}', "got 1 times in active and 2 in inactive"),
        ('{"0": {"active": [0]}}', "got client '0' .* without 'inactive'"),
        ('{"0": [1]}', "of another form"),
        ("{", "need lines node,start,end, or a trace"),
    ],
)
def test_a_wrong_file_is_refused_by_its_line(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_trace(written(tmp_path, text), 1, 10)


def test_nodes_that_are_missing_are_counted_and_the_first_are_named(tmp_path):
    path = written(tmp_path, "3,0,5\n")
    with pytest.raises(InputError, match=r"got no line of 3 of 4 nodes \(0, 1, 2\) in .*each of 4 nodes"):
        read_trace(path, 4, 10)
    with pytest.raises(InputError, match=r"got no line of 8 of 9 nodes \(0, 1, 2, 4, 5, \.\.\.\)"):
        read_trace(path, 9, 10)


class Runs:
    """What a pickle could do."""

    def __reduce__(self):
        return print, ("it ran",)


def test_a_pickle_runs_nothing(tmp_path, capsys):
    path = tmp_path / "trace.pickle"
    path.write_bytes(pickle.dumps({0: Runs()}))
    with pytest.raises(InputError, match="need a pickle of plain values: it holds builtins"):
        read_trace(path, 1, 10)
    assert not capsys.readouterr().out
    with pytest.raises(InputError, match="need a file of times"):
        read_trace(tmp_path / "none", 1, 10)
    with pytest.raises(InputError, match="got seconds_per_round=0"):
        read_trace(path, 1, 0)
