"""A data set of NumPy arrays from a user's Python data: lists, frames or arrays of any library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.held_out import classes
from jdl.data.readers.arrays import NAMES, from_arrays
from jdl.data.validate import validate

__all__ = ["as_dataset"]

NEED = "need a jdl.data.Dataset, (x, y), ((train_x, train_y), (test_x, test_y)), or a dict with these names"


def as_dataset(data: Any) -> Dataset:
    """A checked data set of NumPy arrays.

    Args:
      data: a `Dataset` whose arrays may be lists, frames, sparse matrices, or arrays of another library; or (x, y);
        or ((train_x, train_y), (test_x, test_y)); or a dict with the array names of an npz file (or scikit-learn's
        "data" and "target"). All but a `Dataset` follow the rules of `npz.read_any`: of x and y without a test part a
        fifth is held out. In these forms y may be words, whose classes are numbered in alphabetical order.

    Returns:
      The data set, checked by `validate`.

    Raises:
      InputError: if `data` has none of these forms, or its arrays do not fit together.
    """
    if isinstance(data, Dataset):
        arrays = [_array(value, name) for name, value in zip(Dataset._fields[:4], data[:4], strict=True)]
        arrays[1], arrays[3] = (y.astype(np.int32) if y.dtype.kind == "b" else y for y in (arrays[1], arrays[3]))
        arrays[0], arrays[2] = (x.astype(np.float32) if x.dtype.kind == "b" else x for x in (arrays[0], arrays[2]))
        number = checks.whole("num_classes", data.num_classes, 0)
        owners = [None if owner is None else np.asarray(owner) for owner in (data.train_owner, data.test_owner)]
        return validate(Dataset(*arrays, number, data.name, data.source, *owners, data.truth))
    named = _named(data)
    arrays = {name: _array(value, name) for name, value in named.items()}
    labels = [name for name in ("y", "train_y", "test_y", "y_train", "y_test") if name in arrays]
    coding = None
    if any(arrays[name].dtype.kind in "US" for name in labels):
        numbered = classes(*(arrays[name].astype(str) for name in labels))
        arrays |= {name: part for name, part in zip(labels, numbered, strict=False)}
        coding = {"labels": numbered[2]}
    dataset = from_arrays(arrays, "data", "data", "Arrays handed over")
    return validate(dataset._replace(truth=coding) if coding else dataset)


def _named(data: Any) -> dict[str, Any]:
    """The arrays by name."""
    known = {*NAMES[0], *NAMES[1], "x", "y", "train_owner", "test_owner", "num_classes"}
    if isinstance(data, Mapping):
        renamed = {{"data": "x", "target": "y"}.get(name, name): value for name, value in data.items()}
        arrays = {name: value for name, value in renamed.items() if name in known}
        listed = ", ".join(map(repr, list(data)[:5]))
        checks.require(len(arrays) > 1, f"got data with the names {listed or 'none'}, {NEED}; rename them")
        return arrays
    pair = isinstance(data, tuple | list) and len(data) == 2
    if pair and all(isinstance(part, tuple | list) and len(part) == 2 and _of_one_length(*part) for part in data):
        return dict(zip(NAMES[0], (array for part in data for array in part), strict=True))
    parts = f" with {len(data)} parts" if isinstance(data, tuple | list) else ""
    got = f"got data of type {type(data).__name__}{parts}"
    checks.require(pair, f"{got}, {NEED}; try data=(x, y)")
    return {"x": data[0], "y": data[1]}


def _of_one_length(x: Any, y: Any) -> bool:
    """Whether these are an array and as many targets; two rows of numbers in a list are no such pair."""
    try:
        return hasattr(x, "shape") and x.shape[0] == len(y)
    except (TypeError, IndexError):
        return False


def _array(value: Any, name: str) -> np.ndarray:
    """Numbers or words of any library as a NumPy array."""
    got = f"got {name} of type {type(value).__name__}"
    checks.require(value is not None and not isinstance(value, str), f"{got}, need an array; give one")
    if sparse.issparse(value):
        checks.fits(8 * value.shape[0] * value.shape[1], f"{name} of {value.shape}, as a dense array")
        return value.toarray()
    try:
        array = value.to_numpy() if hasattr(value, "to_numpy") else np.asarray(value)
        if array.dtype.kind == "O":
            words = all(isinstance(one, str) for one in array.flat)
            array = array.astype(str) if words else array.astype(np.float64)  # None becomes NaN, refused later
        return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
    except (ValueError, TypeError, RuntimeError) as error:
        raise checks.InputError(
            f"{got}, which is not an array of numbers ({error}); try np.array(..., float)"
        ) from error
