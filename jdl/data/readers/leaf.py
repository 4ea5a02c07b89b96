"""LEAF's json, examples by user: FEMNIST handwriting by writer, Shakespeare's lines by role."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.held_out import held_out
from jdl.data.readers.leaf_json import examples, files
from jdl.data.readers.source import Source

__all__ = ["SOURCES", "read", "read_any"]


def read(path: Path, name: str | None = None, num_classes: int | None = None, seed: int = 0) -> Dataset:
    """The examples of users, from a file of LEAF or a folder of such files.

    A folder has `train/` and `test/`, or `all_data/`, or files itself, directly or below `data/`. Without a test part a
    tenth of each user's examples is held out. The kind of the examples is inferred. 784 numbers are an image of 28x28,
    dark on white (1): u8[N, 28, 28, 1] if they are grey levels, otherwise (for example standardised) f32. Other numbers
    are features, f32[N, d]. Text of L characters and the next character is i32[N, L] with y, i32[N, L], the character
    after each. LEAF predicts only the last of these. Its windows are shifted by one character each, so every other
    character is predicted as well, repeatedly.

    Classes that count from 1 are renumbered from 0. `truth` has their "labels"; "users" (names, in the order of
    owners, including users that only have test examples: LEAF can hold out whole users); and for text "vocabulary", all
    characters sorted.

    Args:
      path: file or folder.
      name: name of the data set; by default that of the file or folder.
      num_classes: number of classes, if the files may lack some; by default one more than the largest.
      seed: seed of the choice of test examples.

    Raises:
      InputError: if there is no file, a file is not LEAF's, or examples are of another kind; the message states what is
        wrong and where.

    References:
      S. Caldas et al., "LEAF: A Benchmark for Federated Settings", 2018 (arXiv:1812.01097).
    """
    train, test = files(path)
    number: dict[str, int] = {}
    training, rest = examples(train, number), examples(test, number)
    checks.require(training is not None, f"got {path} without examples to train on, need some; make it again")
    train_x, train_y, owner = training
    if rest is None:
        held = held_out(owner, 0.1, seed)
        test_x, test_y, test_owner = train_x[held], train_y[held], owner[held]
        train_x, train_y, owner = train_x[~held], train_y[~held], owner[~held]
    else:
        test_x, test_y, test_owner = rest
    if {train_x.dtype, test_x.dtype} == {np.dtype(np.uint8), np.dtype(np.float32)} and train_x.ndim == 4:
        train_x, test_x = (x / np.float32(255) if x.dtype == np.uint8 else x for x in (train_x, test_x))
    checks.require(
        train_x.shape[1:] == test_x.shape[1:] and train_x.dtype == test_x.dtype,
        f"got {path} with examples of shape {train_x.shape[1:]} to train, {test_x.shape[1:]} to test, need one kind; "
        "make both again with LEAF's preprocess.sh",
    )
    truth: dict[str, Any] = {"users": np.array(list(number))}
    if train_x.dtype == np.uint32:  # characters, each row with the next character
        checks.fits(2 * 4 * (train_x.size + test_x.size), f"{path} with {len(train_x) + len(test_x)} texts")
        letters = np.union1d(train_x, test_x)
        truth["vocabulary"] = np.array([chr(code) for code in letters.tolist()])
        train_x, test_x = (np.searchsorted(letters, part).astype(np.int32) for part in (train_x, test_x))
        train_x, train_y, test_x, test_y = train_x[:, :-1], train_x[:, 1:], test_x[:, :-1], test_x[:, 1:]
        num_classes = len(letters)
    elif num_classes is None and min(train_y.min(), test_y.min()) == 1:  # classes counted from 1
        train_y, test_y = train_y - 1, test_y - 1
        truth["labels"] = np.arange(1, 2 + max(train_y.max(), test_y.max()))
    largest = int(max(train_y.max(), test_y.max()))
    num_classes = largest + 1 if num_classes is None else num_classes
    checks.require(
        largest < num_classes and min(train_y.min(), test_y.min()) >= 0,
        f"got {path} with class {largest}, need classes from 0 to {num_classes - 1}; is it another data set's?",
    )
    test_part = "as kept apart there" if rest is not None else "a tenth of each user's examples"
    return Dataset(
        *(train_x, train_y, test_x, test_y),
        num_classes=num_classes,
        name=name or path.name.split(".")[0],
        source=f"LEAF's json by user, {len(number):,} in all; to test on: {test_part}.",
        train_owner=owner,
        test_owner=test_owner,
        truth=truth,
    )


def read_any(path: Path) -> Dataset:
    """Any file or folder of LEAF whose examples are images, features or text of one length."""
    return read(path)


_WHERE = "https://github.com/TalwalkarLab/leaf: run data/{0}/preprocess.sh and keep the folder data/{0}"

SOURCES = {
    "femnist": Source(
        (("femnist",),),
        partial(read, name="femnist", num_classes=62),
        _WHERE.format("femnist"),
        ("leaf/data", "leaf"),
        or_folders=True,
    ),
    "leaf_shakespeare": Source(
        (("leaf_shakespeare", "shakespeare"),),
        partial(read, name="leaf_shakespeare"),
        _WHERE.format("shakespeare"),
        ("leaf/data", "leaf"),
        or_folders=True,
    ),
}
