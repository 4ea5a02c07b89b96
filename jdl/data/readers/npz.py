"""Arrays in npz files: any file with the usual array names, and the numerals of CMATERdb."""

from __future__ import annotations

import functools
import zipfile
import zlib
from pathlib import Path
from types import MappingProxyType

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.readers.arrays import from_arrays, targets
from jdl.data.readers.source import Source

__all__ = ["SOURCES", "read_any"]


def read_any(path: Path) -> Dataset:
    """A data set from the arrays in one npz file.

    The file has `train_x`, `train_y`, `test_x`, `test_y`; or `x_train`, `y_train`, `x_test`, `y_test`, as Keras names
    them; or `x` and `y`, of which a fifth is held out with a fixed seed. It may have `train_owner` (i32[N], only with a
    test set of its own), `test_owner` (i32[T], -1 for nobody) and `num_classes`.

    x: bytes, and integers up to 255 in images, are pixels, u8[N, H, W, C] or in rows u8[N, d]; channels on the first
    axis are moved to the last. Other integers on two axes, with a y of the same shape, are tokens, i32[N, T].
    Everything else becomes float32; a single axis [N] becomes one feature [N, 1] (see `pixels.as_pixels`). y: integers
    are classes. There are `num_classes` of them, or one more than the largest (for tokens, of x and y); if they count
    from 1 they are renumbered from 0. Real numbers are targets, with num_classes = 0.

    Raises:
      InputError: if it is not an npz file, has other array names, or its arrays do not fit together.
    """
    return from_arrays(_arrays(path), path, path.stem, f"Arrays in {path.name}")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as inside:
            arrays = {name: inside[name] for name in inside.files}
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                raise ValueError("a file in it is not an array")
            return arrays
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise checks.InputError(
            f"got {path}, which is not an npz file of plain arrays ({error}); save it by numpy.savez"
        ) from error


def _cmaterdb(train: Path, test: Path, script: str) -> Dataset:
    parts = []
    for path in (train, test):
        arrays = _arrays(path)
        good = {"images", "labels"} <= set(arrays) and arrays["images"].shape[1:] == (32, 32, 3)
        checks.require(good, f"got {path}, need images of [N, 32, 32, 3] and labels; get it again")
        parts += [arrays["images"], targets(arrays["labels"], path)]
    return Dataset(
        *parts,
        num_classes=10,
        name=f"cmaterdb_{script}",
        source=f"CMATERdb, handwritten {script.title()} numerals of 32x32 pixels (Das et al., 2012).",
    )


def _source(script: str, train: str, test: str) -> Source:
    files = ("training-images.npz", "testing-images.npz")
    return Source(
        files=tuple((file,) for file in files),
        read=functools.partial(_cmaterdb, script=script),
        where=f"https://github.com/prabhuomkar/CMATERdb, folder datasets (or ask for 'tfds:cmaterdb/{script}')",
        folders=(f"cmaterdb/{script}", f"{script}-numerals", script),
        sha256=MappingProxyType(dict(zip(files, (train, test), strict=True))),
        common_names=True,
    )


# Checksums: url_checksums/cmaterdb.txt of tensorflow-datasets 4.9.10.
SOURCES: dict[str, Source] = {
    "cmaterdb_bangla": _source(
        "bangla",
        "502957392649eecad013ac425b54fecc6d06dbc06bc647a46b0cfc6b96e2c130",
        "d1c9780ba5decc135175a021bd29961cd7316db009f428d8c04b84ba36a6d67a",
    ),
    "cmaterdb_devanagari": _source(
        "devanagari",
        "e690d54f7c82e12e3c5ba99221672dc3fc7b6ad493e495077f7e26332558ae86",
        "1636fa10484100486b96a3e938cee4c6adeddcfb1e91c9dbb5166fb9a260216d",
    ),
    "cmaterdb_telugu": _source(
        "telugu",
        "32f9b5b135c8084f0cf646bc6a70358767653b1f8c6d19bd64ad5d5cbf1d9467",
        "182806a45091da53b4ad98d4425130c0ebbf9bc1bf50fb58b3e5ea65ee33c7c6",
    ),
}
