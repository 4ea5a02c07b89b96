"""MovieLens, ratings of films by users; the ratings of a user are the data of a peer."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from jdl.data.dataset import Dataset
from jdl.data.held_out import held_out
from jdl.data.readers.ratings import ratings
from jdl.data.readers.source import Source

__all__ = ["SOURCES", "read", "read_any"]


def read(path: Path, name: str | None = None, seed: int = 0) -> Dataset:
    """Pairs (user, item), i32[N, 2], and their ratings, f32[N], in stars; a fifth of each user's is held out.

    It reads 100K (u.data: user, item, rating, time, separated by tabs), 1M and 10M (ratings.dat: the same with ::),
    20M, 25M, 32M and latest (ratings.csv: the same with commas, below a line of names), and other files of ratings, see
    `ratings.ratings`. Users and items, including those that only occur in the test part, are numbered from 0 in the
    order of their ids: `truth` has the ids as "users" and "items". The owner of a rating is its user.

    Args:
      path: file of ratings.
      name: name of the data set; by default that of the file.
      seed: seed of the choice of test ratings.

    Raises:
      InputError: if the file has another format.

    References:
      Harper and Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015.
    """
    table = ratings(path)
    (users, user), (items, item) = (np.unique(ids, return_inverse=True) for ids in table[:2])
    pairs, stars = np.stack([user, item], axis=1).astype(np.int32), table[2]
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
