import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from jdl import checks
from jdl.data.load import load
from jdl.data.readers import cifar, pickled


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("JDL_DATA_CACHE", "off")


def batches(number, classes, rows=3):
    """Rows as published (red, then green, then blue), fine and coarse labels."""
    draw = np.random.default_rng(0)
    one = lambda: (
        draw.integers(0, 256, (rows, 3072)).astype(np.uint8),
        draw.integers(0, classes, rows).tolist(),
        draw.integers(0, 20, rows).tolist(),
    )
    return [one() for _ in range(number)]


def by_python_2(data, labels):
    """A pickle as Python 2 wrote CIFAR's, protocol 2: texts of bytes, numpy by its old names."""
    text = lambda bytes_: b"U" + bytes([len(bytes_)]) + bytes_
    number = lambda value: b"J" + struct.pack("<i", value)
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + b"K\x00\x85" + text(b"b") + b"\x87R"
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + text(b"|") + b"NNN" + number(-1) + number(-1) + b"K\x00tb"
    shape = number(data.shape[0]) + number(data.shape[1]) + b"\x86"
    content = b"T" + struct.pack("<i", data.size) + data.tobytes()
    array = reconstruct + b"(K\x01" + shape + dtype + b"\x89" + content + b"tb"
    listed = b"](" + b"".join(map(number, labels)) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + listed + b"u."


def python_files(classes):
    parts = batches(len(cifar._BATCHES[classes]) + 1, classes)
    keys = ("labels", "coarse_labels") if classes == 10 else ("fine_labels", "coarse_labels")
    contents = [dict(zip((b"data", *(key.encode() for key in keys)), part, strict=True)) for part in parts]
    names = (*cifar._BATCHES[classes], cifar._TEST[classes])
    return {name: pickle.dumps(content, 4) for name, content in zip(names, contents, strict=True)}


def binary_files(classes):
    parts = batches(len(cifar._BATCHES[classes]) + 1, classes)
    names = (*cifar._BATCHES[classes], cifar._TEST[classes])
    rows = [
        b"".join(bytes([y] if classes == 10 else [coarse, y]) + x.tobytes() for x, y, coarse in zip(*part, strict=True))
        for part in parts
    ]
    return {f"{name}.bin": content for name, content in zip(names, rows, strict=True)}


def put(folder, files, archive=None):
    if archive is None:
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / archive, "w:gz") as tar:
        for name, content in files.items():
            about = tarfile.TarInfo(f"folder/{name}")
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return folder / archive


FORMS = {"python": (python_files, "-batches-py", "-python"), "binary": (binary_files, "-batches-bin", "-binary")}


def expected(classes):
    x, y, coarse = (np.array([row for part in some for row in part]) for some in zip(*batches(6, classes), strict=True))
    planes = x.reshape(-1, 3, 32, 32)
    return np.stack([planes[:, i] for i in range(3)], -1), y, coarse


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True])
def test_cifar_10_is_read_in_each_form(tmp_path, form, packed):
    make, folder, _ = FORMS[form]
    x, y, _ = expected(10)
    if packed:
        data = cifar.SOURCES["cifar10"].read(put(tmp_path, make(10), "any.tar.gz"))
    else:
        put(tmp_path / f"cifar-10{folder}", make(10))
        data = load("CIFAR-10", tmp_path)
    np.testing.assert_array_equal(data.train_x, x[:15])
    np.testing.assert_array_equal(data.test_x, x[15:])
    np.testing.assert_array_equal(data.train_y, y[:15])
    np.testing.assert_array_equal(data.test_y, y[15:])
    assert data.train_x.dtype == np.uint8 and data.train_y.dtype == np.int32 and data.num_classes == 10
    assert data.name == "cifar10" and data.truth is None


@pytest.mark.parametrize("form", FORMS)
def test_cifar_100_has_fine_labels_and_the_coarse_ones_as_truth(tmp_path, form):
    make, _, folder = FORMS[form]
    put(tmp_path / f"cifar-100{folder}", make(100))
    data = load("cifar100", tmp_path)
    (train, test), x = batches(2, 100), expected(100)[0]
    np.testing.assert_array_equal(data.train_x, x[:3])
    np.testing.assert_array_equal(data.train_y, train[1])
    np.testing.assert_array_equal(data.test_y, test[1])
    np.testing.assert_array_equal(data.truth["train_coarse"], train[2])
    np.testing.assert_array_equal(data.truth["test_coarse"], test[2])
    assert data.num_classes == 100


def test_a_pickle_of_python_2_is_read(tmp_path):
    data, labels, _ = batches(1, 10)[0]
    content = by_python_2(data, labels)
    inside = pickled.restricted_unpickle(content, tmp_path)
    np.testing.assert_array_equal(inside[b"data"], data)
    assert inside[b"labels"] == labels and inside[b"data"].dtype == np.uint8


class Call:
    def __reduce__(self):
        return print, ("called",)


@pytest.mark.parametrize("harmful", [Call(), {b"data": Call()}, io.BytesIO, np.array([Call()])])
def test_a_pickle_that_asks_for_more_than_arrays_is_refused_unrun(tmp_path, harmful, capsys):
    with pytest.raises(checks.InputError, match=r"a pickle that asks for \w+\.\w+, need one of arrays alone"):
        pickled.restricted_unpickle(pickle.dumps(harmful), tmp_path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"nothing", "which is not a pickle"),
        (pickle.dumps([1]), "with a list, need a dict"),
        (pickle.dumps({b"data": 1}), r"without \['labels'\]"),
        (pickle.dumps({b"data": np.zeros((2, 3)), b"labels": [1, 2]}), r"data of \(2, 3\), need"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}), "and N labels"),
    ],
)
def test_a_damaged_batch_is_refused(tmp_path, content, sentence):
    put(tmp_path / "cifar-10-batches-py", {**python_files(10), "data_batch_3": content})
    with pytest.raises(checks.InputError, match=sentence):
        load("cifar10", tmp_path)


def test_a_batch_that_is_missing_or_cut_off_is_told(tmp_path):
    files = binary_files(10)
    short = {**files, "test_batch.bin": files["test_batch.bin"][:-1]}
    with pytest.raises(checks.InputError, match=r"test_batch.bin with 9,218 bytes, need rows of 3073"):
        cifar.SOURCES["cifar10"].read(put(tmp_path / "short", short))
    del files["data_batch_4.bin"]
    with pytest.raises(checks.InputError, match=r"without data_batch_4.bin, need all of CIFAR-10"):
        cifar.SOURCES["cifar10"].read(put(tmp_path / "fewer", files))
    (tmp_path / "no.tar.gz").write_bytes(b"nothing")
    with pytest.raises(checks.InputError, match="which is not a tar archive"):
        cifar.SOURCES["cifar10"].read(tmp_path / "no.tar.gz")


def test_an_archive_of_the_published_name_is_checked(tmp_path):
    put(tmp_path, python_files(10), "cifar-10-python.tar.gz")
    with pytest.raises(
        checks.InputError, match=r"need 6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
    ):
        load("cifar10", tmp_path)
