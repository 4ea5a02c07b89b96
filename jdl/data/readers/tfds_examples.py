"""The examples of a prepared data set of TensorFlow Datasets, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.readers.arrays import held_out, inputs, targets
from jdl.data.readers.text import numbered
from jdl.data.readers.words import tokens, vocabulary

__all__ = ["FORMAT", "examples"]

FORMAT = "array_record"  # a format that can be read without TensorFlow
LENGTH = 80  # the number of characters in a window of text


def examples(builder: Any, name: str) -> Dataset:
    """The data set that a TFDS builder has prepared.

    It has images u8[N, H, W, C] or features f32[N, d] with a class or a target; sentences with a class as words, i32[N,
    64], see `words.tokens`; or a text without a class as windows of 80 characters, i32[N, 80], and the character after
    each. The test set is TFDS's "test", otherwise its "validation", otherwise a fifth of "train".

    Raises:
      InputError: if it is prepared in a format that only TensorFlow reads, has no training set, withholds the labels of
        its test set, or has examples of another kind.
    """
    info = builder.info
    formats = {str(one.value) for one in info.available_file_formats()}
    checks.require(
        FORMAT in formats,
        f"got tfds:{name}, prepared in {builder.data_path} as {', '.join(sorted(formats))}, need {FORMAT}; prepare it "
        f'again with file_format="{FORMAT}", into another folder',
    )
    splits = set(info.splits)
    checks.require("train" in splits, f"got tfds:{name} with {sorted(splits)}, need train; choose another data set")
    test = next((one for one in ("test", "validation") if one in splits), None)
    source = f"{info.full_name} of TensorFlow Datasets, {test or 'a fifth of train'} to test on."
    rows = [builder.as_data_source(split) for split in ("train", test) if split]
    if list(info.features) == ["text"] and test:
        return _text(name, source, *rows)
    checks.require(
        info.supervised_keys is not None and len(info.supervised_keys) == 2,
        f"got tfds:{name} with {', '.join(sorted(info.features))} and no rule what is to be learnt; save what you "
        "need as npz, and name it npz:PATH",
    )
    of_x, of_y = info.supervised_keys
    parts = [column for split in rows for column in _columns(split, of_x, of_y, name)]
    where = Path(f"tfds:{name}")
    train_x, train_y, test_x, test_y = parts if test else held_out(*parts, where)
    _require_labels(train_y, test_y, name, test)
    truth = None
    if train_x.dtype.kind in "SOU":
        train_x, test_x = ([_string(one) for one in part] for part in (train_x, test_x))
        truth = {"vocabulary": (words := vocabulary(train_x))}
        train_x, test_x = tokens(train_x, words), tokens(test_x, words)
    else:
        (train_x, test_x), changes = inputs([train_x, test_x], [train_y, test_y], where)
        source += f" ({changes}.)" * bool(changes)
    train_y, test_y = targets(train_y, where), targets(test_y, where)
    number = 0 if train_y.dtype == np.float32 else 1 + int(max(y.max(initial=0) for y in (train_y, test_y)))
    return Dataset(
        train_x,
        train_y,
        test_x,
        test_y,
        num_classes=getattr(info.features[of_y], "num_classes", None) or number,
        name=f"tfds:{name}",
        source=source,
        truth=truth,
    )


def _columns(rows: Sequence[dict], of_x: str, of_y: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Two columns of a split, in the order of its rows."""
    pairs = [(np.asarray(row[of_x]), np.asarray(row[of_y])) for row in (rows[i] for i in range(len(rows)))]
    shapes = {x.shape for x, _ in pairs}
    checks.require(
        len(shapes) == 1,
        f"got tfds:{name} with {of_x} of the shapes {', '.join(map(str, sorted(shapes)[:3]))}, ..., need one shape; "
        "scale them to one size and save them as npz, and name it npz:PATH",
    )
    x, y = zip(*pairs, strict=True)
    return np.stack(x), np.stack(y)


def _require_labels(train_y: np.ndarray, test_y: np.ndarray, name: str, test: str | None) -> None:
    """Check that the labels of the test set are not all -1, as those of GLUE, which evaluates it itself.

    Raises:
      InputError: if they are.
    """
    kept_back = test_y.dtype.kind in "if" and test_y.size > 0 and np.all(test_y == -1) and not np.any(train_y == -1)
    checks.require(
        not kept_back,
        f"got tfds:{name}, whose {test} set has only the label -1, which means that labels are withheld; need labels "
        "to test on: save train as x and y in an npz file, of which a fifth is held out, or add another set as test_x "
        "and test_y, and name it npz:PATH",
    )


def _text(name: str, source: str, *rows: Sequence[dict]) -> Dataset:
    """Windows of characters from the texts of two splits, with the alphabet of both."""
    texts = ["".join(_string(split[i]["text"]) for i in range(len(split))) for split in rows]
    letters = numbered("".join(texts))[1]
    parts = []
    for text in texts:
        places = numbered(text, letters)[0]
        number = max(len(places) - 1, 0) // LENGTH
        starts = np.arange(number)[:, None] * LENGTH + np.arange(LENGTH)
        parts += [places[starts], places[starts + 1]]
    return Dataset(*parts, len(letters), f"tfds:{name}", source, truth={"vocabulary": letters})


def _string(text: Any) -> str:
    text = text.item() if isinstance(text, np.ndarray) else text
    return text.decode("utf-8") if isinstance(text, bytes) else str(text)
