"""Text tables: which character separates the cells, whether cells are quoted, whether the first line has names.

The majority of the lines decides each of these, so that one irregular cell changes none of them; an error message names
that cell.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jdl import checks
from jdl.data.readers.files import unpacked

if TYPE_CHECKING:
    from pandas import DataFrame, Series

__all__ = ["LABELS", "TEXTS", "as_text", "is_missing", "numbers"]

# Column names that identify a role, in upper or lower case.
TEXTS = ("sentence", "text", "review", "comment", "content")
LABELS = ("label", "class", "target", "sentiment", "category", "y")

# The contents of a cell, in lower case, that mean a missing value. "none" may be a class: see `columns.labels_of`.
MISSING = ("", "?", "nan", "na", "n/a", "#n/a", "<na>", "null", "nat")

SIGNS = "\t,;|"
LOOKED_AT, SEEN = 50, 1000  # lines that decide the separator; rows that decide whether line 1 has names
Row = tuple[int, list[str]]  # the line number at which a row ends, and its cells


def as_text(path: Path) -> DataFrame:
    """The cells of a table as they are written. The index holds the line number of each row, counted from 1.

    Columns are named by the first line, or otherwise by their position, "0", "1", ...

    Raises:
      InputError: if the file is damaged or not a table, has no rows, or has rows of different lengths.
    """
    import pandas

    plain = unpacked(path)
    try:
        content = plain.decode("utf-8-sig")
        rows = _rows(content)
    except (UnicodeDecodeError, csv.Error) as error:
        raise checks.InputError(f"got {path}, which is not a table: {error}; need rows of equal length") from error
    need = f"got {path} with {max(len(rows) - 1, 0)} rows below its first line, need one at least; get the file again"
    checks.require(len(rows) > 1, need)
    width = Counter(len(cells) for _, cells in rows).most_common(1)[0][0]
    rows = [(line, _without_empty_end(cells, width)) for line, cells in rows]
    for line, cells in rows:
        got = f"got {path} with {len(cells)} cells in line {line}, where most lines have {width}"
        checks.require(len(cells) == width, f"{got}, need as many in each; complete that line or leave it out")
    lines, cells = [line for line, _ in rows], [cells for _, cells in rows]
    frame = pandas.DataFrame(cells, index=lines, columns=[str(place) for place in range(width)], dtype=object)
    if _has_names(frame):
        names = [name.strip() or f"unnamed {place}" for place, name in enumerate(cells[0])]
        twice = next((name for name, count in Counter(names).items() if count > 1), None)
        checks.require(twice is None, f"got {path} with two columns {twice!r}, need a name for each; rename one")
        frame = frame.iloc[1:].set_axis(names, axis=1)
        if not cells[0][0].strip() and _counts_rows(frame.iloc[:, 0]):
            frame = frame.iloc[:, 1:]  # row numbers written by pandas
    last = frame.iloc[:, -1]
    ends = (lines[0] == frame.index[0] or not cells[0][-1].strip()) and not any(cell.strip() for cell in last)
    return frame.iloc[:, :-1] if ends else frame  # every line ends with a separator


def _rows(content: str) -> list[Row]:
    """Rows with quoted cells if that reads every line completely, otherwise with quotes as plain characters.

    In a text with quotation marks of its own (GLUE's), a quote at the start of a cell has no partner.
    """
    sign = _sign(content)
    if sign is None:  # separated by blanks
        return [(number, line.split()) for number, line in enumerate(content.splitlines(), start=1) if line.strip()]
    with contextlib.suppress(csv.Error):
        return list(_read(content, sign, quoting=csv.QUOTE_MINIMAL, strict=True))
    plain = list(_read(content, sign, quoting=csv.QUOTE_NONE))
    if len({len(cells) for _, cells in plain}) == 1:
        return plain
    quoted = list(_read(content, sign, quoting=csv.QUOTE_MINIMAL))
    return quoted if len({len(cells) for _, cells in quoted}) == 1 else plain


def _read(content: str, sign: str, **how: int) -> Iterator[Row]:
    longest = csv.field_size_limit(max(csv.field_size_limit(), len(content)))
    try:
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=sign, skipinitialspace=True, **how)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    finally:
        csv.field_size_limit(longest)


def _sign(content: str) -> str | None:
    """The separator that divides most lines into the same number of cells; None for blanks."""
    start = "\n".join(content.splitlines()[:LOOKED_AT])

    def agreement(sign: str) -> tuple[int, int]:
        widths = Counter(len(cells) for _, cells in _read(start, sign, quoting=csv.QUOTE_MINIMAL))
        width, lines = max(widths.items(), key=lambda one: (one[1], one[0]), default=(1, 0))
        return (lines if width > 1 else 0, width)

    best = max(SIGNS, key=agreement)  # of equally good ones the first: a tab before a comma
    if agreement(best)[0]:
        return best
    words = [line.split() for line in start.splitlines() if line.strip()]
    alike = len({len(cells) for cells in words}) == 1 and len(words[0]) > 1
    return (
        None if alike and np.mean([bool(np.isfinite(_number(cell))) for row in words for cell in row]) > 0.5 else best
    )


def _without_empty_end(cells: list[str], width: int) -> list[str]:
    """The cells without the empty last one of a line that ends with a separator."""
    return cells[:width] if not any(cell.strip() for cell in cells[width:]) else cells


def _has_names(frame: DataFrame) -> bool:
    """Whether the first line names the columns: it has words where most other lines have numbers.

    If all columns are words, the first line must have a usual name, or none of its cells may occur again in its column.
    Integers 0, 1, 2, ... over at least four columns are the names that pandas gives.
    """
    first, rest = [cell.strip() for cell in frame.iloc[0]], frame.iloc[1:SEEN]
    again = [first[place] in set(rest.iloc[:, place].str.strip()) for place in range(len(first))]
    usual = [cell.lower() in (*TEXTS, *LABELS) and not twice for cell, twice in zip(first, again, strict=True)]
    start = int(first[0] == "")
    if any(usual) or (len(first) >= 4 + start and first[start:] == [str(place) for place in range(len(first) - start)]):
        return True
    numeric = [place for place in range(len(first)) if numeric_column(rest.iloc[:, place])]
    named = [place for place in numeric if not is_missing(first[place])]
    if named:
        words = sum(not np.isfinite(_number(first[place])) for place in named)
        return 2 * words >= len(named)
    return bool(numeric) or not any(again)


def numeric_column(cells: Series) -> bool:
    """Whether most cells with a value are numbers."""
    values = [cell for cell in cells if not is_missing(cell)]
    return bool(values) and 2 * int(np.isfinite(numbers(values)).sum()) > len(values)


def numbers(cells: Series | list[str]) -> np.ndarray:
    """f64[N], the number in each cell, or NaN."""
    import pandas

    return pandas.to_numeric(pandas.Series(cells, dtype=object).str.strip(), errors="coerce").to_numpy(np.float64)


def _number(cell: str) -> float:
    return float(numbers([cell])[0])


def is_missing(cell: str) -> bool:
    """Whether a cell states that its value is missing.

    >>> [is_missing(cell) for cell in ("", " ?", "NaN", "0", "no")]
    [True, True, True, False, False]
    """
    return cell.strip().lower() in MISSING


def _counts_rows(cells: Series) -> bool:
    values = numbers(cells)
    return bool(np.array_equal(values, np.arange(len(values))) or np.array_equal(values, 1 + np.arange(len(values))))
