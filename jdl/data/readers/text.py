"""Plain text for a language model of characters, by speaker if the text is a play."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.readers.files import unpacked
from jdl.data.readers.source import Source

__all__ = ["SOURCES", "numbered", "read", "read_any", "speeches", "windows"]

# The first line of a paragraph, if its only colon ends it.
HEADING = re.compile(r"(?:\A|(?<=\n\n))([^\n:]+):(?:\n|\Z)")


def speeches(text: str) -> dict[str, str]:
    """The concatenated speeches of each speaker, in the order in which speakers appear.

    A line "NAME:" at the start of a paragraph begins a speech. Text before the first speech, and a text without
    speeches, belongs to the speaker "".

    >>> speeches("First:\\nSpeak.\\n\\nAll:\\nWe know't.\\n\\nFirst:\\nLet us go.\\n")
    {'First': 'Speak.\\nLet us go.\\n', 'All': "We know't.\\n"}
    """
    parts_of: dict[str, list[str]] = {}
    headings = list(HEADING.finditer(text))
    if not headings:
        return {"": text}
    parts_of[""] = [text[: headings[0].start()]]
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    for heading, end in zip(headings, ends, strict=True):
        parts_of.setdefault(heading[1], []).append(text[heading.end() : end].rstrip("\n") + "\n")
    whole = {name: "".join(part for part in parts if part.strip("\n")) for name, parts in parts_of.items()}
    return {name: part for name, part in whole.items() if part}


def numbered(text: str, letters: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The index of each character in the sorted alphabet of the text (or in `letters`, which holds it), i32[N].

    >>> places, letters = numbered("abba")
    >>> places.tolist(), letters.tolist()
    ([0, 1, 1, 0], ['a', 'b'])
    """
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    if letters is None:
        letters = np.array([chr(code) for code in np.unique(codes).tolist()])
    known = np.array([ord(letter or "\0") for letter in letters.tolist()], np.uint32)
    return np.searchsorted(known, codes).astype(np.int32), letters


def read(path: Path, name: str | None = None, length: int = 80) -> Dataset:
    """A text file for a language model of characters: see `windows`.

    Raises:
      InputError: if the file is not UTF-8 text, or too short for one training and one test window.
    """
    try:
        text = unpacked(path).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise checks.InputError(f"got {path}, which is not text in UTF-8 ({error}); convert it with iconv") from error
    return windows(text, name or path.name.split(".")[0], path.name, length)


def windows(text: str, name: str, where: str, length: int = 80) -> Dataset:
    """Windows of `length` characters, i32[N, length], and the characters that follow each: `y[:, :-1] = x[:, 1:]`.

    The lines of each speaker are divided in two parts; the last tenth of the characters is for the test and begins at
    the start of a line if one starts there. Each part is divided into windows that do not overlap, and its remainder of
    fewer than `length` characters is not used. A speaker without a training window is not an owner. The alphabet is
    that of the whole text, as in char-rnn: all its characters, sorted.

    `truth` has "vocabulary" (the characters) and "speakers" (names of the owners). `test_owner` is -1 for speakers that
    are not owners.

    Args:
      text: text whose paragraphs begin with a line "NAME:", or text of a single owner.
      name: name of the data set.
      where: source of the text, for the data set's `source` and for error messages.
      length: number of characters in a window.

    Raises:
      InputError: if the text is too short for one training and one test window.

    >>> data = windows("Ann:\\n" + 9 * "A rose.\\n", "play", "a doctest", length=4)
    >>> "".join(data.truth["vocabulary"][data.train_x[0]]), "".join(data.truth["vocabulary"][data.train_y[0]])
    ('A ro', ' ros')

    References:
      McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017, for
      speaking roles as owners; A. Karpathy, char-rnn, 2015, for the text of tiny Shakespeare.
    """
    length = checks.whole("length", length, 1)
    letters = numbered(text)[1]
    checks.fits(2 * 4 * len(text), f"{where} of {len(text)} characters")
    names, train, test = [], [], []
    for name_of, speech in speeches(text).items():
        cut = _cut(speech)
        places = numbered(speech, letters)[0]
        names.append(name_of)
        train.append(_cut_up(places[:cut], length))
        test.append(_cut_up(places[cut:], length))
    sizes = np.array([len(part) for part in train])
    owners, held = np.flatnonzero(sizes), sum(map(len, test))
    checks.require(
        owners.size > 0 and held > 0,
        f"got {where} with {len(text)} characters, which make {sizes.sum()} windows to train and {held} to test on, "
        f"need one of each at least; take a longer text, or windows shorter than length={length}",
    )
    number = np.full(len(names), -1, np.int32)
    number[owners] = np.arange(owners.size)
    train_all, test_all = np.concatenate(train), np.concatenate(test)
    truth = {"vocabulary": letters, "speakers": np.array(names)[owners]}
    return Dataset(
        *(train_all[:, :-1], train_all[:, 1:], test_all[:, :-1], test_all[:, 1:]),
        num_classes=len(letters),
        name=name,
        source=f"{len(text):,} characters of {where}, the last tenth of each speaker's lines held out.",
        train_owner=np.repeat(number, sizes),
        test_owner=np.repeat(number, [len(part) for part in test]),
        truth=truth,
    )


def read_any(path: Path) -> Dataset:
    """Any UTF-8 text, by speaker if paragraphs begin with a line "NAME:", otherwise with one owner."""
    return read(path)


def _cut(speech: str) -> int:
    """The position where the last tenth begins: at the start of a line, or if none starts there, at a character."""
    tenth = len(speech) * 9 // 10
    line = speech.find("\n", max(tenth - 1, 0)) + 1
    return line if 0 < line < len(speech) else tenth


def _cut_up(places: np.ndarray, length: int) -> np.ndarray:
    """i32[number, length + 1] windows, in which the last character of each is the first of the next."""
    number = max(len(places) - 1, 0) // length
    return places[np.arange(number)[:, None] * length + np.arange(length + 1)]


_SHAKESPEARE = Source(
    files=(("input.txt", "tiny_shakespeare.txt", "tinyshakespeare.txt"),),
    read=partial(read, name="tiny_shakespeare"),
    where="https://github.com/karpathy/char-rnn (data/tinyshakespeare/input.txt)",
    folders=("tiny_shakespeare", "tinyshakespeare"),
    sha256=dict.fromkeys(
        ("input.txt", "tiny_shakespeare.txt", "tinyshakespeare.txt"),
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
)

SOURCES = {"tiny_shakespeare": _SHAKESPEARE, "shakespeare": _SHAKESPEARE}
