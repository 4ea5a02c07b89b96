import io
import os
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jdl import checks
from jdl.data.load import load

Image = pytest.importorskip("PIL.Image", reason="images are decoded by Pillow")


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("JDL_DATA_CACHE", "off")


def picture(seed, size=(4, 5), channels=3):
    return np.random.default_rng(seed).integers(0, 256, (*size, channels)).astype(np.uint8)


def encoded(pixels, form="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0]).save(file, form)
    return file.getvalue()


def put(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_folders_become_classes_and_files_follow_their_names(tmp_path):
    names = ["test/b/9.PNG", "train/b/2.png", "train/a/10.png", "train/b/1.png", "test/a/0.png"]
    pictures = {name: picture(seed) for seed, name in enumerate(names)}
    files = {name: encoded(pixels) for name, pixels in pictures.items()}
    path = put(tmp_path / "some.zip", {**files, "train/a/": b"", "train/a/notes.txt": b"", "train/a/.x.png": b""})
    data = load(f"images:{path}")
    train = ["train/a/10.png", "train/b/1.png", "train/b/2.png"]
    np.testing.assert_array_equal(data.train_x, [pictures[name] for name in train])
    np.testing.assert_array_equal(data.test_x, [pictures["test/a/0.png"], pictures["test/b/9.PNG"]])
    assert data.train_y.tolist() == [0, 1, 1] and data.test_y.tolist() == [0, 1] and data.num_classes == 2
    assert data.train_x.dtype == np.uint8 and data.train_y.dtype == np.int32
    assert data.name == "some" and str(path) in data.source


def test_folders_may_lie_below_others(tmp_path):
    files = {f"set-master/{part}/{i}/x.png": encoded(picture(i)) for i in range(2) for part in ("train", "test")}
    assert load(f"images:{put(tmp_path / 'a.zip', files)}").train_y.tolist() == [0, 1]


def test_gray_images_have_one_channel_and_three_among_others(tmp_path):
    gray, colour = picture(0, channels=1), picture(1)
    files = {"train/a/0.png": encoded(gray), "test/a/0.png": encoded(gray)}
    data = load(f"images:{put(tmp_path / 'a.zip', files)}")
    np.testing.assert_array_equal(data.train_x, gray[None])
    data = load(f"images:{put(tmp_path / 'b.zip', {**files, 'train/a/1.png': encoded(colour)})}")
    np.testing.assert_array_equal(data.train_x, [np.repeat(gray, 3, -1), colour])
    np.testing.assert_array_equal(data.test_x, [np.repeat(gray, 3, -1)])
    data = load(f"images:{put(tmp_path / 'c.zip', {**files, 'test/a/0.png': encoded(colour)})}")
    np.testing.assert_array_equal(data.train_x, [np.repeat(gray, 3, -1)])


def test_a_jpeg_of_one_colour_keeps_it(tmp_path):
    pixels = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    files = {f"{part}/a/0.jpg": encoded(pixels, "JPEG") for part in ("train", "test")}
    data = load(f"images:{put(tmp_path / 'a.zip', files)}")
    assert np.abs(data.train_x[0].astype(int) - pixels).max() <= 2  # rounding in the colour transform


@pytest.mark.parametrize(
    "files, sentence",
    [
        ({"train/a/0.png": encoded(picture(0))}, "without test/<class>/<image>"),
        (
            {"train/a/0.png": encoded(picture(0)), "train/a/1.png": encoded(picture(0, (6, 7))), "test/a/0.png": b""},
            r"images of 5x4 \(train/a/0.png\) and 7x6 \(train/a/1.png\) pixels, need one size",
        ),
        (
            {"train/a/0.png": encoded(picture(0)), "test/a/0.png": encoded(picture(0, (6, 7)))},
            r"at least one to train and one to test on, and test examples of the same shape",
        ),
        ({"train/a/0.png": b"no image", "test/a/0.png": b""}, r"got .*train/a/0.png, which is not an image"),
    ],
)
def test_a_zip_that_is_no_data_set_is_refused(tmp_path, files, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        load(f"images:{put(tmp_path / 'a.zip', files)}")


def test_what_is_no_zip_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"nothing")
    with pytest.raises(checks.InputError, match="which is not a zip or is damaged"):
        load(f"images:{tmp_path / 'a.zip'}")


def test_without_pillow_it_is_named(tmp_path, monkeypatch):
    path = put(tmp_path / "a.zip", {"train/a/0.png": encoded(picture(0))})
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(checks.InputError, match=r"run: pip install pillow"):
        load(f"images:{path}")


@pytest.mark.slow
def test_cifar_10_as_jpeg(tmp_path, monkeypatch):
    place = os.environ.get("JDL_DATA_DIR", "")
    if not place or not (Path(place) / "cifar10_jpeg").is_dir():
        pytest.skip("CIFAR-10 as JPEG: no folder cifar10_jpeg in JDL_DATA_DIR")
    monkeypatch.setenv("JDL_DATA_CACHE", str(tmp_path))
    data = load("cifar10-jpeg")
    assert data.train_x.shape == (50000, 32, 32, 3) and data.test_x.shape == (10000, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(data.train_y), 5000)
    np.testing.assert_array_equal(np.bincount(data.test_y), 1000)
    # The mean of CIFAR-10's training images that most normalise by; the compression keeps it.
    np.testing.assert_allclose(data.train_x.mean((0, 1, 2)) / 255, [0.4914, 0.4822, 0.4465], atol=1e-3)
    assert "CIFAR-10 (JPEG copy)" in data.source
    start = time.perf_counter()
    again = load("cifar10-jpeg")
    assert time.perf_counter() - start < 10  # decoding takes twice that at least
    np.testing.assert_array_equal(again.train_x, data.train_x)
