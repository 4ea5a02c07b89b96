"""LEAF's json as arrays: the files of a folder, the users of a file, the examples of a user."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jdl import checks

__all__ = ["examples", "files"]

PIXELS = 28 * 28


def files(path: Path) -> tuple[list[Path], list[Path]]:
    """The files to train on, and to test on (none where they are not kept apart).

    Raises:
      InputError: nothing there.
    """
    if path.is_file():
        return [path], []
    for base in (path, path / "data"):
        train, test, everything = (sorted((base / part).glob("*.json")) for part in ("train", "test", "all_data"))
        if train and test:
            return train, test
        if everything or (everything := sorted(base.glob("*.json"))):
            return everything, []
    raise checks.InputError(
        f"got {path}, need LEAF's json: a file, or a folder with train/*.json and test/*.json, with all_data/*.json "
        "or with *.json; make them with LEAF's preprocess.sh"
    )


def examples(paths: Sequence[Path], number: dict[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x[N, ...], y[N] and the owner of each, i32[N]; users that are new are given the next number.

    Raises:
      InputError: a file that is not LEAF's, or examples of several kinds; what is wrong and where.
    """
    xs, ys, owners = [], [], []
    for file in paths:
        for user, data in _users(file):
            x, y = _arrays(file, user, data)
            if len(x):
                xs.append(x)
                ys.append(y)
                owners.append(np.full(len(x), number.setdefault(user, len(number)), np.int32))
    kinds = {(x.shape[1:], x.dtype) for x in xs}
    checks.require(
        len(kinds) == 1,
        f"got examples of {len(kinds)} kinds in {paths[0].parent}, need one: images, features, or text of one length; "
        "keep the files of one kind there",
    )
    return np.concatenate(xs), np.concatenate(ys), np.concatenate(owners)


def _users(file: Path) -> list[tuple[str, dict[str, list]]]:
    """Each user of a file with its examples, after a look at whether the file is whole."""
    try:
        found = json.loads(file.read_bytes())
        users = [(str(user), found["user_data"][user]) for user in found["users"]]
        sizes = [(len(data["x"]), len(data["y"])) for _, data in users]
        said = found.get("num_samples", [size for size, _ in sizes])
        sound = all(x == y == int(count) for (x, y), count in zip(sizes, said, strict=True))
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
    """One user's examples: u8[n, 28, 28, 1] or f32[n, d] and classes; or codes u32[n, L + 1] and the last of them."""
    x, y = data["x"], data["y"]
    try:
        if x and isinstance(x[0], str):
            codes = [np.frombuffer("".join(part).encode("utf-32-le"), "<u4") for part in (x, y)]
            whole = np.concatenate([part.reshape(len(x), -1) for part in codes], axis=1)
            if len(set(map(len, x))) != 1 or set(map(len, y)) != {1}:
                raise ValueError("texts of different lengths, or not followed by one character")
            return whole, codes[1].astype(np.int32)
        rows, labels = np.asarray(x, np.float32), np.asarray(y, np.float64)
        if x and (rows.ndim != 2 or labels.ndim != 1 or bool(np.any(labels % 1))):
            raise ValueError("not one list of numbers and one class for each example")
    except (ValueError, TypeError, UnicodeEncodeError) as error:
        raise checks.InputError(
            f"got {file} with examples of user {user!r} that are not read: {error}; need lists of numbers with a "
            "class, or texts of one length with the character that follows"
        ) from error
    if rows.ndim == 2 and rows.shape[1] == PIXELS:
        checks.require(
            0 <= rows.min() and rows.max() <= 1,
            f"got {file} with pixels from {rows.min():g} to {rows.max():g}, need 0 (black) to 1 (white); make it again "
            "with LEAF's preprocess.sh",
        )
        rows = np.rint(255 * rows).astype(np.uint8).reshape(-1, 28, 28, 1)
    return rows, labels.astype(np.int32)
