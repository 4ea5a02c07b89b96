"""What a reader made of odd files, and the way to it: refused with a sentence, or right."""

import os
import pickle
import shutil
import warnings
import zipfile

import numpy as np
import platformdirs
import pytest

from jdl import checks
from jdl.data import generators
from jdl.data.dataset import Dataset
from jdl.data.load import load
from jdl.data.readers import cache, cifar, files, idx, images, libsvm, movielens
from jdl.data.validate import validate

X, Y = np.linspace(0, 1, 30, dtype=np.float32).reshape(10, 3), np.arange(10) % 2
TOKENS = np.arange(20).reshape(2, 10)


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("JDL_DATA_CACHE", "off")


def npz(tmp_path, **changes):
    arrays = {"train_x": X, "train_y": Y, "test_x": X, "test_y": Y} | changes
    np.savez(tmp_path / "a.npz", **arrays)
    return load(f"npz:{tmp_path / 'a.npz'}")


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"train_x": np.array([["a"] * 3] * 10)}, "with examples of <U1, need whole or real numbers"),
        ({"train_x": X + 1j}, "with examples of complex64"),
        ({"train_x": np.zeros((10, 3), "M8[s]")}, r"with examples of datetime64\[s\]"),
        ({"train_x": np.full((10, 3), 1e300)}, "with train_x that is not finite in 32 bits"),
        ({"test_x": np.full((10, 3), np.nan)}, "with test_x that is not finite"),
        ({"train_y": np.full(10, np.nan), "test_y": Y / 2}, "with train_y that is not finite"),
        ({"train_y": Y + 2**40}, "with the class 1099511627777, need classes that count from 0"),
        ({"train_y": np.eye(2, dtype=int)[Y], "test_y": np.eye(2, dtype=int)[Y]}, r"save y.argmax\(axis=1\)"),
        ({"train_y": Y / 2}, "targets of type float32 to train, int32 to test on"),
        ({"test_x": X[:0], "test_y": Y[:0]}, "at least one to train and one to test on"),
        ({"train_x": X[:, :0], "test_x": X[:, :0]}, "need as many targets as examples"),
        ({"train_x": np.array(1.0)}, "need as many targets as examples"),
        ({"train_owner": np.array(list("aabbccddee"))}, r"with train_owner of <U1.*return_inverse=True\)\[1\]"),
        ({"train_owner": np.arange(10) + 0.5}, "with train_owner of float64"),
        ({"train_owner": np.arange(10) + 2**40}, "from 0 to 2"),
        ({"train_owner": np.arange(9)}, r"with owners of \(9,\), need one for each of the 10 examples"),
        ({"num_classes": np.array([2, 3])}, r"num_classes=\[2, 3\], need one whole number"),
        ({"num_classes": np.array(2.5)}, "num_classes=2.5, need one whole number"),
        ({"num_classes": np.array(0)}, "num_classes=0, need integers and at least one class"),
        ({"train_x": TOKENS - 1, "train_y": TOKENS, "test_x": TOKENS, "test_y": TOKENS}, "with the token -1"),
        ({"train_x": TOKENS, "train_y": TOKENS, "test_x": TOKENS / 2, "test_y": TOKENS}, "int32 to train and float32"),
    ],
)
def test_arrays_that_would_be_misread_are_refused(tmp_path, changes, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        npz(tmp_path, **changes)


def test_no_array_and_no_axis_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x", "hi")
        archive.writestr("y", "ho")
    with pytest.raises(checks.InputError, match="not an npz file of plain arrays"):
        load(f"npz:{tmp_path / 'a.npz'}")
    np.savez(tmp_path / "b.npz", x=np.array(1), y=np.array(1))
    with pytest.raises(checks.InputError, match="need as many targets as examples"):
        load(f"npz:{tmp_path / 'b.npz'}")


def test_all_tokens_are_in_the_vocabulary_and_one_feature_has_an_axis(tmp_path):
    data = npz(tmp_path, train_x=TOKENS + 1, train_y=TOKENS, test_x=TOKENS, test_y=TOKENS)
    assert data.num_classes == data.train_x.max() + 1 == 21
    assert npz(tmp_path, train_x=X[:, 0], test_x=X[:, 0]).train_x.shape == (10, 1)


def test_tokens_beyond_the_vocabulary_are_refused():
    y = TOKENS.astype(np.int32)
    with pytest.raises(checks.InputError, match="got here with tokens from 1 to 20, need them from 0 to 19"):
        validate(Dataset(y + 1, y, y, y, num_classes=20, name="a", source=""), "here")


@pytest.mark.parametrize("name", [None, 3, {}])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(checks.InputError, match="need its name, such as 'mnist'"):
        load(name)


@pytest.mark.parametrize("kind", ["images", "libsvm", "movielens", "npz", "table", "text"])
def test_a_folder_in_place_of_a_file_is_told_before_a_digest_is_taken_of_it(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(files, "_digest", lambda *about: pytest.fail("read"))
    (tmp_path / "a").write_bytes(b"much")
    for place in (tmp_path, ""):
        with pytest.raises(checks.InputError, match=f"got {kind}:.*, a folder, need a file"):
            load(f"{kind}:{place}")


def test_labels_of_idx_are_whole(tmp_path):
    pixels = b"\0\0\x08\x03" + np.array([2, 1, 1], ">u4").tobytes() + b"\1\2"
    half = b"\0\0\x0d\x01" + np.array([2], ">u4").tobytes() + np.array([0.5, 1.5], ">f4").tobytes()
    for name, content in (("x", pixels), ("y", half)):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(checks.InputError, match=r"labels of \(2,\) and float32, need"):
        idx._read(*[tmp_path / "x", tmp_path / "y"] * 2, summary="", classes=10)


def test_a_zip_of_emnist_whose_content_is_damaged_is_refused(tmp_path):
    path = tmp_path / "gzip.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("gzip/a.gz", b"content that is long enough")
    content = bytearray(path.read_bytes())
    content[45] ^= 1
    path.write_bytes(content)
    with pytest.raises(checks.InputError, match=r"got .*gzip.zip, a damaged zip \(Bad CRC"):
        idx._one(path, "a")


def cifar_folder(tmp_path, labels, without=()):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    content = pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": labels})
    for name in (*cifar._BATCHES[10], cifar._TEST[10]):
        if name not in without:
            (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("labels", [[2**40, 1], [0.5, 1.5], ["a", "b"], [[1], [1, 2]], [-1, 1], [1, 10]])
def test_labels_of_cifar_that_are_none_are_refused(tmp_path, labels):
    with pytest.raises(checks.InputError, match=r"got .*data_batch_1 with .*(need|arrays)"):
        cifar._read(cifar_folder(tmp_path, labels), 10)


def test_coarse_labels_are_looked_at_too(tmp_path):
    rows = np.zeros((2, 3074), np.uint8)
    rows[:, 0] = [19, 20]
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(rows.tobytes())
    with pytest.raises(checks.InputError, match="with the label 20, need them from 0 to 19"):
        cifar._read(tmp_path, 100)


def test_missing_batches_are_told_by_the_names_that_the_others_have(tmp_path):
    with pytest.raises(checks.InputError, match="without test_batch, need all of CIFAR-10"):
        cifar._read(cifar_folder(tmp_path, [0, 1], without=["test_batch"]), 10)


def zip_of(tmp_path, **how):
    image = pytest.importorskip("PIL.Image")
    for part in ("train", "test"):
        folder = tmp_path / "in" / part / "a"
        folder.mkdir(parents=True)
        image.new(*how["new"]).save(folder / "1.png")
    return shutil.make_archive(str(tmp_path / "images"), "zip", tmp_path / "in")


def test_images_of_more_than_8_bits_are_refused_and_gray_ones_stay_gray(tmp_path):
    with pytest.raises(checks.InputError, match=r"1.png of more than 8 bits a pixel, need 8"):
        load(f"images:{zip_of(tmp_path / 'wide', new=('I;16', (4, 4), 4000))}")
    gray = load(f"images:{zip_of(tmp_path / 'gray', new=('LA', (4, 4), (100, 255)))}")
    assert gray.train_x.shape == (1, 4, 4, 1) and np.all(gray.train_x == 100)
    with pytest.raises(checks.InputError, match="which is not a zip"):
        images.read_any(tmp_path)


def test_a_packed_file_that_is_damaged_is_told_once(tmp_path):
    (tmp_path / "a").write_bytes(b"BZh nothing")
    with pytest.raises(checks.InputError) as refusal:
        libsvm.read(tmp_path / "a")
    assert str(refusal.value).startswith(f"got {tmp_path / 'a'}, which does not unpack")


@pytest.mark.parametrize("header", [b"\xef\xbb\xbfuserId,movieId,rating,timestamp\n", b'"userId","movieId","rating"\n'])
def test_ratings_below_a_mark_or_quoted_names_are_read(tmp_path, header):
    (tmp_path / "ratings.csv").write_bytes(header + b"".join(b"%d,7,3.5\n" % (k // 5) for k in range(10)))
    assert len(movielens.read(tmp_path / "ratings.csv").train_x) == 8


@pytest.mark.parametrize("name", ["huggingface:mnist", "", "../x", "mnist/", "mnist/a=1/b=2"])
def test_what_is_no_name_of_tfds_is_told_at_once(name):
    with pytest.raises(checks.InputError, match=r"^got tfds:.*, need a name, with /configuration[^\n]*$"):
        load(f"tfds:{name}")


# The cache.


def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("JDL_DATA_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_a_file_of_old_times_and_size_is_read_anew(tmp_path, monkeypatch):
    kept(tmp_path, monkeypatch)
    assert npz(tmp_path, train_x=X).train_x[0, 1] == X[0, 1]
    about = (tmp_path / "a.npz").stat()
    np.savez(tmp_path / "b.npz", train_x=X + 1, train_y=Y, test_x=X, test_y=Y)
    os.utime(tmp_path / "b.npz", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (tmp_path / "b.npz").stat().st_size == about.st_size
    os.replace(tmp_path / "b.npz", tmp_path / "a.npz")
    assert load(f"npz:{tmp_path / 'a.npz'}").train_x[0, 1] == X[0, 1] + 1


def test_the_source_names_the_file_that_was_read(tmp_path, monkeypatch):
    kept(tmp_path, monkeypatch)
    for name in ("a.npz", "a.zip"):
        np.savez(tmp_path / "x.npz", x=X, y=Y)
        os.replace(tmp_path / "x.npz", tmp_path / name)
        assert load(f"npz:{tmp_path / name}").source.startswith(f"Arrays in {name}, ")


@pytest.mark.parametrize("letter", ["n", "é"])
def test_a_long_name_is_kept_under_a_shorter_one(tmp_path, monkeypatch, letter):
    place = kept(tmp_path, monkeypatch)
    made = Dataset(X, Y, X, Y, num_classes=2, name="a", source="")
    for _ in range(2):
        cache.cached(letter * 250, ["1"], lambda: made)
    assert len(list(place.iterdir())) == 1


def test_a_cache_that_may_not_be_looked_at_or_has_no_home_is_done_without(tmp_path, monkeypatch):
    place = kept(tmp_path, monkeypatch)

    def forbidden(*_args, **_options):
        raise PermissionError(13, "Permission denied", str(place))

    for name in ("open", "is_file", "mkdir", "glob"):
        monkeypatch.setattr(cache.Path, name, forbidden)
    made = Dataset(X, Y, X, Y, num_classes=2, name="a", source="")
    assert cache.cached("a", ["1"], lambda: made) is made
    monkeypatch.undo()
    monkeypatch.delenv("JDL_DATA_CACHE", raising=False)

    def homeless(_name):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_cache_dir", homeless)
    assert cache.cache_directory() is None


# Generators.


@pytest.mark.parametrize("name", generators.__all__)
def test_seeds_that_are_none_are_refused(name):
    for seed in (-1, 1.5, None):
        with pytest.raises(checks.InputError, match=r"got seed=.*need a whole number of at least 0; try seed=0"):
            getattr(generators, name)(seed=seed)


def test_too_many_owners_are_refused_before_anything_is_drawn(monkeypatch):
    monkeypatch.setattr(checks.memory, "available_memory", lambda: 2**30)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: None)  # no draw can be taken from it
    with pytest.raises(checks.InputError, match="got 1000000000 owners, which needs about"):
        generators.synthetic(owners=10**9)


def test_a_name_in_place_of_data_to_turn_is_told():
    with pytest.raises(
        checks.InputError, match=r"got data='mnist', need a data set; try data=jdl.data.load\('mnist'\)"
    ):
        generators.rotated_clients(data="mnist")


def test_whatever_is_loaded_is_without_warnings(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert npz(tmp_path).num_classes == 2
