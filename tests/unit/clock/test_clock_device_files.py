"""Files of how fast devices are: what is read, and what is refused with its line."""

import json
import pickle

import numpy as np
import pytest

from jdl import checks, clock


def written(folder, text):
    (folder / "times.csv").write_text(text)
    return folder / "times.csv"


def test_tables_of_nodes_and_of_rounds(tmp_path):
    one = clock.Recorded.from_file(written(tmp_path, "node,seconds\n# of a phone\n1,0.5\n\n0,0.25\n"), 2)
    assert np.asarray(one.table).tolist() == [[0.25, 0.5]]
    two = clock.Recorded.from_file(written(tmp_path, "0,1,4\n0,0,1\n1,0,2\n1,1,3.5\n"), 2)
    assert two.seconds(1, None, 2).tolist() == [2, 3.5] and two.seconds(2, None, 2).tolist() == [1, 4]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0,1\n1,-2\n", r"got -2 seconds in line 2 of .*need times of at least 0"),
        ("0,1\n1,nan\n", r"got nan seconds in line 2"),
        ("0,1\n2,1\n", r"got node 2 in line 2 of .*, need one of n=2 nodes, from 0; try n=3"),
        ("0,1\n", r"got no time of 1 of 2 nodes \(1\) in round 0"),
        ("0,1\n0,2\n", r"got node 0 in line 2 of .*, which round 0 has already"),
        ("0,0,1\n0,1,1\n2,0,1\n", r"got round 2 in line 3 of .*, need rounds 0, 1, 2, ... in order"),
        ("0,0,1\n1,0,1\n", r"got no time of 1 of 2 nodes \(1\) in round 0, before the end of line 2"),
        ("0,0,1\n0,1,1\n1,0,1\n1,1,1\n0,0,2\n", r"got round 0 in line 5 of .*sort the lines"),
        ("0,fast\n", r"got '0,fast' in line 1 of .*, need node,seconds or round,node,seconds"),
        ("0,1\n0,1,2\n", r"got '0,1,2' in line 2"),
        ("", r"without a line of numbers"),
    ],
)
def test_wrong_lines_are_named(tmp_path, text, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        clock.Recorded.from_file(written(tmp_path, text), 2)


@pytest.mark.parametrize("kind", ["json", "pickle"])
def test_devices_of_fedscale(tmp_path, kind):
    clients = {str(k): {"computation": 10.0 * (k + 1), "communication": 1000.0 * (k + 1)} for k in range(5)}
    file = tmp_path / "client_device_capacity"
    file.write_bytes(json.dumps(clients).encode() if kind == "json" else pickle.dumps(clients))
    devices = clock.fedscale_devices(file, 5, examples=20)
    # 3 x 20 examples x 10 ms, and 1,000 kbit of 1,024 bits.
    np.testing.assert_allclose(np.sort(devices.step), 0.6 * np.arange(1, 6))
    np.testing.assert_allclose(devices.rate / 1024000, devices.step / 0.6)
    some = clock.fedscale_devices(file, 3, seed=1)
    assert len(some.step) == 3 and some.step.tolist() != clock.fedscale_devices(file, 3, seed=2).step.tolist()


@pytest.mark.parametrize(
    ("clients", "sentence"),
    [
        ({"a": {"computation": 1.0}}, r"client 'a' of .* without 'communication', need"),
        ({"a": {"computation": 0, "communication": 1}}, r"client 'a' of .* need numbers above 0"),
        ([1], r"of another form, need"),
        ({}, r"got 0 clients in .*, need 1"),
    ],
)
def test_wrong_devices_are_named(tmp_path, clients, sentence):
    file = tmp_path / "devices.json"
    file.write_text(json.dumps(clients))
    with pytest.raises(checks.InputError, match=sentence):
        clock.fedscale_devices(file, 1)


def test_a_pickle_that_could_run_code_is_refused(tmp_path):
    file = tmp_path / "devices"
    file.write_bytes(pickle.dumps({"a": print}))
    with pytest.raises(checks.InputError, match=r"need a pickle of plain values: it holds builtins.print"):
        clock.fedscale_devices(file, 1)
    with pytest.raises(checks.InputError, match=r"need a file of how fast devices are"):
        clock.fedscale_devices(tmp_path / "none", 1)
