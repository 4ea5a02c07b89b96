"""The checks of a data set: its arrays fit together, are finite, and have classes that count from 0."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset

__all__ = ["validate"]

KINDS = {"f": "floats", "i": "whole numbers", "u": "whole numbers"}


def validate(data: Dataset, where: object = None) -> Dataset:
    """Check a data set and return it unchanged.

    There must be at least one training and one test example, and as many targets as examples. Test examples must have
    the shape and the type of training examples. Numbers must be finite. Classes and tokens must lie between 0 and
    `num_classes - 1`.

    Args:
      data: the data set.
      where: source of the data, with which error messages begin; by default the name of the data set.

    Returns:
      `data` itself.

    Raises:
      InputError: if any of these conditions does not hold.

    >>> x, y = np.zeros((2, 3), np.float32), np.array([0, 5], np.int32)
    >>> validate(Dataset(x, y, x, y, num_classes=5, name="a", source=""), "a.npz")
    Traceback (most recent call last):
    jdl.checks.InputError: got a.npz with classes from 0 to 5, need them from 0 to 4; renumber them, for example by \
np.unique(y, return_inverse=True)[1]
    """
    where = where or data.name or "data"
    _fitting(data, where)
    _types(data, where)
    for name in ("train_x", "train_y", "test_x", "test_y"):
        _finite(getattr(data, name), name, where)
    real = data.train_y.dtype.kind == "f"
    checks.require(
        (data.test_y.dtype.kind == "f") == real == (not data.num_classes),
        f"got {where} with targets of type {data.train_y.dtype} to train, {data.test_y.dtype} to test on and "
        f"num_classes={data.num_classes}, need integers and at least one class, or real numbers and num_classes=0; "
        "try y.astype(np.int32) for classes, or y.argmax(axis=-1) for one-hot rows",
    )
    if not real:
        _classes(data, where)
    return data


def _fitting(data: Dataset, where: object) -> None:
    shapes = [array.shape for array in data[:4]]
    train_x, train_y, test_x, test_y = shapes
    good = all(train_x) and all(test_x) and len(train_x) > 1 and len(train_y) > 0
    good &= train_x[:1] == train_y[:1] and test_x[:1] == test_y[:1]
    good &= train_x[1:] == test_x[1:] and train_y[1:] == test_y[1:]
    checks.require(
        good,
        f"got {where} with train_x, train_y, test_x, test_y of {', '.join(map(str, shapes))}, need as many targets as "
        "examples, at least one to train and one to test on, and test examples of the same shape; correct the arrays",
    )
    for owner, examples, what in ((data.train_owner, train_x, "train"), (data.test_owner, test_x, "test")):
        checks.require(
            owner is None or np.shape(owner) == examples[:1],
            f"got {where} with owners of {np.shape(owner)}, need one for each of the {examples[0]} examples to {what} "
            "on; correct them, or leave owners out",
        )


def _types(data: Dataset, where: object) -> None:
    for part, x, y in (("train", data.train_x, data.train_y), ("test", data.test_x, data.test_y)):
        checks.require(
            x.dtype.kind in KINDS and y.dtype.kind in KINDS,
            f"got {where} with {part}ing examples of type {x.dtype} and targets of {y.dtype}, need floats, bytes of "
            "images or whole numbers; try x.astype(np.float32)",
        )
    got = f"got {where} with examples of {data.train_x.dtype} to train and {data.test_x.dtype} to test on"
    checks.require(_meaning(data.train_x) == _meaning(data.test_x), f"{got}, need one type; convert one of them")


def _meaning(x: np.ndarray) -> str:
    """The kind of numbers: bytes are images, to be divided by 255; other integers are not."""
    return "bytes" if x.dtype == np.uint8 else KINDS[x.dtype.kind]


def _finite(values: np.ndarray, name: str, where: object) -> None:
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        odd = ~np.isfinite(values.astype(np.float32, copy=False))
    if odd.any():
        row = int(np.argmax(odd.reshape(len(odd), -1).any(axis=1)))
        value = values[row][odd[row]].flat[0] if values.ndim > 1 else values[row]
        raise checks.InputError(
            f"got {where} with {name} that is not finite in 32 bits: {value:g} in example {row}, {odd.sum()} such "
            "numbers in all; leave those examples out, or fill in or scale the numbers"
        )


def _classes(data: Dataset, where: object) -> None:
    y = data.train_y
    one_hot = y.ndim == 2 and bool(np.all((y == 0) | (y == 1)) and np.all(y.sum(axis=1) == 1)) and y.shape[1] > 1
    tokens = data.train_x.dtype.kind in "iu" and data.train_x.shape == y.shape
    checks.require(
        tokens or not one_hot,
        f"got {where} with one-hot targets of shape {y.shape}, need one class for each example, or for tokens the "
        "one that follows each; save y.argmax(axis=1)",
    )
    counted = [("classes", y), ("classes", data.test_y)]
    counted += [("tokens", data.train_x), ("tokens", data.test_x)] if tokens else []
    for what, values in counted:
        low, high = int(values.min()), int(values.max())
        checks.require(
            low >= 0 and high < data.num_classes,
            f"got {where} with {what} from {low} to {high}, need them from 0 to {data.num_classes - 1}; renumber "
            "them, for example by np.unique(y, return_inverse=True)[1]",
        )
