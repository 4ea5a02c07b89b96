"""Ratings of films by users, MovieLens: a user's ratings are what a peer would have."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.files import unpacked
from jdl.data.held_out import held_out
from jdl.data.source import Source

__all__ = ["SOURCES", "read", "read_any"]


def read(path: Path, name: str | None = None, seed: int = 0) -> Dataset:
    """Pairs (user, item), i32[N, 2], and their ratings, f32[N], in stars; a fifth of each user's is held out.

    Of 100K (u.data: user, item, rating, time, with tabs between), 1M and 10M (ratings.dat: the same with ::), 20M, 25M,
    32M and latest (ratings.csv: the same with commas, below a line of names). Users and items are numbered from 0 in
    the order of their ids, those of the test alone included: `truth` has the ids as "users" and "items". The owner of a
    rating is its user.

    Args:
      path: the file of ratings.
      name: of the data set; that of the file by default.
      seed: names what is held out.

    Raises:
      InputError: a file in another format.

    References:
      Harper and Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015.
    """
    import pandas

    content = unpacked(path).removeprefix(b"\xef\xbb\xbf")  # a mark that Windows puts before text
    first = content[: content.find(b"\n") + 1] or content
    # Split at each colon, "user::item::rating::time" has empty columns between: many times faster than a pattern.
    apart, columns = (":", [0, 2, 4]) if b"::" in first else ("\t" if b"\t" in first else ",", [0, 1, 2])
    header = 0 if first.lstrip(b'"')[:1].isalpha() else None
    try:
        table = pandas.read_csv(io.BytesIO(content), sep=apart, header=header, usecols=columns).to_numpy(np.float64)
    except ValueError as error:  # pandas' own are kinds of it
        table = np.full((1, 3), np.nan)
        reason = f" ({error})"
    else:
        reason = ""
    sound = table.size > 0 and bool(np.isfinite(table).all()) and bool(np.all(table[:, :2] % 1 == 0))
    checks.require(
        sound,
        f"got {path}, which is no file of ratings{reason}; need lines of user, item, rating and time, apart by tabs "
        "(u.data), :: (ratings.dat) or commas (ratings.csv)",
    )
    users, user = np.unique(table[:, 0].astype(np.int64), return_inverse=True)
    items, item = np.unique(table[:, 1].astype(np.int64), return_inverse=True)
    pairs, stars = np.stack([user, item], axis=1).astype(np.int32), table[:, 2].astype(np.float32)
    held = held_out(user, seed=seed)
    return Dataset(
        *(pairs[~held], stars[~held], pairs[held], stars[held]),
        num_classes=0,
        name=name or path.name.split(".")[0],
        source=f"MovieLens: {len(stars):,} ratings in {path.name}, a fifth of each user's held out.",
        train_owner=pairs[~held, 0],
        truth={"users": users, "items": items},
    )


def read_any(path: Path) -> Dataset:
    """Any of MovieLens' files of ratings."""
    return read(path)


_PAGE = "https://grouplens.org/datasets/movielens/"

SOURCES = {
    "movielens_100k": Source((("u.data",),), partial(read, name="movielens_100k"), _PAGE, ("ml-100k",)),
    "movielens_1m": Source(
        (("ratings.dat",),), partial(read, name="movielens_1m"), _PAGE, ("ml-1m",), common_names=True
    ),
}
