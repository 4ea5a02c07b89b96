import os
from pathlib import Path

import numpy as np
import pytest

from jdl import checks
from jdl.data.load import load
from jdl.data.readers import arrays, npz

DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (10, 4, 5, 3)).astype(np.uint8)
CLASSES = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 2])


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("JDL_DATA_CACHE", "off")


def put(path, **arrays):
    np.savez(path, **arrays)
    return f"npz:{path}"


@pytest.mark.parametrize("names", arrays.NAMES)
def test_images_under_the_usual_names(tmp_path, names):
    arrays = (IMAGES[:7], CLASSES[:7], IMAGES[7:], CLASSES[7:])
    data = load(put(tmp_path / "some.npz", **dict(zip(names, arrays, strict=True))))
    for got, expected in zip(data[:4], arrays, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert data.train_x.dtype == np.uint8 and data.train_y.dtype == np.int32
    assert data.num_classes == 3 and data.name == "some" and data.source.startswith("Arrays in some.npz. Read from")


def test_x_and_y_alone_are_parted_a_fifth_of_each_class(tmp_path):
    x, y = np.arange(100.0), np.repeat([0, 1], 50)
    name = put(tmp_path / "a.npz", x=x[:, None], y=y)
    data, same = load(name), load(name)
    assert np.bincount(data.test_y).tolist() == [10, 10] and data.train_x.dtype == np.float32
    np.testing.assert_array_equal(np.sort(np.concatenate([data.train_x, data.test_x])[:, 0]), x)
    np.testing.assert_array_equal(data.train_y, data.train_x[:, 0] >= 50)
    np.testing.assert_array_equal(same.test_x, data.test_x)
    assert "a fifth of them held out" in data.source


def test_gray_images_targets_in_a_column_tokens_and_owners(tmp_path):
    four = lambda x, y: {"train_x": x, "train_y": y, "test_x": x[:2], "test_y": y[:2]}
    keras = load(put(tmp_path / "a.npz", **four(IMAGES[..., 0], CLASSES[:, None]), train_owner=CLASSES, num_classes=5))
    assert keras.train_x.shape == (10, 4, 5, 1) and keras.train_y.shape == (10,) and keras.num_classes == 5
    np.testing.assert_array_equal(keras.train_owner, CLASSES)
    assert keras.train_owner.dtype == np.int32
    text = DRAW.integers(0, 9, (10, 6))
    tokens = load(put(tmp_path / "b.npz", **four(text[:, :-1], text[:, 1:])))
    assert tokens.train_x.dtype == tokens.train_y.dtype == np.int32 and tokens.num_classes == text[:, 1:].max() + 1
    real = load(put(tmp_path / "c.npz", **four(text, CLASSES / 2)))
    assert real.train_x.dtype == real.train_y.dtype == np.float32 and real.num_classes == 0


@pytest.mark.parametrize(
    "arrays, sentence",
    [
        ({"images": IMAGES}, "with the arrays images, need train_x, train_y, test_x, test_y, or x_train"),
        ({"x": IMAGES, "y": CLASSES[:5]}, r"x of \(10, 4, 5, 3\) and y of \(5,\)"),
        ({"x": IMAGES, "y": CLASSES - 1}, "the class -1, need classes that count from 0"),
        ({"x": IMAGES, "y": CLASSES.astype(str)}, "targets of <U21, need whole or real numbers"),
        ({"x": IMAGES, "y": CLASSES, "num_classes": 2}, "classes from 0 to 2, need them from 0 to 1"),
        ({"x": IMAGES, "y": np.array([{}] * 10)}, "not an npz file of plain arrays"),
        ({"train_x": IMAGES, "train_y": CLASSES, "test_x": IMAGES[:, :2], "test_y": CLASSES}, "of the same shape"),
        ({"train_x": IMAGES, "train_y": CLASSES, "test_x": IMAGES, "test_y": CLASSES[:3]}, "as many targets as"),
        ({"train_x": IMAGES[:0], "train_y": CLASSES[:0], "test_x": IMAGES, "test_y": CLASSES}, "at least one"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused(tmp_path, arrays, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        load(put(tmp_path / "a.npz", **arrays))


def test_what_is_no_npz_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", CLASSES)
    (tmp_path / "b.npz").write_bytes(b"PK\x03\x04 cut off")
    for path in (tmp_path / "a.npy", tmp_path / "b.npz"):
        with pytest.raises(checks.InputError, match="which is not an npz file of plain arrays"):
            load(f"npz:{path}")


def test_numerals_of_another_shape_are_refused(tmp_path):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for path in paths:
        np.savez(path, images=IMAGES, labels=CLASSES)
    with pytest.raises(checks.InputError, match=r"got .*a.npz, need images of \[N, 32, 32, 3\] and labels"):
        npz.SOURCES["cmaterdb_bangla"].read(*paths)


@pytest.mark.parametrize("script, each", [("bangla", 500), ("devanagari", 250), ("telugu", 250)])
def test_numerals_have_the_counts_that_are_published(script, each):
    place = os.environ.get("JDL_DATA_DIR", "")
    if not place or not (Path(place) / "cmaterdb").is_dir():
        pytest.skip("CMATERdb: no folder cmaterdb in JDL_DATA_DIR")
    data = load(f"cmaterdb-{script}")
    # TFDS: 6,000 (3,000) images, as many of each digit, a sixth of them to test on.
    np.testing.assert_array_equal(np.bincount(data.train_y), np.full(10, each))
    np.testing.assert_array_equal(np.bincount(data.test_y), np.full(10, each // 5))
    assert data.train_x.shape == (10 * each, 32, 32, 3) and data.train_x.dtype == np.uint8
    assert "sha256 as published" in data.source
