"""Whether what a reader made is a data set: arrays that fit together, as `Dataset` says they are."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset

__all__ = ["sound"]


def sound(data: Dataset, where: object) -> Dataset:
    """`data` as it is, or a sentence that begins with `where` it was read from.

    There is an example to train and one to test on, with as many targets as examples; test examples have the shape of
    the others; numbers are finite; classes, and tokens, lie between 0 and `num_classes - 1`.

    >>> x, y = np.zeros((2, 3), np.float32), np.array([0, 5], np.int32)
    >>> sound(Dataset(x, y, x, y, num_classes=5, name="a", source=""), "a.npz")
    Traceback (most recent call last):
    jdl.checks.InputError: got a.npz with classes from 0 to 5, need them from 0 to 4; number them anew
    """
    _fitting(data, where)
    _finite(data, where)
    classes = data.train_y.dtype.kind == "i"
    checks.require(
        data.test_y.dtype.kind == data.train_y.dtype.kind and (data.num_classes > 0) == classes,
        f"got {where} with targets of type {data.train_y.dtype} to train, {data.test_y.dtype} to test on and "
        f"num_classes={data.num_classes}, need whole numbers and one class at least, or real numbers and num_classes=0",
    )
    if not classes:
        return data
    tokens = data.train_x.dtype.kind == "i" and data.train_x.shape == data.train_y.shape
    checks.require(
        data.train_y.ndim == 1 or tokens,
        f"got {where} with examples of {data.train_x.shape} and {data.train_x.dtype}, and whole targets of "
        f"{data.train_y.shape}, need one class for each example, or for tokens the one that follows each; where rows "
        "have a 1 at their class, save y.argmax(axis=1)",
    )
    counted = [("classes", data.train_y), ("classes", data.test_y)]
    counted += [("tokens", data.train_x), ("tokens", data.test_x)] if tokens else []
    for what, values in counted:
        low, high = int(values.min()), int(values.max())
        checks.require(
            low >= 0 and high < data.num_classes,
            f"got {where} with {what} from {low} to {high}, need them from 0 to {data.num_classes - 1}; number them "
            "anew",
        )
    return data


def _fitting(data: Dataset, where: object) -> None:
    shapes = [array.shape for array in (data.train_x, data.train_y, data.test_x, data.test_y)]
    train_x, train_y, test_x, test_y = shapes
    good = all(train_x) and all(test_x) and len(train_x) > 1 and len(train_y) > 0
    good &= train_x[:1] == train_y[:1] and test_x[:1] == test_y[:1]
    good &= train_x[1:] == test_x[1:] and train_y[1:] == test_y[1:]
    checks.require(
        good,
        f"got {where} with train_x, train_y, test_x, test_y of {', '.join(map(str, shapes))}, need as many targets as "
        "examples, at least one to train and one to test on, and test examples of the same shape; save them anew",
    )
    got = f"got {where} with examples of {data.train_x.dtype} to train and {data.test_x.dtype} to test on"
    checks.require(data.train_x.dtype == data.test_x.dtype, f"{got}, need one type; convert one of them")
    owner = data.train_owner
    checks.require(
        owner is None or owner.shape == train_x[:1],
        f"got {where} with owners of {() if owner is None else owner.shape}, need one for each of the {train_x[0]} "
        "examples to train on; save them anew, or leave owners out",
    )


def _finite(data: Dataset, where: object) -> None:
    for name in ("train_x", "train_y", "test_x", "test_y"):
        values = getattr(data, name)
        checks.require(
            values.dtype.kind != "f" or bool(np.isfinite(values).all()),
            f"got {where} with {name} that is not finite in 32 bits; leave those examples out, or scale them",
        )
