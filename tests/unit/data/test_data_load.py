import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from jdl import checks
from jdl.data.load import load, names
from jdl.data.readers import embedded
from jdl.data.readers.sources import FORMATS, SOURCES
from jdl.data.stratified import train_and_test


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("JDL_DATA_CACHE", "off")


def rows(x, y):
    return {(features.tobytes(), int(label)) for features, label in zip(x, y, strict=True)}


def test_digits_shapes_and_types():
    data = load("digits")
    assert data.train_x.shape == (1437, 64) and data.test_x.shape == (360, 64)
    assert data.train_y.shape == (1437,) and data.test_y.shape == (360,)
    assert data.train_x.dtype == data.test_x.dtype == np.float32
    assert data.train_y.dtype == data.test_y.dtype == np.int32
    assert data.num_classes == 10 and data.name == "digits" and data.source.endswith(".")


def test_digits_are_the_bundled_images_scaled():
    pixels, labels = load_digits(return_X_y=True)
    data = load("Digits")
    x, y = np.concatenate([data.train_x, data.test_x]), np.concatenate([data.train_y, data.test_y])
    assert x.min() == 0 and x.max() == 1
    order, expected = np.lexsort([y, *x.T]), np.lexsort([labels, *pixels.T])
    np.testing.assert_array_equal(x[order] * 16, pixels[expected])
    np.testing.assert_array_equal(y[order], labels[expected])


def test_digits_test_set_is_held_out_and_stratified():
    data = load("digits")
    assert not rows(data.train_x, data.train_y) & rows(data.test_x, data.test_y)
    total = np.bincount(load_digits().target)
    assert np.all(np.abs(np.bincount(data.test_y) - total * 360 / 1797) <= 1)


def test_digits_are_named_by_seed_and_fraction():
    one, same, other = embedded.digits(seed=1), embedded.digits(seed=1), embedded.digits(seed=2)
    np.testing.assert_array_equal(one.test_x, same.test_x)
    assert not np.array_equal(one.test_x, other.test_x)
    assert embedded.digits(test_fraction=0.5).test_y.size == 899  # 898.5, rounded up


@pytest.mark.parametrize(("fraction", "seed"), [(0.2, 0), (0.5, 3), (0.013, 1)])
def test_digits_are_divided_as_scikit_learn_divides(fraction, seed):
    pixels, labels = load_digits(return_X_y=True)
    expected = train_test_split(pixels / 16, labels, test_size=fraction, stratify=labels, random_state=seed)
    data = embedded.digits(fraction, seed)
    for got, want in zip((data.train_x, data.test_x, data.train_y, data.test_y), expected, strict=True):
        np.testing.assert_array_equal(got, want.astype(got.dtype))


@pytest.mark.parametrize("seed", range(5))
def test_classes_with_equal_remainders_are_drawn_as_scikit_learn_draws_them(seed):
    labels = np.random.default_rng(seed).permutation(np.repeat([3, 1, 7, 5], [5, 5, 5, 3]))
    expected = train_test_split(np.arange(18), test_size=0.4, stratify=labels, random_state=seed)
    for got, want in zip(train_and_test(labels, 0.4, seed), expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_digits_are_found_where_scikit_learn_keeps_them_elsewhere(monkeypatch):
    usual = embedded.digits()
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    np.testing.assert_array_equal(embedded.digits().train_x, usual.train_x)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, float("nan")])
def test_digits_refuses_a_set_that_holds_nothing(fraction):
    with pytest.raises(checks.InputError, match=r"test_fraction=.*between 0.01 and 0.99; try test_fraction=0.2"):
        embedded.digits(test_fraction=fraction)


def test_names_are_those_of_all_sources_and_of_what_needs_no_file():
    assert {"digits", "mnist", "cifar10", "a9a", "cmaterdb_bangla", *SOURCES} <= set(names())
    assert len({name.replace("_", "") for name in names()}) == len(names())


def test_every_source_says_where_its_files_are_to_be_had(tmp_path):
    for name, source in SOURCES.items():
        assert set(source.sha256) <= {file for names in source.files for file in names}
        assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in source.sha256.values())
        with pytest.raises(checks.InputError) as refusal:
            load(name, tmp_path)
        said = str(refusal.value)
        for part in (f"got data set {name!r}", source.files[0][0], str(tmp_path / name), "https://", "JDL_DATA_DIR"):
            assert part in said.replace("http://", "https://")


def test_names_unlike_any_are_told_with_the_nearest():
    with pytest.raises(checks.InputError, match=r"got data set 'fashion', .* did you mean fashion_mnist.*tfds:NAME"):
        load("fashion")
    with pytest.raises(checks.InputError, match=r"got data format 'nps', .* did you mean npz\?"):
        load("nps:a")
    with pytest.raises(checks.InputError, match=r"got npz:/no/file, and no such file"):
        load("npz:/no/file")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_is_nothing_is_refused_by_every_format(tmp_path, kind):
    path = tmp_path / "file"
    path.write_bytes(b"\xff\xfenothing\x00")
    with pytest.raises(checks.InputError, match=r"got .*file"):
        load(f"{kind}:{path}")


def test_a_path_is_relative_and_its_data_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("JDL_DATA_CACHE", str(tmp_path / "kept"))
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=np.arange(10.0), y=np.arange(10.0))
    data = load("NPZ:a.npz")
    np.testing.assert_array_equal(np.sort(np.concatenate([data.train_y, data.test_y])), np.arange(10.0))
    assert len(list((tmp_path / "kept").iterdir())) == 1
    monkeypatch.setenv("HOME", str(tmp_path))
    np.testing.assert_array_equal(load("npz:~/a.npz").train_y, data.train_y)
    monkeypatch.setitem(FORMATS, "npz", None)
    np.testing.assert_array_equal(load("npz:a.npz").train_y, data.train_y)


@pytest.mark.parametrize("name", ["agaricus", "tiny_shakespeare", "sst2"])
def test_real_files_of_other_readers(name, monkeypatch):
    place = os.environ.get("JDL_DATA_DIR", "")
    if not place or not any((Path(place) / folder).is_dir() for folder in (name, *SOURCES[name].folders)):
        pytest.skip(f"{name}: no folder in JDL_DATA_DIR")
    data = load(name)
    assert data.name == name and len(data.train_x) == len(data.train_y) > len(data.test_x) == len(data.test_y) > 0
