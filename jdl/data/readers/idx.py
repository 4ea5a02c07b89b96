"""IDX files: the format of MNIST and related data sets."""

from __future__ import annotations

import functools
import math
import struct
import zipfile
import zlib
from pathlib import Path
from types import MappingProxyType

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.readers.files import unpacked
from jdl.data.readers.source import Source

__all__ = ["SOURCES", "read_idx"]

# The third byte of the file states the type of the numbers, which are big-endian.
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path, content: bytes | None = None) -> np.ndarray:
    """The array in an IDX file, compressed or not, in the machine's byte order.

    Args:
      path: path of the file.
      content: bytes of the file, if it is not a file of its own; None to read `path`.

    Raises:
      InputError: if it is not an IDX file, or is truncated or too long.

    References:
      Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", 1998: "the IDX file format".
    """
    content = unpacked(path, content)
    magic, dimensions = content[:4], content[3] if len(content) > 3 else 0
    checks.require(
        magic[:2] == b"\0\0" and dimensions > 0 and magic[2] in _TYPES,
        f"got {path}, which starts with {magic.hex() or 'nothing'}, need an IDX file (0000, a type, the dimensions); "
        "get it again",
    )
    dtype, start = np.dtype(_TYPES[magic[2]]), 4 + 4 * dimensions
    header = content[4:start]
    shape = struct.unpack(f">{len(header) // 4}I", header[: len(header) // 4 * 4])
    need = start + dtype.itemsize * math.prod(shape)
    checks.require(
        len(shape) == dimensions and len(content) == need,
        f"got {path} with {len(content):,} bytes, need {need:,} for an array of {shape}: the file is cut off or is "
        "another; get it again",
    )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _read(*paths: Path, summary: str, classes: int, members: tuple[str, ...] = (), **shape: int) -> Dataset:
    """The data set from training and test images and labels; `members` names these four if they are in one zip."""
    arrays = [_one(path, member) for path, member in zip(paths, members or [""] * 4, strict=True)]
    train_x, train_y, test_x, test_y = arrays
    for images, labels, path in ((train_x, train_y, paths[0]), (test_x, test_y, paths[2])):
        checks.require(
            images.ndim == 3
            and images.dtype == np.uint8
            and labels.shape == images.shape[:1]
            and labels.dtype.kind in "iu",
            f"got {path} with images of {images.shape} and labels of {labels.shape} and {labels.dtype}, need [N, H, W] "
            "of one byte and [N] whole numbers; get the files again, all four from one place",
        )
    return Dataset(
        *_oriented(train_x, train_y, **shape),
        *_oriented(test_x, test_y, **shape),
        num_classes=classes,
        name="idx",
        source=summary,
    )


def _oriented(images: np.ndarray, labels: np.ndarray, transposed: int = 0, first: int = 0):
    """Upright images u8[N, H, W, 1] and labels i32[N] numbered from 0."""
    images = np.ascontiguousarray(images.transpose(0, 2, 1)) if transposed else images
    return images[..., None], labels.astype(np.int32) - first


def _one(path: Path, member: str) -> np.ndarray:
    if not zipfile.is_zipfile(path):
        return read_idx(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.rpartition("/")[2].removesuffix(".gz") == member]
            checks.require(bool(names), f"got {path} without {member}.gz, need the zip as published; get it again")
            content = archive.read(names[0])
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise checks.InputError(f"got {path}, a damaged zip ({error}); get it again") from error
    return read_idx(path / names[0], content)


_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _like_mnist(summary: str, where: str, folders: tuple[str, ...], sha256: tuple[str, str, str, str]) -> Source:
    """Four files under the names of MNIST, or with a dot, as some programs unpack them."""
    return Source(
        files=tuple((f"{name}.gz", name.replace("-idx", ".idx")) for name in _FILES),
        read=functools.partial(_read, summary=summary, classes=10),
        where=where,
        folders=folders,
        sha256=MappingProxyType({f"{name}.gz": one for name, one in zip(_FILES, sha256, strict=True)}),
        common_names=True,
    )


def _emnist(split: str, classes: int, first: int = 0) -> Source:
    """One of EMNIST's six data sets: four files, or the zip of all six. Its images are transposed."""
    parts = ("train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1")
    members = tuple(f"emnist-{split}-{part}-ubyte" for part in parts)
    summary = f"EMNIST {split}, handwritten characters of NIST's Special Database 19 (Cohen et al., 2017), upright."
    return Source(
        files=tuple((f"{member}.gz", "gzip.zip") for member in members),
        read=functools.partial(_read, summary=summary, classes=classes, members=members, transposed=1, first=first),
        where=f"https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip (or ask for 'tfds:emnist/{split}')",
        folders=("emnist", "emnist/gzip", "EMNIST", "EMNIST/raw", "gzip"),
        sha256=MappingProxyType({"gzip.zip": "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"}),
    )


# Checksums: url_checksums/{mnist,fashion_mnist,kmnist,emnist}.txt of tensorflow-datasets 4.9.10.
SOURCES: dict[str, Source] = {
    "mnist": _like_mnist(
        "MNIST, handwritten digits (LeCun, Cortes, Burges, 1998), from IDX files.",
        "https://storage.googleapis.com/cvdf-datasets/mnist/ (or ask for 'tfds:mnist')",
        ("MNIST", "MNIST/raw"),
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion_mnist": _like_mnist(
        "Fashion-MNIST, articles of clothing (Xiao, Rasul, Vollgraf, 2017), from IDX files.",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/ (or ask for 'tfds:fashion_mnist')",
        ("fashion-mnist", "FashionMNIST", "FashionMNIST/raw"),
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    "kmnist": _like_mnist(
        "KMNIST, cursive Japanese characters (Clanuwat et al., 2018), from IDX files.",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/ (or ask for 'tfds:kmnist')",
        ("KMNIST", "KMNIST/raw"),
        (
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
    "emnist_balanced": _emnist("balanced", 47),
    "emnist_byclass": _emnist("byclass", 62),
    "emnist_bymerge": _emnist("bymerge", 47),
    "emnist_digits": _emnist("digits", 10),
    "emnist_letters": _emnist("letters", 26, first=1),
    "emnist_mnist": _emnist("mnist", 10),
}
