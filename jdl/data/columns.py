"""Tables as text, and what their columns mean: which is text, which the class, which are features."""

from __future__ import annotations

import csv
import io
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jdl import checks
from jdl.data.files import unpacked

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["LABELS", "TEXTS", "as_features", "as_labels", "as_text", "named", "whole_classes"]

# Names of columns by which they are found, in any case.
TEXTS = ("sentence", "text", "review", "comment", "content")
LABELS = ("label", "class", "target", "sentiment", "category", "y")


def as_text(path: Path) -> DataFrame:
    """The cells of a table as they are written, columns by name; where the first line is numbers, by their place.

    Raises:
      InputError: a file that is damaged or no table, has no rows, or some longer than others.
    """
    import pandas

    plain = unpacked(path)  # what it refuses is a ValueError too, and a sentence already
    try:
        content = plain.decode("utf-8-sig")
        first = content[: content.find("\n") + 1] or content
        apart = max("\t,;", key=first.count)
        numbers = all(_is_number(cell) for cell in first.strip().split(apart))
        quoting = csv.QUOTE_NONE if apart == "\t" else csv.QUOTE_MINIMAL
        options = {"sep": apart, "header": None if numbers else 0, "quoting": quoting}
        frame = pandas.read_csv(io.StringIO(content), dtype=str, keep_default_na=False, **options)
    except (UnicodeDecodeError, ValueError) as error:  # pandas' own are kinds of ValueError
        raise checks.InputError(f"got {path}, which is no table: {error}; need rows of as many cells each") from error
    checks.require(
        len(frame) > 0 and isinstance(frame.index, pandas.RangeIndex),
        f"got {path} with {len(frame)} rows below its first line, or longer ones; need rows of as many cells each",
    )
    return frame.rename(columns=str)


def named(path: Path, columns: list[str], given: str | None, usual: tuple[str, ...]) -> str | None:
    """The column that is `given`, else the first with one of the `usual` names, in their order, if there is one.

    Raises:
      InputError: a given column that the table does not have.
    """
    if given is not None:
        have = f"got column {given!r}, which {path} does not have; try one of {', '.join(columns)}"
        checks.require(given in columns, have)
        return given
    return next((column for word in usual for column in columns if column.lower().strip() == word), None)


def as_features(path: Path, frame: DataFrame) -> np.ndarray:
    """The cells as numbers, f32[N, d].

    Raises:
      InputError: no columns, or cells that are no numbers, or not finite.
    """
    checks.require(frame.shape[1] > 0, f"got {path} with one column, need features beside the class; add them")
    try:
        features = frame.to_numpy(dtype=object).astype(np.float32)
    except ValueError as error:
        raise checks.InputError(
            f"got {path} with a cell that is no number ({error}), need numbers, or a column of text named "
            f"{' or '.join(TEXTS[:2])}; name the columns in the first line"
        ) from error
    sound = bool(np.isfinite(features).all())
    checks.require(sound, f"got {path} with cells that are not finite; leave those rows out")
    return features


def as_labels(parts: list[np.ndarray]) -> list[np.ndarray]:
    """The labels of all parts as f64 where all are numbers, so that class 10 comes after class 9, and 1.0 is 1."""
    return [part.astype(np.float64) for part in parts] if all(map(_is_number, chain(*parts))) else parts


def whole_classes(path: Path, label: str, parts: list[np.ndarray]) -> None:
    """A sentence for labels with digits behind the point: beside features these are targets of a regression."""
    broken = [one for part in parts if part.dtype.kind == "f" for one in part[part % 1 != 0]]
    checks.require(
        not broken,
        f"got {path} with a class such as {next(iter(broken), 0):g} in {label!r}, need whole numbers or words; name "
        "the column with the class in the first line, or bin what is a target of regression",
    )


def _is_number(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False
