"""A data set from arrays with usual names: images, tokens or features; classes or targets.

If there is no test part, a fifth of the examples is held out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jdl import checks
from jdl.data import held_out as parts
from jdl.data.dataset import Dataset
from jdl.data.readers.pixels import as_pixels

__all__ = ["NAMES", "from_arrays", "held_out", "inputs", "targets"]

NAMES = (("train_x", "train_y", "test_x", "test_y"), ("x_train", "y_train", "x_test", "y_test"))


def from_arrays(arrays: Mapping[str, np.ndarray], where: object, name: str, source: str) -> Dataset:
    """The data set of arrays with the names in `NAMES`, or of "x" and "y", of which a fifth is held out.

    `npz.read_any` describes which arrays are accepted.

    Args:
      arrays: arrays by name, optionally with "train_owner", "test_owner" and "num_classes".
      where: name of the source in error messages.
      name: name of the data set.
      source: statement of the source, without a full stop.

    Raises:
      InputError: if names are missing, or arrays have a type that no data set has.
    """
    names = next((names for names in NAMES if all(name in arrays for name in names)), None)
    checks.require(
        names is not None or ("x" in arrays and "y" in arrays),
        f"got {where} with the arrays {', '.join(sorted(arrays)) or 'none'}, need {', '.join(NAMES[0])}, or "
        f"{', '.join(NAMES[1])}, or x and y",
    )
    parts = held_out(arrays["x"], arrays["y"], where) if names is None else [arrays[name] for name in names]
    train_y, test_y = targets(parts[1], where), targets(parts[3], where)
    (train_x, test_x), changes = inputs([parts[0], parts[2]], [train_y, test_y], where)
    whole = [part for part in (train_x, train_y, test_x, test_y) if part.dtype == np.int32 and part.size]
    number = max((int(part.max()) + 1 for part in whole), default=0)
    truth = None
    tokens = train_x.dtype == np.int32
    if "num_classes" in arrays:
        number = _whole(arrays["num_classes"], where)
    elif not tokens and number > 1 and min(int(part.min()) for part in whole) == 1:
        train_y, test_y, number = train_y - 1, test_y - 1, number - 1
        truth = {"labels": np.arange(1, number + 1)}
        changes += ", " * bool(changes) + f"classes 1 to {number} are numbered from 0"
    return Dataset(
        *(train_x, train_y, test_x, test_y),
        num_classes=number,
        name=name,
        source=source + ("" if names else ", a fifth of them held out") + f" ({changes})" * bool(changes) + ".",
        train_owner=_owners(arrays, "train_owner", where),
        test_owner=_owners(arrays, "test_owner", where),
        truth=truth,
    )


def held_out(x: np.ndarray, y: np.ndarray, where: object) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The training examples and a fifth as test examples (of each class, if y is classes), each in their order."""
    fits = x.ndim > 0 and x.shape[:1] == y.shape[:1]
    got = f"got {where} with x of {x.shape} and y of {y.shape}"
    checks.require(fits, f"{got}, need as many targets as examples; save them again")
    classes = y.ndim == 1 and np.issubdtype(y.dtype, np.integer)
    test = parts.held_out(y if classes else np.zeros(len(y)))
    return x[~test], y[~test], x[test], y[test]


def inputs(xs: list[np.ndarray], ys: list[np.ndarray], where: object) -> tuple[list[np.ndarray], str]:
    """Both parts as images, bytes or float32 (see `as_pixels`), or as tokens i32[N, T] if y has the same shape."""
    need = "need whole or real numbers; save x.astype(np.float32)"
    for x in xs:
        checks.require(x.dtype.kind in "fiub", f"got {where} with examples of {x.dtype}, {need}")
    pairs = list(zip(xs, ys, strict=True))
    tokens = [np.issubdtype(x.dtype, np.integer) and x.ndim == 2 and x.shape == y.shape for x, y in pairs]
    if not any(tokens) and xs[0].ndim > 0 and xs[0].shape[1:] == xs[1].shape[1:]:
        return as_pixels(xs)
    # `validate` refuses parts that differ in kind or shape.
    kinds = zip(xs, tokens, strict=True)
    return [_in_32_bits(x, where, "token", "tokens") if token else x.astype(np.float32) for x, token in kinds], ""


def targets(y: np.ndarray, where: object) -> np.ndarray:
    """`y` as i32 if it is integers, numbered from 0, otherwise as f32; a last axis of length 1 is dropped."""
    kind = "f" if np.issubdtype(y.dtype, np.floating) else "i" if np.issubdtype(y.dtype, np.integer) else y.dtype.kind
    need = "need whole or real numbers; save classes as np.unique(y, return_inverse=True)[1]"
    checks.require(kind in "fib", f"got {where} with targets of {y.dtype}, {need}")
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if kind != "f":
        return _in_32_bits(y, where, "class", "classes")
    with np.errstate(over="ignore"):
        return y.astype(np.float32)


def _in_32_bits(values: np.ndarray, where: object, what: str, many: str) -> np.ndarray:
    """Classes or tokens as i32."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    wrong = low if low < 0 else high
    checks.require(
        low >= 0 and high < 2**31,
        f"got {where} with the {what} {wrong}, need {many} that count from 0; renumber them, for example by "
        "np.unique(..., return_inverse=True)[1]",
    )
    return values.astype(np.int32)


def _whole(number: np.ndarray, where: object) -> int:
    number = np.asarray(number)
    good = number.shape == () and number.dtype.kind in "iu"
    checks.require(good, f"got {where} with num_classes={number.tolist()!r}, need one whole number")
    return int(number)


def _owners(arrays: Mapping[str, np.ndarray], name: str, where: object) -> np.ndarray | None:
    """The owners under this name, if there are any; -1 is a test example of nobody who owns a training example."""
    if name not in arrays:
        return None
    owner, least = arrays[name], -1 if name == "test_owner" else 0
    good = owner.dtype.kind in "iu" and (not owner.size or least <= int(owner.min()) <= int(owner.max()) < 2**31)
    checks.require(
        good,
        f"got {where} with {name} of {owner.dtype}, need whole numbers from {least} to 2^31 - 1; save "
        f"np.unique({name}, return_inverse=True)[1]",
    )
    return owner.astype(np.int32)
