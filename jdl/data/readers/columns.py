"""The roles of the columns of a table: text, class, or features."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jdl import checks
from jdl.data.readers.delimited import TEXTS, is_missing, numbers

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["as_features", "labels_of", "named"]

# More classes than the first number, with fewer examples each than the second, are regression targets or names.
MANY_CLASSES, EXAMPLES_EACH = 10, 3


def named(path: Path, columns: list[str], given: str | None, usual: tuple[str, ...]) -> str | None:
    """The column `given`, or else the first one with one of the `usual` names, in their order; None if there is none.

    Raises:
      InputError: if the table does not have the column `given`.
    """
    if given is not None:
        have = f"got column {given!r}, which {path} does not have; try one of {', '.join(columns)}"
        checks.require(given in columns, have)
        return given
    return next((column for word in usual for column in columns if column.lower().strip() == word), None)


def as_features(path: Path, frame: DataFrame) -> np.ndarray:
    """The cells as numbers, f32[N, d].

    Raises:
      InputError: if there are no columns, or if a cell is not a finite number; the message names its line and column.
    """
    checks.require(frame.shape[1] > 0, f"got {path} with one column, need features beside the class; add them")
    values = np.stack([numbers(frame[column]) for column in frame.columns], axis=1)
    with np.errstate(over="ignore"):  # too large for 32 bits becomes infinite, which is reported below
        odd = ~np.isfinite(values.astype(np.float32))
    if odd.any():
        column = int(np.argmax(odd.sum(axis=0) > 0))
        row = int(np.argmax(odd[:, column]))
        cell = frame.iloc[row, column]
        got = f"got {path} with {cell!r} in line {frame.index[row]}, column {frame.columns[column]!r}"
        if odd[:, column].sum() * 2 > len(frame):
            got = f"got {path} with the column {frame.columns[column]!r}, most of whose cells are no numbers ({cell!r})"
            do = (
                f"leave it out or number its words, or name a column of text {' or '.join(TEXTS[:2])} in the first line"
            )
        else:
            do = "leave the row out, or fill it in" if is_missing(cell) else "mend the cell, or leave the row out"
            do += f" ({odd.sum()} such cells in {odd.any(axis=1).sum()} rows)"
            if frame.index[row] == 1:
                do += "; if line 1 has the names of the columns, let no name be a number"
        raise checks.InputError(f"{got}, need finite numbers as features; {do}")
    return frame.to_numpy(dtype=object).astype(np.float32)


def labels_of(paths: list[Path], frames: list[DataFrame], column: str, beside_features: bool) -> list[np.ndarray]:
    """The class of every row of all parts: f64 if most are numbers (10 comes after 9, and 1.0 is 1), otherwise words.

    Args:
      paths: the files.
      frames: their cells, see `as_text`.
      column: name of the column with the class.
      beside_features: whether the other columns are numbers, so that a number as class may be a regression target.

    Raises:
      InputError: if a row has no class, if there is a word among numbers, or if numbers are not classes; the message
        names the line.
    """
    words = [frame[column].str.strip() for frame in frames]
    every = [word for part in words for word in part]
    counts = Counter(word for word in every if not is_missing(word))
    # "none" is Python's None written as text, or a class of this name; a class is not the rarest word of all.
    none = next((word for word in counts if word.lower() == "none"), None)
    others = [count for word, count in counts.items() if word != none]
    lost = {none} if none is not None and others and counts[none] < min(others) else set()
    for path, part in zip(paths, words, strict=True):
        absent = [line for line, word in part.items() if is_missing(word) or word in lost]
        got = f"got {path} without a class in line {absent[0] if absent else 0}, column {column!r}"
        more = f" (and in {len(absent) - 1} more)" if len(absent) > 1 else ""
        checks.require(not absent, f"{got}{more}, need one in every row; fill it in, or leave those rows out")
    values = [numbers(part) for part in words]
    every_value = np.concatenate(values)
    of_numbers = np.isfinite(every_value)
    if 2 * of_numbers.sum() <= every_value.size:
        _few_enough(paths[0], column, words[0].to_numpy(str), beside_features)
        return [part.to_numpy(str) for part in words]
    whole = bool(np.all(every_value[of_numbers] % 1 == 0))
    if not of_numbers.all() and whole and _are_classes(every, of_numbers):
        return [part.to_numpy(str) for part in words]
    for path, part, value in zip(paths, words, values, strict=True):
        odd = np.flatnonzero(~np.isfinite(value))
        where = f"{part.iloc[odd[0]]!r} in line {part.index[odd[0]]}" if odd.size else ""
        got = f"got {path} with {where}, column {column!r}, where most rows have numbers"
        checks.require(odd.size == 0, f"{got}, need a number in every row; correct that line, or leave it out")
        broken = value[value % 1 != 0]
        checks.require(
            broken.size == 0 or not beside_features,
            f"got {path} with a class such as {broken[0] if broken.size else 0:g} in {column!r}, need whole numbers or "
            "words; name the column with the class in the first line, or divide a regression target into bins",
        )
    _few_enough(paths[0], column, values[0], beside_features)
    return values


def _are_classes(every: list[str], of_numbers: np.ndarray) -> bool:
    """Whether the words among numbers are classes too: each is at least as frequent as the rarest number."""
    counts = [
        Counter(word for word, number in zip(every, of_numbers, strict=True) if number == kind) for kind in (0, 1)
    ]
    return min(counts[0].values()) >= max(2, min(counts[1].values()))


def _few_enough(path: Path, column: str, labels: np.ndarray, beside_features: bool) -> None:
    """Check that there are not so many classes that they must be values of something else.

    Raises:
      InputError: if there are.
    """
    number = len(np.unique(labels))
    got = f"got {path} with {number} classes in {column!r} for {len(labels)} examples, fewer than {EXAMPLES_EACH} each"
    do = "name the column with the class in the first line, or divide a regression target into bins"
    checks.require(number <= MANY_CLASSES or EXAMPLES_EACH * number <= len(labels), f"{got}; {do}")
