"""A cache of arrays as npz: decoding 60,000 images takes ten seconds, loading them from it less than one."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from jdl.data.dataset import Dataset

__all__ = ["cache_directory", "cached"]

_ARRAYS = ("train_x", "train_y", "test_x", "test_y", "train_owner", "test_owner")

LONGEST = 200  # the most characters of a data set's name in a file name, which file systems limit to 255


def cache_directory() -> Path | None:
    """The folder of the cache: `JDL_DATA_CACHE` (None if "off"), otherwise `data` in jdl's part of the user's cache.

    It is also None for a user without a home directory, as in a container in which the user has no name.
    """
    place = os.environ.get("JDL_DATA_CACHE", "")
    if place.lower() in ("off", "0", "false", "no"):
        return None
    try:
        return Path(place).expanduser() if place else Path(platformdirs.user_cache_dir("jdl")) / "data"
    except RuntimeError:  # the user has no home directory
        return None


def cached(name: str, contents: Iterable[str], read: Callable[[], Dataset]) -> Dataset:
    """`read()`, or its earlier result for the same name and contents.

    There is one file per name, for the latest contents. The key includes the source code of jdl's readers, so that a
    corrected reader reads again. If anything is wrong with a cached file, the source is read again and replaces it. A
    cache that cannot be read or written is ignored.

    Args:
      name: name of the data set.
      contents: identification of the contents, such as checksums.
      read: function that reads the data set from its source.
    """
    directory = cache_directory()
    if directory is None:
        return read()
    key = hashlib.sha256("\n".join((name, _readers(), *contents)).encode()).hexdigest()[:20]
    plain = re.sub(r"[^a-zA-Z0-9_.-]", "+", name)[:LONGEST]
    path = directory / f"{plain}@{key}.npz"
    # A missing file, missing permission, a broken zip, a missing array, an old format: the answer is the same for all.
    with contextlib.suppress(Exception):
        return _load(path)
    data = read()
    with contextlib.suppress(OSError):
        _save(path, data)
        for older in directory.glob(f"{plain}@*.npz"):
            if older != path:
                older.unlink()
    return data


@functools.cache
def _readers() -> str:
    """A digest of the modules that read data."""
    total = hashlib.sha256()
    here = Path(__file__).parent
    for module in sorted([*here.parent.glob("*.py"), *here.glob("*.py")]):
        total.update(module.read_bytes())
    return total.hexdigest()


def _load(path: Path) -> Dataset:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
        arrays = {name: kept[name] if name in kept.files else None for name in _ARRAYS}
        rest = json.loads(str(kept["rest"]))
        truth = rest.pop("truth")
        if truth is not None:
            truth |= {name.removeprefix("truth."): kept[name] for name in kept.files if name.startswith("truth.")}
    return Dataset(**arrays, **rest, truth=truth)


def _save(path: Path, data: Dataset) -> None:
    """Write under another name, then rename: a reader sees a complete file or none."""
    truth: dict[str, Any] = dict(data.truth or {})
    inside = {name: value for name, value in truth.items() if isinstance(value, np.ndarray)}
    rest = {
        "num_classes": int(data.num_classes),
        "name": data.name,
        "source": data.source,
        "truth": None if data.truth is None else {name: value for name, value in truth.items() if name not in inside},
    }
    try:
        text = json.dumps(rest)
        keepable = json.loads(text) == rest and not any(array.dtype.hasobject for array in inside.values())
    except (TypeError, ValueError):
        keepable = False
    if not keepable:  # a truth that JSON does not reproduce exactly
        return
    arrays = {name: array for name in _ARRAYS if (array := getattr(data, name)) is not None}
    arrays |= {f"truth.{name}": array for name, array in inside.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".npz")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, rest=np.array(text), **arrays)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
