import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.readers import cache, files
from jdl.data.readers.source import Source

CONTENT = b"one, two, three"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def source(**changes):
    usual = Source(files=(("a.gz", "b"), ("c",)), read=None, where="a shop (or 'tfds:a')", folders=("other/raw",))
    return usual._replace(**changes)


def put(folder, *names, content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("JDL_DATA_DIR", raising=False)


def test_the_argument_goes_before_the_environment(tmp_path, monkeypatch):
    assert files.data_directory() is None
    monkeypatch.setenv("JDL_DATA_DIR", str(put(tmp_path / "environment")))
    assert files.data_directory() == tmp_path / "environment"
    assert files.data_directory(tmp_path) == files.data_directory(str(tmp_path)) == tmp_path


def test_a_folder_that_does_not_exist_is_named(tmp_path, monkeypatch):
    with pytest.raises(checks.InputError, match=r"got data_dir='.*gone', which is not a folder"):
        files.data_directory(tmp_path / "gone")
    monkeypatch.setenv("JDL_DATA_DIR", str(tmp_path / "gone"))
    with pytest.raises(checks.InputError, match=r"got JDL_DATA_DIR='.*gone', which is not a folder"):
        files.data_directory()


@pytest.mark.parametrize("folder", ["set", "other/raw", "."])
@pytest.mark.parametrize("names", [("a.gz", "c"), ("a", "c"), ("b", "c.gz"), ("a.bz2", "c.bz2")])
def test_files_are_found_in_each_folder_under_each_name(tmp_path, folder, names):
    place = put(tmp_path / folder, *names)
    assert files.find("set", source(), tmp_path) == [place / name for name in names]


def test_all_files_are_of_one_folder_the_first_that_has_all(tmp_path):
    put(tmp_path / "set", "a.gz")
    whole, later = put(tmp_path / "other/raw", "a.gz", "c"), put(tmp_path, "a.gz", "c")
    assert files.find("set", source(), tmp_path) == [whole / "a.gz", whole / "c"]
    (whole / "c").unlink()
    assert files.find("set", source(), tmp_path) == [later / "a.gz", later / "c"]
    (later / "c").unlink()
    with pytest.raises(checks.InputError, match="need c, found in none of"):
        files.find("set", source(), tmp_path)


@pytest.mark.parametrize("inside", [(), ("README",)])
def test_a_folder_that_bears_the_name_of_a_file_is_not_that_file(tmp_path, inside):
    put(tmp_path / "b", *inside)
    put(tmp_path / "other/raw" / "c", *inside)
    with pytest.raises(checks.InputError, match=r"need a.gz \(or b\), c, found in none of"):
        files.find("b", source(), tmp_path)
    put(tmp_path, "a.gz", "c")
    assert files.find("b", source(), tmp_path) == [tmp_path / "a.gz", tmp_path / "c"]


def test_an_unpacked_archive_is_found_where_it_holds_something(tmp_path):
    one = source(files=(("a.tar.gz", "a-unpacked"),), or_folders=True)
    place = put(tmp_path / "set" / "a-unpacked")
    with pytest.raises(checks.InputError, match=r"need a.tar.gz \(or a-unpacked\), found in none of"):
        files.find("set", one, tmp_path)
    put(place, "batch")
    assert files.find("set", one, tmp_path) == [place]


def test_a_missing_file_is_told_with_its_names_the_folders_and_what_to_do(tmp_path):
    put(tmp_path / "set", "c")
    with pytest.raises(checks.InputError) as refusal:
        files.find("set", source(), tmp_path)
    assert str(refusal.value) == (
        f"got data set 'set', need a.gz (or b), found in none of {tmp_path}/set, {tmp_path}/other/raw, {tmp_path}; get "
        "them from a shop (or 'tfds:a'), then name the folder by --data-dir, data_dir= or the environment variable "
        "JDL_DATA_DIR"
    )
    with pytest.raises(
        checks.InputError, match=r"got data set 'set' and no data directory, need a.gz \(or b\), c; get"
    ):
        files.find("set", source())


def test_an_unchecked_file_of_a_common_name_counts_only_in_a_folder_of_the_set(tmp_path):
    shared = source(common_names=True, sha256={"a.gz": SHA256})
    put(tmp_path, "a", "c")
    with pytest.raises(checks.InputError, match=r"a may be another .* name: move it into .*/set$"):
        files.find("set", shared, tmp_path)
    assert files.find("set", source(), tmp_path)
    for folder in (tmp_path / "set", tmp_path / "deep" / "other" / "raw"):
        put(folder, "a", "c")
        assert files.find("set", shared, folder) == [folder / "a", folder / "c"]
    with pytest.raises(checks.InputError, match=r"need a\.gz"):
        files.find("set", shared, put(tmp_path / "deep" / "strange" / "raw", "a", "c"))


def test_the_folder_one_works_in_bears_its_name_too(tmp_path, monkeypatch):
    monkeypatch.chdir(put(tmp_path / "set", "a", "c"))
    assert files.find("set", source(common_names=True), ".") == [Path("a"), Path("c")]


def test_a_published_checksum_is_compared(tmp_path):
    paths = [put(tmp_path, "a.gz") / "a.gz", put(tmp_path, "c") / "c"]
    assert files.verify("set", source(), paths) == 0
    assert files.verify("set", source(sha256={"a.gz": SHA256, "elsewhere": "00"}), paths) == 1
    wrong = source(sha256={"a.gz": SHA256, "c": "00ff"})
    with pytest.raises(checks.InputError) as refusal:
        files.verify("set", wrong, paths)
    for part in (f"got {paths[1]} with sha256 {SHA256}, need 00ff", "'set'", "get it again from a shop"):
        assert part in str(refusal.value)


def test_a_digest_is_of_the_content_and_is_taken_once(tmp_path, monkeypatch):
    path = put(tmp_path, "a") / "a"
    assert files.digest(path) == SHA256
    opened = []
    monkeypatch.setattr(Path, "open", lambda *_: opened.append(1))
    assert files.digest(path) == SHA256 and not opened
    monkeypatch.undo()
    put(tmp_path, "a", content=b"two")
    assert files.digest(path) == hashlib.sha256(b"two").hexdigest()


def test_a_digest_of_a_folder_changes_with_names_and_contents(tmp_path):
    place = put(tmp_path / "x", "a", "b")
    digests = [files.digest(place)]
    put(place, "b", content=b"other")
    digests.append(files.digest(place))
    (place / "b").rename(place / "c")
    digests.append(files.digest(place))
    assert len(set(digests)) == 3 and files.digest(place) == digests[-1]


def test_packed_files_are_unpacked_by_their_content_whatever_their_name(tmp_path):
    path = tmp_path / "a"
    for content in (CONTENT, gzip.compress(CONTENT), __import__("bz2").compress(CONTENT)):
        path.write_bytes(content)
        assert files.unpacked(path) == CONTENT
    for broken in (gzip.compress(CONTENT)[:-9], b"BZh" + CONTENT):
        path.write_bytes(broken)
        with pytest.raises(checks.InputError, match=r"got .*a, which does not unpack"):
            files.unpacked(path)
    with pytest.raises(checks.InputError, match="a folder, need the file of that name in it"):
        files.unpacked(tmp_path)


# The cache of arrays.

OWNER = np.array([0, 1, 1], np.int32)


def made(number=0, **changes):
    x, y = np.full((3, 2), number, np.float32), np.arange(3, dtype=np.int32)
    return Dataset(x, y, x[:1], y[:1], num_classes=3, name="made", source="By hand.")._replace(**changes)


def same(one, other):
    assert one._replace(truth=None)[4:7] == other._replace(truth=None)[4:7]
    for field in ("train_x", "train_y", "test_x", "test_y", "train_owner"):
        mine, theirs = getattr(one, field), getattr(other, field)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("JDL_DATA_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def refuse():
    raise AssertionError("read again")


def test_what_was_read_is_kept(place):
    truth = {"letters": np.array(["a", "ä"]), "width": 3, "names": ["x"]}
    data = made(train_owner=OWNER, truth=truth)
    same(cache.cached("tfds:a/b", ["1"], lambda: data), data)
    again = cache.cached("tfds:a/b", ["1"], refuse)
    same(again, data)
    assert again.truth["width"] == 3 and again.truth["names"] == ["x"]
    np.testing.assert_array_equal(again.truth["letters"], truth["letters"])
    assert [path.suffix for path in place.iterdir()] == [".npz"]


def test_other_contents_and_names_are_read_anew_and_replace_the_old(place):
    cache.cached("a", ["1"], made)
    cache.cached("b", ["1"], lambda: made(5))
    same(cache.cached("a", ["2"], lambda: made(7)), made(7))
    assert len(list(place.iterdir())) == 2
    same(cache.cached("b", ["1"], refuse), made(5))


def test_a_changed_reader_reads_anew(place, monkeypatch):
    cache.cached("a", ["1"], made)
    monkeypatch.setattr(cache, "_readers", lambda: "another")
    same(cache.cached("a", ["1"], lambda: made(7)), made(7))


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "another zip"])
def test_a_corrupt_file_is_read_again_and_replaced(place, damage):
    cache.cached("a", ["1"], lambda: made(3))
    (path,) = place.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "another zip":
        np.savez(path, something=np.zeros(2))
    else:
        content[content.find(made(3).train_x.tobytes())] ^= 1
        path.write_bytes({"cut": content[:-40], "flipped": content, "empty": b""}[damage])
    same(cache.cached("a", ["1"], lambda: made(7)), made(7))
    same(cache.cached("a", ["1"], refuse), made(7))


def test_a_cache_that_cannot_be_written_is_done_without(place, monkeypatch):
    place.write_bytes(b"a file where the folder should be")
    same(cache.cached("a", ["1"], made), made())
    place.unlink()

    def full(file, **arrays):
        file.write(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    same(cache.cached("a", ["1"], made), made())
    assert list(place.iterdir()) == []


def test_what_json_would_change_is_not_kept(place):
    for truth in ({"pair": (1, 2)}, {"function": made}, {"objects": np.array([None])}):
        cache.cached("a", ["1"], lambda truth=truth: made(truth=truth))
        assert not place.exists()


def test_the_cache_can_be_switched_off_and_has_a_usual_place(place, monkeypatch):
    for word in ("off", "OFF", "0", "no"):
        monkeypatch.setenv("JDL_DATA_CACHE", word)
        assert cache.cache_directory() is None
    cache.cached("a", ["1"], made)
    same(cache.cached("a", ["1"], lambda: made(7)), made(7))
    monkeypatch.delenv("JDL_DATA_CACHE")
    monkeypatch.setattr(cache.platformdirs, "user_cache_dir", lambda name: os.path.join("/home", name))
    assert cache.cache_directory() == Path("/home/jdl/data")
