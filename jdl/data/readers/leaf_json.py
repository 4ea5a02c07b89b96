"""LEAF's json as arrays: the files of a folder, the users of a file, the examples of a user."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jdl import checks
from jdl.data.readers.files import unpacked

__all__ = ["examples", "files"]

PIXELS = 28 * 28
# The tolerance of a grey level, a multiple of 1/255, in text of few digits.
LEVEL = 0.06


def files(path: Path) -> tuple[list[Path], list[Path]]:
    """The training files and the test files (none if there is no separate test part).

    Raises:
      InputError: if there is no file.
    """
    if path.is_file():
        return [path], []
    for base in (path, path / "data"):
        train, test, everything = (_json_in(base / part) for part in ("train", "test", "all_data"))
        if train and test:
            return train, test
        if everything or (everything := _json_in(base)):
            return everything, []
    raise checks.InputError(
        f"got {path}, need LEAF's json: a file, or a folder with train/*.json and test/*.json, with all_data/*.json "
        "or with *.json; make them with LEAF's preprocess.sh"
    )


def _json_in(folder: Path) -> list[Path]:
    """Files of json, compressed or not, without hidden files such as the notes that a Mac adds to a zip."""
    every = sorted(path for ending in ("", ".gz", ".bz2") for path in folder.glob(f"*.json{ending}"))
    return [path for path in every if not path.name.startswith(".")]


def examples(paths: Sequence[Path], number: dict[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """x[N, ...], y[N] and the owner of each example, i32[N]; None if no user has any.

    New users receive the next number. 784 numbers are images of 28x28: u8[N, 28, 28, 1] if all are grey levels, from 0
    to 1 or from 0 to 255, otherwise f32.

    Raises:
      InputError: if a file is not LEAF's, or examples are of several kinds; the message states what is wrong and where.
    """
    xs, ys, owners = [], [], []
    for file in paths:
        for user, data in _users(file):
            x, y = _arrays(file, user, data)
            if len(x):
                xs.append(x)
                ys.append(y)
                owners.append(np.full(len(x), number.setdefault(user, len(number)), np.int32))
    if not xs:
        return None
    xs = _images(xs) if xs[0].shape[1:] == (28, 28, 1) else xs
    kinds = {(x.shape[1:], x.dtype) for x in xs}
    checks.require(
        len(kinds) == 1,
        f"got examples of {len(kinds)} kinds in {paths[0].parent}, need one: images, features, or text of one length; "
        "keep the files of one kind there",
    )
    return np.concatenate(xs), np.concatenate(ys), np.concatenate(owners)


def _users(file: Path) -> list[tuple[str, dict[str, list]]]:
    """Each user of a file with its examples, after a check that the file is complete."""
    try:
        content = json.loads(unpacked(file))
        names = content.get("users", list(content["user_data"]))
        counts = content.get("num_samples", [len(content["user_data"][user]["x"]) for user in names])
        number_of = dict(zip(names, counts, strict=True))  # each user once, although some files list a user twice
        users = [(str(user), content["user_data"][user]) for user in number_of]
        sound = all(
            len(data["x"]) == len(data["y"]) == int(count)
            for (_, data), count in zip(users, number_of.values(), strict=True)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise checks.InputError(
            f"got {file}, which is not LEAF's json ({type(error).__name__}: {error}); need users, num_samples and "
            "user_data with x and y of each user; make it again with LEAF's preprocess.sh"
        ) from error
    checks.require(
        sound,
        f"got {file} whose num_samples, x and y of a user differ in length; it is cut short or edited, make it again",
    )
    return users


def _arrays(file: Path, user: str, data: dict[str, list]) -> tuple[np.ndarray, np.ndarray]:
    """The examples of one user: images [n, 28, 28, 1] or f32[n, d] and classes; or codes u32[n, L + 1] and the last.

    Images are u8 if all numbers are grey levels from 0 to 1, otherwise f32 with the numbers unchanged.
    """
    x, y = data["x"], data["y"]
    try:
        if x and isinstance(x[0], str):
            codes = [np.frombuffer("".join(part).encode("utf-32-le"), "<u4") for part in (x, y)]
            whole = np.concatenate([part.reshape(len(x), -1) for part in codes], axis=1)
            if len(set(map(len, x))) != 1 or set(map(len, y)) != {1}:
                raise ValueError("texts of different lengths, or not followed by one character")
            return whole, codes[1].astype(np.int32)
        rows, labels = np.asarray(x, np.float32), np.asarray(y, np.float64)
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if x and (rows.ndim not in (2, 3, 4) or labels.ndim != 1 or bool(np.any(labels % 1 != 0))):
            raise ValueError("not one list of numbers and one class for each example")
    except (ValueError, TypeError, UnicodeEncodeError) as error:
        raise checks.InputError(
            f"got {file} with examples of user {user!r} that are not read: {error}; need lists of numbers with a "
            "class, or texts of one length with the character that follows"
        ) from error
    if x and rows[0].size == PIXELS:
        levels = np.rint(255 * rows)
        gray = bool(np.all((rows >= 0) & (rows <= 1) & (np.abs(255 * rows - levels) < LEVEL)))
        rows = (levels.astype(np.uint8) if gray else rows).reshape(-1, 28, 28, 1)
    elif rows.ndim == 3:
        rows = rows[..., None]
    return rows, labels.astype(np.int32)


def _images(xs: list[np.ndarray]) -> list[np.ndarray]:
    """The images of all users in one type: u8 if all are grey levels, otherwise f32."""
    if all(x.dtype == np.uint8 for x in xs):
        return xs
    # A user with only zeros and ones has grey levels on either scale.
    bytes_ = all(
        bool(np.all(np.isin(x, (0, 255))))
        if x.dtype == np.uint8
        else bool(np.all((x % 1 == 0) & (x >= 0) & (x <= 255)))
        for x in xs
    )
    if bytes_:
        return [x // 255 if x.dtype == np.uint8 else x.astype(np.uint8) for x in xs]
    return [x / np.float32(255) if x.dtype == np.uint8 else x for x in xs]
