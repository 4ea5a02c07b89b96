"""CIFAR-10 and CIFAR-100: the python and the binary version, in an archive or unpacked."""

from __future__ import annotations

import functools
import tarfile
import zlib
from pathlib import Path
from types import MappingProxyType

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.readers.pickled import restricted_unpickle
from jdl.data.readers.source import Source

__all__ = ["SOURCES"]

_PIXELS = 3 * 32 * 32
_COARSE = 20  # the number of coarse classes of CIFAR-100
_BATCHES = {10: tuple(f"data_batch_{i}" for i in range(1, 6)), 100: ("train",)}
_TEST = {10: "test_batch", 100: "test"}


def _python(content: bytes, path: Path, classes: int) -> tuple[np.ndarray, ...]:
    """The images and labels of one batch, and the coarse labels for CIFAR-100."""
    inside = restricted_unpickle(content, path)
    keys = (b"labels",) if classes == 10 else (b"fine_labels", b"coarse_labels")
    missing = [key.decode() for key in (b"data", *keys) if key not in inside]
    checks.require(not missing, f"got {path} without {missing}, need a batch of CIFAR-{classes}; get it again")
    try:
        data, *labels = (np.asarray(inside[key]) for key in (b"data", *keys))
    except ValueError as error:  # nested lists of different lengths
        raise checks.InputError(f"got {path} with lists that are not arrays ({error}); get it again") from error
    good = data.dtype == np.uint8 and data.shape[1:] == (_PIXELS,)
    good = good and all(y.shape == data.shape[:1] and y.dtype.kind in "iu" for y in labels)
    need = f"need u8[N, {_PIXELS}] and N labels, whole numbers; get it again"
    checks.require(good, f"got {path} with data of {data.shape}, {need}")
    return data, *labels


def _binary(content: bytes, path: Path, classes: int) -> tuple[np.ndarray, ...]:
    """The same as `_python`, from rows of one label (CIFAR-100: the coarse and the fine one) followed by the pixels."""
    labels = 1 if classes == 10 else 2
    checks.require(
        len(content) > 0 and len(content) % (labels + _PIXELS) == 0,
        f"got {path} with {len(content):,} bytes, need rows of {labels + _PIXELS}: the file is cut off; get it again",
    )
    rows = np.frombuffer(content, np.uint8).reshape(-1, labels + _PIXELS)
    return rows[:, labels:], *(rows[:, i] for i in reversed(range(labels)))


def _in_range(batch: tuple[np.ndarray, ...], path: Path, classes: int) -> tuple[np.ndarray, ...]:
    """The batch itself, after a check that its labels and coarse labels are in range."""
    for labels, number in zip(batch[1:], (classes, _COARSE), strict=False):
        wrong = labels[(labels < 0) | (labels >= number)].tolist()
        got = f"got {path} with the label {wrong[0] if wrong else None}, need them from 0 to {number - 1}"
        checks.require(not wrong, f"{got}; get it again")
    return batch


def _contents(path: Path, names: set[str]) -> dict[str, bytes]:
    """The files with these names in a tar archive or a folder."""
    if path.is_dir():
        return {one.name: one.read_bytes() for one in path.iterdir() if one.name in names}
    try:
        with tarfile.open(path) as archive:
            members = [one for one in archive if one.isfile() and one.name.rpartition("/")[2] in names]
            return {one.name.rpartition("/")[2]: archive.extractfile(one).read() for one in members}
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        reason = str(error).partition("\n")[0]
        raise checks.InputError(f"got {path}, which is not a tar archive ({reason}); get it again") from error


def _read(path: Path, classes: int) -> Dataset:
    train, test = _BATCHES[classes], _TEST[classes]
    plain = (*train, test)
    contents = _contents(path, {*plain, *(f"{name}.bin" for name in plain)})
    packed = any(f"{name}.bin" in contents for name in plain) and not any(name in contents for name in plain)
    form, suffix = (_binary, ".bin") if packed else (_python, "")
    missing = [name + suffix for name in plain if name + suffix not in contents]
    checks.require(not missing, f"got {path} without {', '.join(missing)}, need all of CIFAR-{classes}; get it again")
    files = {path / (name + suffix): contents[name + suffix] for name in plain}
    batches = [_in_range(form(content, file, classes), file, classes) for file, content in files.items()]
    parts = [[np.concatenate(arrays) for arrays in zip(*some, strict=True)] for some in (batches[:-1], batches[-1:])]
    (train_x, train_y, *train_coarse), (test_x, test_y, *test_coarse) = parts
    coarse = {"train_coarse": train_coarse, "test_coarse": test_coarse}
    return Dataset(
        _images(train_x),
        train_y.astype(np.int32),
        _images(test_x),
        test_y.astype(np.int32),
        num_classes=classes,
        name=f"cifar{classes}",
        source=f"CIFAR-{classes}, photographs of 32x32 pixels (Krizhevsky, 2009).",
        truth={name: labels[0].astype(np.int32) for name, labels in coarse.items()} if train_coarse else None,
    )


def _images(rows: np.ndarray) -> np.ndarray:
    """u8[N, 32, 32, 3] from rows that hold all red values, then all green, then all blue."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _source(classes: int, python: str, binary: str, unpacked: tuple[str, str]) -> Source:
    archives = (f"cifar-{classes}-python.tar.gz", f"cifar-{classes}-binary.tar.gz")
    return Source(
        files=((*archives, *unpacked),),
        read=functools.partial(_read, classes=classes),
        where=f"https://www.cs.toronto.edu/~kriz/cifar.html (or ask for 'tfds:cifar{classes}')",
        folders=(f"cifar-{classes}",),
        sha256=MappingProxyType(dict(zip(archives, (python, binary), strict=True))),
        or_folders=True,
    )


# Checksums of the binary versions: url_checksums of tensorflow-datasets 4.9.10; of the python versions: file_hash in
# keras/datasets/cifar10.py and cifar100.py. `truth` of CIFAR-100 holds the coarse labels, of 20 classes.
SOURCES: dict[str, Source] = {
    "cifar10": _source(
        10,
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ("cifar-10-batches-py", "cifar-10-batches-bin"),
    ),
    "cifar100": _source(
        100,
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ("cifar-100-python", "cifar-100-binary"),
    ),
}
