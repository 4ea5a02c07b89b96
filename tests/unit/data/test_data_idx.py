import gzip
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jdl import checks
from jdl.data.load import load
from jdl.data.readers import idx

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
BALANCED = [
    f"emnist-balanced-{part}-ubyte"
    for part in ("train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1")
]


def packed(array):
    """The format as its page describes it: two zeros, the type, the dimensions, their lengths, then the numbers."""
    header = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def digits(number, seed):
    draw = np.random.default_rng(seed)
    return draw.integers(0, 256, (number, 3, 2)).astype(np.uint8), draw.integers(0, 10, number).astype(np.uint8)


def put(folder, names, arrays, pack=gzip.compress):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(names, arrays, strict=True):
        (folder / name).write_bytes(pack(packed(array)))


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("JDL_DATA_CACHE", "off")


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 0, 3), (2, 1, 3, 2)])
def test_every_type_and_shape_is_read_back(tmp_path, dtype, shape):
    array = (np.random.default_rng(0).normal(size=shape) * 50).astype(dtype)
    for number, pack in enumerate((bytes, gzip.compress)):
        path = tmp_path / f"{number}.gz"
        path.write_bytes(pack(packed(array)))
        read = idx.read_idx(path)
        assert read.dtype == np.dtype(dtype) and read.dtype.isnative
        np.testing.assert_array_equal(read, array)


def test_bytes_of_a_known_file(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(bytes.fromhex("00000b01 00000002 0102 ffff"))  # two numbers of 16 bits: 258 and -1
    np.testing.assert_array_equal(idx.read_idx(path), [258, -1])


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"", "starts with nothing"),
        (b"\x89PNG....", "starts with 89504e47, need an IDX file"),
        (bytes.fromhex("00000a01 00000000"), "starts with 00000a01"),
        (bytes.fromhex("00000803 00000002 00"), "with 9 bytes, need"),
        (
            bytes.fromhex("00000801 00000003 0102"),
            r"with 10 bytes, need 11 for an array of \(3,\): the file is cut off",
        ),
        (bytes.fromhex("00000801 00000001 0102"), "with 10 bytes, need 9"),
        (bytes.fromhex("00000801 ffffffff 0102"), "with 10 bytes, need 4,294,967,303"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, sentence):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(checks.InputError, match=sentence):
        idx.read_idx(tmp_path / "file")


@pytest.mark.parametrize("names", ["{}", "dotted"])
def test_mnist_unpacked_is_read_from_a_folder_of_its_name(tmp_path, names):
    plain = [name.replace("-idx", ".idx") if names == "dotted" else name for name in idx._FILES]
    (train_x, train_y), (test_x, test_y) = digits(7, 0), digits(4, 1)
    put(tmp_path / "MNIST" / "raw", plain, (train_x, train_y, test_x, test_y), bytes)
    data = load("MNIST", tmp_path)
    np.testing.assert_array_equal(data.train_x, train_x[..., None])
    np.testing.assert_array_equal(data.test_x, test_x[..., None])
    np.testing.assert_array_equal(data.train_y, train_y)
    np.testing.assert_array_equal(data.test_y, test_y)
    assert data.train_x.dtype == np.uint8 and data.train_y.dtype == np.int32 and data.num_classes == 10
    assert data.name == "mnist" and data.source.endswith(f"Read from {tmp_path}/MNIST/raw; no checksum known.")


def test_packed_files_that_are_not_those_published_are_refused(tmp_path):
    put(tmp_path / "mnist", [f"{name}.gz" for name in idx._FILES], (*digits(7, 0), *digits(4, 1)))
    with pytest.raises(checks.InputError, match=r"got .*train-images-idx3-ubyte.gz with sha256 .*, need 440fcabf73cc"):
        load("mnist", tmp_path)


def test_labels_of_another_number_than_images_are_refused(tmp_path):
    put(tmp_path / "kmnist", idx._FILES, (digits(7, 0)[0], digits(6, 0)[1], *digits(4, 1)), bytes)
    with pytest.raises(checks.InputError, match=r"images of \(7, 3, 2\) and labels of \(6,\)"):
        load("kmnist", tmp_path)
    put(tmp_path / "kmnist", idx._FILES, (digits(7, 0)[0], digits(7, 0)[1] + 10, *digits(4, 1)), bytes)
    with pytest.raises(checks.InputError, match=r"classes from 1\d to 1\d, need them from 0 to 9"):
        load("kmnist", tmp_path)


def test_emnist_is_set_upright_and_its_letters_count_from_zero(tmp_path):
    (train_x, train_y), (test_x, test_y) = digits(7, 0), digits(4, 1)
    put(tmp_path / "emnist" / "gzip", [f"{name}.gz" for name in BALANCED], (train_x, train_y, test_x, test_y))
    letters = [name.replace("balanced", "letters") for name in BALANCED]
    put(tmp_path / "emnist", letters, (train_x, train_y + 1, test_x, test_y + 1), bytes)
    for name, classes in (("emnist_balanced", 47), ("emnist-letters", 26)):
        data = load(name, tmp_path)
        np.testing.assert_array_equal(data.train_x[..., 0], np.swapaxes(train_x, 1, 2))
        np.testing.assert_array_equal(data.test_y, test_y)
        np.testing.assert_array_equal(data.train_y, train_y)
        assert data.num_classes == classes


def test_emnist_is_read_from_the_zip_it_is_published_in(tmp_path, monkeypatch):
    arrays = (*digits(7, 0), *digits(4, 1))
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
        for name, array in zip(BALANCED, arrays, strict=True):
            archive.writestr(f"gzip/{name}.gz", gzip.compress(packed(array)))
    with pytest.raises(checks.InputError, match=r"gzip.zip with sha256 .*, need fb9bb67e33"):
        load("emnist_balanced", tmp_path)
    read = idx.SOURCES["emnist_balanced"].read(*[tmp_path / "gzip.zip"] * 4)
    np.testing.assert_array_equal(read.train_x[..., 0], np.swapaxes(arrays[0], 1, 2))
    np.testing.assert_array_equal(read.test_y, arrays[3])
    with pytest.raises(checks.InputError, match=r"without emnist-digits-train-images-idx3-ubyte.gz"):
        idx.SOURCES["emnist_digits"].read(*[tmp_path / "gzip.zip"] * 4)


def test_mnist_has_the_counts_that_are_published():
    place = os.environ.get("JDL_DATA_DIR", "")
    if not place or not (Path(place) / "mnist").is_dir():
        pytest.skip("MNIST: no folder mnist in JDL_DATA_DIR")
    data = load("mnist")
    assert data.train_x.shape == (60000, 28, 28, 1) and data.test_x.shape == (10000, 28, 28, 1)
    # Examples of each class, as in TFDS's and many others' accounts of the data set.
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_array_equal(np.bincount(data.train_y), train)
    np.testing.assert_array_equal(np.bincount(data.test_y), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    assert abs(data.train_x.mean() / 255 - 0.1307) < 5e-5  # the mean that PyTorch's examples subtract
    assert "sha256 as published" in data.source
