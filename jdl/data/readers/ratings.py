"""Files of ratings as three columns, users, items and stars; long ids are kept exactly."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jdl import checks
from jdl.data.readers.delimited import is_missing, numbers
from jdl.data.readers.files import unpacked

if TYPE_CHECKING:
    from pandas import DataFrame, Series

__all__ = ["ratings"]

# Names of columns, in upper or lower case and without "_".
USERS = ("userid", "user", "uid", "reviewerid", "customerid")
ITEMS = ("movieid", "itemid", "item", "movie", "asin", "productid", "bookid", "isbn", "appid", "artistid", "businessid")
STARS = ("rating", "stars", "score", "overall", "bookrating")

FORM = (
    "need lines of user, item, rating and time, apart by tabs (u.data), :: (ratings.dat) or commas (ratings.csv), or "
    "these names above the columns"
)
LEADING_ZERO = re.compile(rb"(?:^|[\t,:;\n\"])0\d")


def ratings(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The users[N], items[N] and stars f32[N] of all lines.

    Ids are i64 if all are integers, otherwise words: float64 cannot distinguish numbers above 2^53, and 007 is not 7.
    The first line holds names if its rating is not a number; columns are then found by name, otherwise by position.

    Raises:
      InputError: if the file has another format, or a line lacks a user, an item or a rating; the message names the
        line.
    """
    import pandas

    content = unpacked(path).removeprefix(b"\xef\xbb\xbf")  # the byte order mark that Windows writes
    lines = content.splitlines()
    first = lines[0].decode("utf-8", "replace") if lines else ""
    # "user::item::rating::time" is split at each colon, with empty columns between: much faster than a pattern.
    apart = ":" if "::" in first else next((sign for sign in "\t;" if sign in first), ",")
    cells = [cell.strip(' "') for cell in first.split(apart)]
    places = [0, 2, 4] if apart == ":" else [0, 1, 2]
    checks.require(len(cells) > places[2], f"got {path}, which is not a file of ratings; {FORM}")
    names = not np.isfinite(numbers([cells[places[2]]])).all()
    places = _by_name(path, cells, places) if names else places
    how = {"sep": apart, "header": None, "skiprows": int(names), "usecols": places, "skip_blank_lines": True}
    try:
        exact = not LEADING_ZERO.search(content)
        table = pandas.read_csv(io.BytesIO(content), **how)[places] if exact else None
        if table is None or any(table[place].dtype.kind not in "iu" for place in places[:2]):
            table = pandas.read_csv(io.BytesIO(content), **how, dtype=str, keep_default_na=False)[places]
        users, items = (_ids(path, table[place], 1 + names) for place in places[:2])
    except checks.InputError:
        raise
    except ValueError as error:  # pandas' errors are subclasses of it
        raise checks.InputError(f"got {path}, which is not a file of ratings ({error}); {FORM}") from error
    return users, items, _stars(path, table, places[2], 1 + names)


def _by_name(path: Path, cells: list[str], places: list[int]) -> list[int]:
    plain = [cell.lower().replace("_", "").replace("-", "").replace(" ", "") for cell in cells]
    by_name = [next((plain.index(name) for name in usual if name in plain), None) for usual in (USERS, ITEMS, STARS)]
    if all(place is None for place in by_name):
        return places
    chosen = [
        usual if place is None and usual not in by_name else place for place, usual in zip(by_name, places, strict=True)
    ]
    got = f"got {path} with the columns {', '.join(cells)}"
    checks.require(None not in chosen, f"{got}, need userId, itemId and rating among them; rename the columns")
    return chosen


def _ids(path: Path, column: Series, start: int) -> np.ndarray:
    """The ids as i64 (or u64), or as words if some are not integers, are too long, or begin with a zero."""
    if column.dtype.kind in "iu":
        return column.to_numpy()
    words = column.str.strip()
    absent = np.flatnonzero([is_missing(word) for word in words])
    got = f"got {path}, which is not a file of ratings: no id in line {start + absent[0] if absent.size else 0}; {FORM}"
    checks.require(absent.size == 0, got)
    # A column of integers that pandas once stored as floats, "7.0".
    words = words.str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)
    broken = np.flatnonzero(np.isfinite(numbers(words)) & ~words.str.fullmatch(r"-?\d+").to_numpy(bool))
    if broken.size:
        bad = f"the id {words.iloc[broken[0]]!r} in line {start + broken[0]}"
        raise checks.InputError(f"got {path}, which is not a file of ratings: {bad}; {FORM}")
    whole = words.str.fullmatch(r"-?(0|[1-9]\d{0,17})").all()
    return words.to_numpy(np.int64) if whole else words.to_numpy(str)


def _stars(path: Path, table: DataFrame, place: int, start: int) -> np.ndarray:
    stars = numbers(table[place].astype(str)).astype(np.float32)
    odd = np.flatnonzero(~np.isfinite(stars))
    cell = table[place].iloc[odd[0]] if odd.size else ""
    got = f"got {path}, which is not a file of ratings: the rating {cell!r} in line {start + odd[0] if odd.size else 0}"
    checks.require(odd.size == 0, f"{got}; {FORM}")
    return stars
