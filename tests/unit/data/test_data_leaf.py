import json

import numpy as np
import pytest

from jdl import checks
from jdl.data.readers import leaf

# The form of LEAF's data_to_json.py, split_data.py (train and test) and shake_utils.py: see the module's references.


def made(path, examples, **changes):
    """A file of LEAF's: user -> (x, y)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "users": list(examples),
        "num_samples": [len(y) for _, y in examples.values()],
        "user_data": {user: {"x": x, "y": y} for user, (x, y) in examples.items()},
    }
    path.write_text(json.dumps(content | changes))
    return path


def handwriting(seed, count, classes=62):
    """Images as LEAF writes them: grey levels over 255, flat."""
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, 256, (count, 784))
    return grey, rng.integers(0, classes, count)


def as_lists(grey, y):
    return (grey / 255).round(4).tolist(), y.tolist()  # as copies with fewer digits are


def text(line, length=6):
    """A line's windows as shake_utils.py makes them."""
    line = " " * length + line
    return [line[i : i + length] for i in range(len(line) - length)], list(line[length:])


def test_femnist_is_read_by_writer(tmp_path):
    folder = tmp_path / "femnist"
    writers = {f"f{i}_{i}": handwriting(i, 10 + i) for i in range(4)}
    names = list(writers)
    for part, cut in (("train", slice(0, 9)), ("test", slice(9, None))):
        for number, mine in enumerate((names[:3], names[3:])):
            users = {name: as_lists(writers[name][0][cut], writers[name][1][cut]) for name in mine}
            made(folder / "data" / part / f"all_data_{number}_niid_0_keep_0_{part}_9.json", users)
    made(folder / "data" / "all_data" / "all_data_0.json", {"other": as_lists(*handwriting(9, 3))})  # not read
    data = leaf.SOURCES["femnist"].read(folder)
    assert data.train_x.shape == (36, 28, 28, 1) and data.train_x.dtype == data.test_x.dtype == np.uint8
    assert data.num_classes == 62 and data.name == "femnist" and "4 in all" in data.source
    assert data.truth["users"].tolist() == names
    for owner, name in enumerate(names):
        grey, y = writers[name]
        train, test = data.train_owner == owner, data.test_owner == owner
        np.testing.assert_array_equal(data.train_x[train].reshape(9, 784), grey[:9])  # each of 256 levels comes back
        np.testing.assert_array_equal(data.test_x[test].reshape(-1, 784), grey[9:])
        np.testing.assert_array_equal(data.train_y[train], y[:9])
        np.testing.assert_array_equal(data.test_y[test], y[9:])
    assert data.train_y.dtype == data.train_owner.dtype == data.test_owner.dtype == np.int32


def test_without_a_test_part_a_tenth_of_each_user_is_held_out(tmp_path):
    users = {name: ([[float(i), 1.0] for i in range(20)], [i % 3 for i in range(20)]) for name in "abc"}
    path = made(tmp_path / "all_data" / "all.json", users)
    for where in (tmp_path, path.parent, path):
        data = leaf.read_any(where)
        np.testing.assert_array_equal(np.bincount(data.train_owner), [18, 18, 18])
        np.testing.assert_array_equal(np.bincount(data.test_owner), [2, 2, 2])
        assert data.train_x.shape == (54, 2) and data.train_x.dtype == np.float32 and data.num_classes == 3
        np.testing.assert_array_equal(data.train_y, data.train_x[:, 0] % 3)
        assert "a tenth" in data.source


def test_shakespeare_is_read_by_role(tmp_path):
    lines = {"PLAY_ANN": "to be or not", "PLAY_BOB": "to see, or $"}
    users = {name: text(line) for name, line in lines.items()}
    train = {name: (x[:8], y[:8]) for name, (x, y) in users.items()}
    test = {name: (x[8:], y[8:]) for name, (x, y) in users.items()}
    made(tmp_path / "train" / "a.json", train, hierarchies=["PLAY", "PLAY"])
    made(tmp_path / "test" / "a.json", test)
    data = leaf.SOURCES["leaf_shakespeare"].read(tmp_path)
    letters = data.truth["vocabulary"]
    assert letters.tolist() == sorted({*" ".join(lines.values())}) and data.num_classes == len(letters)
    assert data.train_x.shape == data.train_y.shape == (16, 6) and data.train_x.dtype == np.int32
    np.testing.assert_array_equal(data.train_x[:, 1:], data.train_y[:, :-1])
    for owner, name in enumerate(lines):
        mine = data.train_owner == owner
        assert ["".join(row) for row in letters[data.train_x[mine]]] == users[name][0][:8]
        assert letters[data.train_y[mine][:, -1]].tolist() == users[name][1][:8]  # what LEAF asks for
        assert letters[data.test_y[data.test_owner == owner][:, -1]].tolist() == users[name][1][8:]


def test_users_may_be_held_out_whole_and_lie_in_two_files(tmp_path):
    some = ([[0.0, 1.0]] * 2, [0, 1])
    made(tmp_path / "train" / "a.json", {"a": some, "b": some, "none": ([], [])})
    made(tmp_path / "train" / "b.json", {"b": some})
    made(tmp_path / "test" / "c.json", {"c": some, "a": some})
    data = leaf.read_any(tmp_path)
    assert data.truth["users"].tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(data.train_owner, [0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(data.test_owner, [2, 2, 0, 0])


SOME = ([[0.0, 1.0]] * 20, [0, 1] * 10)


@pytest.mark.parametrize(
    ("examples", "changes", "sentence"),
    [
        ({"a": SOME}, {"users": ["a", "b"], "num_samples": [20, 20]}, r"not LEAF's json \(KeyError: 'b'\)"),
        ({"a": SOME}, {"user_data": None}, r"not LEAF's json"),
        ({"a": SOME}, {"num_samples": [19]}, r"of a user differ in length"),
        ({"a": SOME}, {"num_samples": [20, 20]}, r"not LEAF's json"),
        ({"a": (SOME[0], SOME[1][:-1])}, {}, r"of a user differ in length"),
        ({"a": ([[1.0], [1.0, 2.0]], [0, 1])}, {}, r"examples of user 'a' that are not read"),
        ({"a": (SOME[0], [0.5, 1] * 10)}, {}, r"user 'a'.*one class for each"),
        ({"a": (["abc", "ab"], ["x", "y"])}, {}, r"user 'a' that are not read"),
        ({"a": (["abc", "abd"], ["xy", ""])}, {}, r"user 'a' that are not read"),
        ({"a": ([["id", "a tweet"]] * 2, [0, 1])}, {}, r"user 'a' that are not read"),
        ({"a": SOME, "b": ([[0.0]] * 20, SOME[1])}, {}, r"got examples of 2 kinds"),
        ({"a": ([], [])}, {}, r"without examples to train on"),
        ({"a": (SOME[0], [-1, 1] * 10)}, {}, r"need classes from 0"),
    ],
)
def test_malformed_files_are_refused(tmp_path, examples, changes, sentence):
    path = made(tmp_path / "all.json", examples, **changes)
    with pytest.raises(checks.InputError, match=sentence):
        leaf.read_any(path)


def test_what_is_no_data_is_refused(tmp_path):
    with pytest.raises(checks.InputError, match=r"need LEAF's json.*all_data.*preprocess.sh"):
        leaf.read_any(tmp_path)
    (tmp_path / "cut.json").write_text('{"users": ["a"], "num_sam')
    with pytest.raises(checks.InputError, match=r"cut.json, which is not LEAF's json"):
        leaf.read_any(tmp_path)
    (tmp_path / "cut.json").write_text("[1, 2]")
    with pytest.raises(checks.InputError, match=r"cut.json, which is not LEAF's json"):
        leaf.read_any(tmp_path)
    made(tmp_path / "more.json", {"a": ([[0.5] * 784] * 20, [70] * 20)})
    with pytest.raises(checks.InputError, match=r"with class 70, need classes from 0 to 61"):
        leaf.SOURCES["femnist"].read(tmp_path / "more.json")
    made(tmp_path / "train" / "a.json", {"a": SOME})
    made(tmp_path / "test" / "a.json", {"a": ([[1.0]] * 2, [0, 1])})
    with pytest.raises(checks.InputError, match=r"examples of shape \(2,\) to train, \(1,\) to test"):
        leaf.read_any(tmp_path)
