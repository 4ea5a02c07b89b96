import importlib.util
import json
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from jdl import checks
from jdl.data.load import load

tfds = pytest.importorskip("tensorflow_datasets", reason="tensorflow-datasets is not installed")

REAL = os.environ.get("JDL_DATA_DIR", "")
TENSORFLOW = importlib.util.find_spec("tensorflow") is not None


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    """TFDS's own directory, an empty one; no cache, no network."""
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("JDL_DATA_CACHE", "off")
    monkeypatch.delenv("JDL_DATA_DIR", raising=False)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tmp_path / "own"


def refuse(*_, **__):
    raise AssertionError("the network was asked")


def tensorflow_is(there, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: (object() if there else None) if name == "tensorflow" else found(name)
    )


def prepared(folder, features, splits, keys=("x", "label")):
    """A data set called hand_made, prepared as TFDS does it; of plain arrays, since images need TensorFlow there."""

    # Its name does not enter TFDS's list of data sets: what is read is what lies in the folder.
    class HandMade(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=keys
            )

        def _split_generators(self, manager):
            return {name: enumerate(rows) for name, rows in splits.items()}

        def _generate_examples(self):
            raise NotImplementedError

    config = tfds.download.DownloadConfig(try_download_gcs=False)
    builder = HandMade(data_dir=folder, file_format="array_record")
    builder.download_and_prepare(download_dir=folder / "downloads", download_config=config)


FEATURES = {"x": tfds.features.Tensor(shape=(4,), dtype=np.float32), "label": tfds.features.ClassLabel(num_classes=3)}


def examples(number, start=0):
    return [{"x": np.full(4, start + i, np.float32), "label": (start + i) % 3} for i in range(number)]


def test_a_prepared_set_is_read_from_the_data_directory_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("JDL_DATA_CACHE", str(tmp_path / "kept"))
    prepared(tmp_path, FEATURES, {"train": examples(7), "test": examples(3, 50), "validation": examples(2, 90)})
    data = load("TFDS:hand_made", tmp_path)
    order = np.argsort(data.train_x[:, 0])  # TFDS shuffles as it prepares
    np.testing.assert_array_equal(data.train_x[order], np.repeat(np.arange(7.0)[:, None], 4, 1))
    np.testing.assert_array_equal(data.train_y[order], np.arange(7) % 3)
    np.testing.assert_array_equal(np.sort(data.test_x[:, 0]), [50, 51, 52])
    assert data.train_x.dtype == np.float32 and data.train_y.dtype == np.int32 and data.num_classes == 3
    assert data.name == "tfds:hand_made" and f"Read from {tmp_path}/hand_made/1.0.0." in data.source
    assert len(list((tmp_path / "kept").iterdir())) == 1
    monkeypatch.setattr(tfds.core.DatasetBuilder, "as_data_source", refuse)
    np.testing.assert_array_equal(load("tfds:hand_made", tmp_path).train_x, data.train_x)


def test_a_set_in_tfds_own_directory_is_read(own, tmp_path):
    prepared(own, FEATURES, {"train": examples(5), "validation": examples(2, 10)})
    for place in (None, tmp_path):
        data = load("tfds:hand_made", place)
        assert sorted(data.test_x[:, 0]) == [10, 11] and "validation to test on" in data.source


def test_a_train_set_alone_is_parted(tmp_path):
    prepared(tmp_path, FEATURES, {"train": examples(30)})
    data = load("tfds:hand_made", tmp_path)
    assert np.bincount(data.test_y).tolist() == [2, 2, 2] and len(data.train_x) == 24
    assert "a fifth of train to test on" in data.source


def test_whole_labels_without_a_number_of_classes_have_as_many_as_there_are(tmp_path):
    features = FEATURES | {"label": tfds.features.Scalar(np.int64)}
    prepared(tmp_path, features, {"train": examples(30), "test": examples(3)})
    assert load("tfds:hand_made", tmp_path).num_classes == 3


@pytest.mark.parametrize("kind", [tfds.features.ClassLabel(num_classes=3), tfds.features.Scalar(np.float32)])
def test_a_test_set_whose_labels_are_kept_back_is_refused(tmp_path, kind):
    hidden = [{**row, "label": -1} for row in examples(3)]  # as GLUE's
    splits = {"train": examples(9), "validation": examples(3, 50), "test": hidden}
    prepared(tmp_path, FEATURES | {"label": kind}, splits)
    with pytest.raises(checks.InputError, match=r"whose test set has only the label -1.* name it npz:PATH"):
        load("tfds:hand_made", tmp_path)


def test_a_target_of_minus_one_is_one_like_others(tmp_path):
    rows = [{**row, "label": np.float32(2 * (row["label"] > 0) - 1)} for row in examples(9)]
    prepared(tmp_path, FEATURES | {"label": tfds.features.Scalar(np.float32)}, {"train": rows, "test": rows[:1]})
    assert load("tfds:hand_made", tmp_path).test_y.tolist() == [-1]


def test_examples_that_are_not_finite_are_refused(tmp_path):
    rows = [{"x": np.full(4, np.nan, np.float32), "label": 0}]
    prepared(tmp_path, FEATURES, {"train": rows, "test": rows})
    with pytest.raises(checks.InputError, match="got tfds:hand_made with train_x that is not finite"):
        load("tfds:hand_made", tmp_path)


@pytest.mark.parametrize("there", [True, False])
def test_a_set_that_tensorflow_brings_may_be_missing_without_it(monkeypatch, there):
    tensorflow_is(there, monkeypatch)
    with pytest.raises(checks.InputError, match="which TFDS does not have here") as refusal:
        load("tfds:mnits")
    assert ("beside TensorFlow" in str(refusal.value)) != there


def test_real_targets_and_sentences(tmp_path):
    features = {"x": tfds.features.Text(), "label": tfds.features.Scalar(np.float32)}
    rows = [{"x": text, "label": value} for text, value in (("a good film", 0.5), ("a bad film", 1.5))]
    prepared(tmp_path, features, {"train": rows, "test": rows[:1]})
    data = load("tfds:hand_made", tmp_path)
    words = data.truth["vocabulary"]
    assert {" ".join(words[row[:3]]) for row in data.train_x} == {"a good film", "a bad film"}
    assert data.train_x.dtype == np.int32 and sorted(data.train_y) == [0.5, 1.5] and data.num_classes == 0


def test_a_text_alone_becomes_windows_of_characters(tmp_path):
    train, test = "To be, or not to be. " * 20, "That is the question? " * 8
    splits = {"train": [{"text": train}], "test": [{"text": test}]}
    prepared(tmp_path, {"text": tfds.features.Text()}, splits, keys=None)
    data = load("tfds:hand_made", tmp_path)
    letters = data.truth["vocabulary"]
    assert letters.tolist() == sorted({*train, *test}) and data.num_classes == len(letters)
    assert data.train_x.shape == (5, 80) and data.test_x.shape == (2, 80)  # 419 // 80 and 175 // 80
    assert "".join(letters[data.train_x.ravel()]) == train[:400]
    assert "".join(letters[data.train_y.ravel()]) == train[1:401]


@pytest.mark.parametrize(
    "features, keys, sentence",
    [
        (FEATURES, None, "with label, x and no rule what is to be learnt; save what you need as npz"),
        ({**FEATURES, "x": tfds.features.Tensor(shape=(None,), dtype=np.float32)}, ("x", "label"), "x of the shapes"),
    ],
)
def test_examples_of_another_kind_are_refused(tmp_path, features, keys, sentence):
    rows = [{"x": np.zeros(4 + (0 if keys is None else i), np.float32), "label": 0} for i in range(3)]
    prepared(tmp_path, features, {"train": rows, "test": rows}, keys)
    with pytest.raises(checks.InputError, match=sentence):
        load("tfds:hand_made", tmp_path)


def test_images_of_a_mocked_set(tmp_path):
    place = tmp_path / "mnist" / "3.0.1"
    place.mkdir(parents=True)
    parts = [
        {"name": name, "numBytes": "1", "shardLengths": ["5"], "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}"}
        for name in ("train", "test")
    ]
    about = {"name": "mnist", "version": "3.0.1", "fileFormat": "array_record", "splits": parts}
    (place / "dataset_info.json").write_text(json.dumps(about))
    with tfds.testing.mock_data(num_examples=5, data_dir=tmp_path):
        data = load("tfds:mnist", tmp_path)
    assert data.train_x.shape == data.test_x.shape == (5, 28, 28, 1) and data.train_x.dtype == np.uint8
    assert data.train_y.dtype == np.int32 and data.num_classes == 10


def test_names_that_tfds_does_not_have_are_told():
    with pytest.raises(checks.InputError, match=r"got tfds:mnits, which TFDS does not have here; did you mean mnist"):
        load("tfds:mnits")
    with pytest.raises(
        checks.InputError, match=r"got tfds:cmaterdb/klingon, which TFDS cannot build: .*klingon not found"
    ):
        load("tfds:cmaterdb/klingon")


def test_a_set_that_is_absent_is_told_at_once(tmp_path, monkeypatch):
    start = time.perf_counter()
    tensorflow_is(False, monkeypatch)
    with pytest.raises(checks.InputError, match=r'no TensorFlow to prepare it; run: pip install "jdl\[tfds\]"'):
        load("tfds:mnist", tmp_path)
    with pytest.raises(checks.InputError, match="or ask for 'mnist', whose raw files jdl reads without TFDS"):
        load("tfds:mnist", tmp_path)
    tensorflow_is(True, monkeypatch)
    with pytest.raises(checks.InputError) as refusal:
        load("tfds:cmaterdb/bangla", tmp_path)
    for part in (
        "is not prepared in",
        f"{tmp_path}/cmaterdb/bangla or ",
        "training-images.npz",
        "download=True",
        "'cmaterdb_bangla'",
    ):
        assert part in str(refusal.value)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz").write_bytes(b"one of the four alone")
    with pytest.raises(
        checks.InputError, match=r"its raw files are not in .*/mnist; put t10k-images-idx3-ubyte.gz, t10k-l"
    ):
        load("tfds:mnist", tmp_path)
    with pytest.raises(checks.InputError, match=r"is not prepared in .* and no data directory"):
        load("tfds:mnist")
    assert time.perf_counter() - start < 10  # TFDS alone retries for 204 s


def test_preparing_asks_the_network_only_where_allowed_and_for_each_set_in_its_own_folder(own, tmp_path, monkeypatch):
    asked = []
    tensorflow_is(True, monkeypatch)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lambda self, **options: asked.append(options))
    for folder in ("mnist", "fashion_mnist", "cmaterdb/telugu"):
        (tmp_path / folder).mkdir(parents=True)
        infos = tfds.builder(folder, data_dir=own).url_infos.values()
        for info in infos:
            (tmp_path / folder / info.filename).write_bytes(b"raw")
        with pytest.raises(checks.InputError, match="which TFDS did not prepare"):
            load(f"tfds:{folder}", tmp_path)
        config = asked[-1]["download_config"]
        assert Path(config.manual_dir) == tmp_path / folder
        assert config.force_checksums_validation and not config.try_download_gcs
    assert len({str(options["download_dir"]) for options in asked}) == 3
    with pytest.raises(checks.InputError, match="which TFDS did not prepare"):
        load("tfds:kmnist", tmp_path, download=True)
    assert asked[-1]["download_config"].manual_dir is None and len(asked) == 4


def test_a_failure_of_tfds_is_told(tmp_path, monkeypatch):
    def fail(self, **options):
        raise OSError("the checksum of raw is wrong")

    tensorflow_is(True, monkeypatch)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(checks.InputError, match="could not prepare from the network: the checksum of raw is wrong"):
        load("tfds:mnist", tmp_path, download=True)


def real(folder):
    """The data directory, where the folder and TensorFlow are there."""
    if not TENSORFLOW:
        pytest.skip('preparing needs TensorFlow: pip install "jdl[tfds]"')
    if not REAL or not (Path(REAL) / folder).is_dir():
        pytest.skip(f"no folder {folder} in JDL_DATA_DIR")
    return Path(REAL)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of TensorFlow while it loads and prepares are not jdl's
@pytest.mark.parametrize("name, plain", [("cmaterdb/bangla", "cmaterdb_bangla"), ("mnist", "mnist")])
def test_a_real_builder_prepares_what_the_raw_files_hold(name, plain):
    place = real(name)
    data, raw = load(f"tfds:{name}", place), load(plain, place)
    for one in ("train", "test"):
        mine, theirs = (
            sorted((x.tobytes(), int(y)) for x, y in zip(getattr(d, f"{one}_x"), getattr(d, f"{one}_y"), strict=True))
            for d in (data, raw)
        )
        assert mine == theirs


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_real_builder_of_tiny_shakespeare():
    place = real("tiny_shakespeare")
    data = load("tfds:tiny_shakespeare", place)
    # TFDS: of 1,115,394 characters the first 90 % to train on, the last 5 % to test on; 65 different ones.
    assert data.train_x.shape == (1003853 // 80, 80) and data.test_x.shape == (55769 // 80, 80)
    assert data.num_classes == 65
    assert "".join(data.truth["vocabulary"][data.train_x[0, :14]]) == "First Citizen:"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_real_builder_refuses_raw_files_of_another_set(tmp_path):
    place = real("cmaterdb/telugu")
    (tmp_path / "cmaterdb").mkdir()
    (tmp_path / "cmaterdb" / "bangla").symlink_to(place / "cmaterdb" / "telugu")
    with pytest.raises(checks.InputError, match=r"could not prepare from .*wrong checksum"):
        load("tfds:cmaterdb/bangla", tmp_path)
