import bz2
import os
from pathlib import Path

import numpy as np
import pytest

from jdl import checks
from jdl.data.readers import libsvm

# Six of class -1, four of class 1, in three features; the fourth is in the test part alone.
TRAIN = "".join(f"{-1 if i < 6 else +1} 1:{i}.5 3:2\n" for i in range(10))
TEST = "+1 2:1 4:-0.25\n-1 1:1\n"


def folder(name: str, *files: str) -> Path:
    """Where the files lie, or skip."""
    path = Path(os.environ.get("JDL_DATA_DIR", "")) / name
    missing = not os.environ.get("JDL_DATA_DIR") or not all((path / file).is_file() for file in files)
    if missing:
        pytest.skip(f"JDL_DATA_DIR names no folder with {name}/ and {', '.join(files)}")
    return path


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "toy").write_text(TRAIN)
    (tmp_path / "toy.t").write_text(TEST)
    return tmp_path / "toy"


def test_both_parts_have_one_width_and_one_coding(toy):
    data = libsvm.read(toy, toy.with_name("toy.t"))
    assert data.train_x.shape == (10, 4) and data.train_x.dtype == np.float32 and data.train_x.flags.c_contiguous
    np.testing.assert_array_equal(data.train_x[3], [3.5, 0, 2, 0])
    np.testing.assert_array_equal(data.test_x, [[0, 1, 0, -0.25], [1, 0, 0, 0]])
    np.testing.assert_array_equal(data.train_y, [0] * 6 + [1] * 4)
    np.testing.assert_array_equal(data.test_y, [1, 0])
    np.testing.assert_array_equal(data.truth["labels"], [-1, 1])
    assert data.train_y.dtype == data.test_y.dtype == np.int32
    assert data.num_classes == 2 and data.name == "toy" and "toy.t" in data.source


def test_any_file_is_read_alone(toy):
    data = libsvm.read_any(toy)
    assert data.train_x.shape == (8, 3) and len(data.test_y) == 2 and "a fifth of each class" in data.source


def test_packed_files_are_read(toy):
    toy.with_name("toy.bz2").write_bytes(bz2.compress(toy.read_bytes()))
    plain, packed = libsvm.read_any(toy), libsvm.read_any(toy.with_name("toy.bz2"))
    np.testing.assert_array_equal(plain.train_x, packed.train_x)
    np.testing.assert_array_equal(plain.test_x, packed.test_x)
    assert packed.name == "toy"


def test_without_a_test_part_a_fifth_of_each_class_is_held_out(tmp_path):
    path = tmp_path / "mushrooms"
    path.write_text("".join(f"{label} 1:{i + 1}\n" for i, label in enumerate([1] * 50 + [2] * 30 + [7] * 20)))
    data = libsvm.SOURCES["mushrooms"].read(path)
    np.testing.assert_array_equal(np.bincount(data.train_y), [40, 24, 16])
    np.testing.assert_array_equal(np.bincount(data.test_y), [10, 6, 4])
    np.testing.assert_array_equal(data.truth["labels"], [1, 2, 7])
    everything = np.concatenate([data.train_x, data.test_x])[:, 0]
    np.testing.assert_array_equal(np.sort(everything), np.arange(1, 101))
    np.testing.assert_array_equal(data.train_x, libsvm.read(path).train_x)
    assert not np.array_equal(data.test_x, libsvm.read(path, seed=1).test_x)
    # Rows keep their labels: those of class 7 are the last twenty.
    assert data.test_x[data.test_y == 2].min() > 80


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a b c\n", "not in the format of LIBSVM"),
        ("1,2 1:1\n", "not in the format of LIBSVM"),
        ("1 2:1 1:1\n", "not in the format of LIBSVM.*rising order"),
        ("", "without examples|not in the format"),
        ("0.5 1:1\n1 1:2\n", "labels such as 0.5, need whole numbers"),
        ("1 1:nan\n2 1:1\n", "not finite|not in the format"),
        ("1 1:1\n2 1:1\n", "too few to hold out"),
        ("1 1:1\n2 2000000000:1\n" * 100, "which needs about .* GiB"),
    ],
)
def test_unfit_files_are_refused(tmp_path, content, sentence):
    path = tmp_path / "bad"
    path.write_text(content)
    with pytest.raises(checks.InputError, match=sentence):
        libsvm.read(path)


def test_sources():
    assert set(libsvm.SOURCES) == {"a9a", "agaricus", "covtype", "ijcnn1", "mushrooms", "phishing", "w8a"}
    assert [len(libsvm.SOURCES[name].files) for name in ("a9a", "agaricus", "mushrooms")] == [2, 2, 1]
    assert all("https://" in one.where for one in libsvm.SOURCES.values())


def test_a9a_has_the_numbers_of_its_page():
    # LIBSVM's page: 32,561 / 16,281 of 123 features; counts as in the folder's README.
    place = folder("a9a", "a9a", "a9a.t")
    data = libsvm.SOURCES["a9a"].read(place / "a9a", place / "a9a.t")
    assert data.train_x.shape == (32_561, 123) and data.test_x.shape == (16_281, 123)
    assert (data.train_y.sum(), data.test_y.sum()) == (7841, 3846)
    assert np.count_nonzero(data.train_x) == 451_592 and data.name == "a9a"


def test_agaricus_has_the_numbers_of_its_page():
    place = folder("mushroom", "agaricus.txt.train", "agaricus.txt.test")
    data = libsvm.SOURCES["agaricus"].read(place / "agaricus.txt.train", place / "agaricus.txt.test")
    assert data.train_x.shape == (6513, 126) and data.test_x.shape == (1611, 126) and data.name == "agaricus"
    # One of each of the 22 attributes' values a mushroom (UCI: 22 attributes), and no constant column of 0.
    np.testing.assert_array_equal(np.unique(data.train_x.sum(axis=1)), [22])
    assert data.train_x[:, 0].any() and data.train_x[:, -1].any()
