"""Tables with a class in each row: sentences as tokens, numbers as features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.held_out import classes, held_out
from jdl.data.readers.columns import as_features, labels_of, named
from jdl.data.readers.delimited import LABELS, TEXTS, as_text
from jdl.data.readers.source import Source
from jdl.data.readers.words import tokens, vocabulary

__all__ = ["SOURCES", "read", "read_any"]


def read(
    train: Path,
    test: Path | None = None,
    name: str | None = None,
    text: str | None = None,
    label: str | None = None,
    length: int = 64,
    words: int = 8000,
    seed: int = 0,
    also: Path | None = None,
) -> Dataset:
    """A table with one row per example; columns are separated by tab, comma, semicolon, bar or blanks.

    The first line names the columns. The majority of the cells of a column decides whether it holds numbers, and
    whether the first line holds names. A row without a class is refused. A first column without a name that counts the
    rows is ignored.

    With a column of text (named in `text`, or sentence, text, review, ...) examples are its words in lower case: i32[N,
    length] with 0 for padding, 1 for unknown words, and `truth["vocabulary"]`. Otherwise all columns are numbers and
    examples are f32[N, d]; the first line may then be numbers too. The class is the column named in `label`, or label,
    class, target, ...; among numbers otherwise the last. `truth["labels"]` holds its words or numbers in order.

    Args:
      train: training file.
      test: test file, or None, which holds out a fifth of each class.
      name: name of the data set; by default that of the file.
      text: name of the column of text, or None to infer it.
      label: name of the column with the class, or None to infer it.
      length: largest number of words of a sentence; the rest is cut.
      words: size of the vocabulary, which holds the most frequent words of the training part.
      seed: seed of the choice of test examples.
      also: second training file, or None.

    Raises:
      InputError: if a file is not such a table, or has no such column; the message states what is wrong and what to do.
    """
    length, words = checks.whole("length", length, 1), checks.whole("words", words, 3)
    paths = [path for path in (train, also, test) if path is not None]
    frames = [as_text(path) for path in paths]
    columns = list(frames[0].columns)
    text = named(train, columns, text, TEXTS)
    label = named(train, columns, label, LABELS)
    if label is None and text is None:
        label = columns[-1]
    checks.require(
        label is not None and label != text,
        f"got {train} with columns {', '.join(columns)}, need one with the class, named {' or '.join(LABELS[:3])}; "
        "name it in the first line",
    )
    for path, frame in zip(paths, frames, strict=True):
        missing = {label, text or label, *(() if text else columns)} - set(frame.columns)
        got = f"got {path} without the columns {', '.join(sorted(missing))} that {train} has"
        checks.require(not missing, f"{got}; give the columns the same names in both")
    labels = labels_of(paths, frames, label, beside_features=text is None)
    if text is None:
        features = [column for column in columns if column != label]
        inputs = [as_features(path, frame[features]) for path, frame in zip(paths, frames, strict=True)]
    else:
        inputs = [frame[text].to_numpy(dtype=object) for frame in frames]
    if also is not None:
        inputs, labels = ([np.concatenate(parts[:2]), *parts[2:]] for parts in (inputs, labels))
    trained = " and ".join(path.name for path in (train, also) if path is not None)
    test_part = test.name if test else "a fifth of each class"
    if test is None:
        held = held_out(labels[0], seed=seed)
        inputs, labels = [inputs[0][~held], inputs[0][held]], [labels[0][~held], labels[0][held]]
    train_y, test_y, coding = classes(*labels)
    truth = {"labels": coding}
    if text is not None:
        truth["vocabulary"] = known = vocabulary(inputs[0], words)
        inputs = [tokens(part, known, length) for part in inputs]
    return Dataset(
        *(inputs[0], train_y, inputs[1], test_y),
        num_classes=len(coding),
        name=name or train.name.split(".")[0],
        source=f"Rows of {trained}; to test on: {test_part}.",
        truth=truth,
    )


def read_any(path: Path) -> Dataset:
    """Any table of sentences or numbers with a class in each row: see `read`."""
    return read(path)


def read_sst2(train: Path, dev: Path, test: Path) -> Dataset:
    """GLUE's 67,349 training phrases and 872 test sentences, in any distribution over the three files.

    GLUE publishes test.tsv without labels; dev.tsv is then the test part. If test.tsv has labels it is GLUE's dev.tsv,
    and dev.tsv is a part of GLUE's train.tsv, to which it is returned.
    """
    if "label" in as_text(test).columns:
        return read(train, test, "sst2", also=dev)
    return read(train, dev, "sst2")


SOURCES = {
    "sst2": Source(
        files=(("train.tsv",), ("dev.tsv",), ("test.tsv",)),
        read=read_sst2,
        where="https://gluebenchmark.com/tasks (SST-2.zip)",
        folders=("SST-2",),
        common_names=True,
    )
}
