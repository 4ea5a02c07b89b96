import hashlib
import time

import numpy as np
import pytest
from test_data_libsvm import folder

from jdl import checks
from jdl.data.readers import text

PLAY = "\n\n".join(f"{name}:\n" + "".join(f"{name} says line {i}.\n" for i in range(40)) for name in ("Ann", "Bob"))


def said(data, rows):
    return "".join(data.truth["vocabulary"][rows].reshape(-1))


def test_speeches_go_to_their_speakers():
    play = "Prologue\n\nA:\none\ntwo\n\nB b:\nthree: four\n\nA:\nfive\n\nno one: said this\nsix\n\nC:\n\nD:\nseven"
    assert text.speeches(play) == {
        "": "Prologue\n\n",
        "A": "one\ntwo\nfive\n\nno one: said this\nsix\n",
        "B b": "three: four\n",
        "D": "seven\n",
    }
    assert text.speeches("no: heading\nhere:\n") == {"": "no: heading\nhere:\n"}


def test_windows_follow_the_text_of_each_speaker():
    data = text.windows(PLAY, "play", "a test", length=10)
    assert data.train_x.dtype == data.train_y.dtype == np.int32 and data.train_x.shape[1] == 10
    np.testing.assert_array_equal(data.train_x[:, 1:], data.train_y[:, :-1])
    np.testing.assert_array_equal(data.truth["speakers"], ["Ann", "Bob"])
    for number, name in enumerate(("Ann", "Bob")):
        whole = "".join(f"{name} says line {i}.\n" for i in range(40))
        train = said(data, data.train_x[data.train_owner == number])
        test = said(data, data.test_x[data.test_owner == number])
        assert whole.startswith(train)
        start = whole.index(test)  # from the start of a line, in the last tenth, which is not trained on
        assert whole[start - 1] == "\n" and start >= len(whole) * 0.9 > start - len("Ann says line 39.\n")
        assert start - 11 < len(train) < start and len(whole) - start - 11 < len(test)
        ends = data.train_y[data.train_owner == number][:, -1]
        assert "".join(data.truth["vocabulary"][ends]) == whole[10 : len(train) + 1 : 10]  # what follows each window


def test_alphabet_is_that_of_the_whole_text():
    data = text.windows(PLAY, "play", "a test", length=10)
    assert data.truth["vocabulary"].tolist() == sorted(set(PLAY)) and data.num_classes == len(set(PLAY))
    places, letters = text.numbered("xyz\U0001f600x")
    assert letters.tolist() == ["x", "y", "z", "\U0001f600"] and places.tolist() == [0, 1, 2, 3, 0]


def test_who_has_no_window_is_no_owner():
    play = "Mute:\nNo.\n\n" + PLAY + "\n\nMute:\nYes.\n"
    data = text.windows(play, "play", "a test", length=10)
    assert data.truth["speakers"].tolist() == ["Ann", "Bob"]
    np.testing.assert_array_equal(np.unique(data.train_owner), [0, 1])
    # Nine tenths of Mumbler's twenty characters make no window of nineteen.
    data = text.windows("Mumbler:\n" + "mumble, mumble ...\n" + "\n\n" + PLAY * 3, "play", "a test", length=19)
    assert data.truth["speakers"].tolist() == ["Ann", "Bob"]


def test_a_text_without_headings_has_one_owner(tmp_path):
    path = tmp_path / "book.txt"
    path.write_bytes(("\ufeff" + "It was the best of times.\r\n" * 50).encode())
    data = text.read_any(path)
    assert data.name == "book" and not data.train_owner.any() and data.truth["speakers"].tolist() == [""]
    assert "\r" not in data.truth["vocabulary"] and "\ufeff" not in data.truth["vocabulary"]
    one_line = text.windows("abcdefghij" * 100, "line", "a test", length=10)  # no line starts in the last tenth
    assert len(one_line.train_x) == 89 and len(one_line.test_x) == 9


def test_unfit_texts_are_refused(tmp_path):
    with pytest.raises(checks.InputError, match=r"with 11 characters.*take a longer text, or windows shorter than"):
        text.windows("hello world", "hello", "a test")
    with pytest.raises(checks.InputError, match=r"with 0 characters"):
        text.windows("", "nothing", "a test")
    with pytest.raises(checks.InputError, match=r"got length=0"):
        text.windows("hello world", "hello", "a test", length=0)
    (tmp_path / "image").write_bytes(b"\xff\xfe\x00\x81" * 100)
    with pytest.raises(checks.InputError, match=r"not text in UTF-8.*iconv"):
        text.read_any(tmp_path / "image")


def test_tiny_shakespeare_is_the_published_one():
    path = folder("tiny_shakespeare", "input.txt") / "input.txt"
    source = text.SOURCES["tiny_shakespeare"]
    assert text.SOURCES["shakespeare"] == source
    assert source.sha256["input.txt"] == hashlib.sha256(path.read_bytes()).hexdigest()
    start = time.perf_counter()
    data = source.read(path)
    assert time.perf_counter() - start < 2
    assert "1,115,394 characters" in data.source and data.num_classes == 65 and data.name == "tiny_shakespeare"
    assert data.train_x.shape[1] == 80 and data.train_owner.max() + 1 == len(data.truth["speakers"])
    share = len(data.test_x) / (len(data.train_x) + len(data.test_x))
    assert 0.08 < share < 0.1  # short roles' tenths make no window
    # Speeches are what is between headings; what is in no window are ends.
    spoken = sum(map(len, text.speeches(path.read_text()).values()))
    assert 0.95 < (data.train_x.size + data.test_x.size) / spoken < 1
    assert said(data, data.train_x[0]).startswith("Before we proceed any further, hear me speak.\nYou are all resolved")
    assert data.truth["speakers"][0] == "First Citizen"
