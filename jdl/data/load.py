"""Data sets by name, as NumPy arrays, each with a sentence about its source."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from jdl import checks
from jdl.data import generators
from jdl.data.dataset import Dataset
from jdl.data.readers.cache import cached
from jdl.data.readers.embedded import digits
from jdl.data.readers.files import digest, find, verify
from jdl.data.readers.from_tfds import from_tfds
from jdl.data.readers.source import Source
from jdl.data.readers.sources import FORMATS, SOURCES
from jdl.data.validate import validate

__all__ = ["absolute", "load", "names"]

# Other names of a format, and the format of a file extension.
ALSO = {"csv": "table", "tsv": "table", "tables": "table", "svmlight": "libsvm", "txt": "text", "image": "images"}
ENDINGS = {
    ".csv": "table",
    ".tsv": "table",
    ".data": "table",
    ".npz": "npz",
    ".zip": "images",
    ".txt": "text",
    ".json": "leaf",
    ".libsvm": "libsvm",
    ".svm": "libsvm",
}


def load(name: str, data_dir: str | Path | None = None, download: bool = False) -> Dataset:
    """The data set with a name.

    Only the named data set is read: if its files are missing, no other copy is used instead. Arrays read from files are
    cached in the user's cache directory (the environment variable JDL_DATA_CACHE sets another folder, or "off").

    Args:
      name: name of the data set; case, "-" and "_" do not matter. It is "digits", or a generator with its defaults (see
        `jdl.data.generators`); a data set in files, such as "mnist" or "cifar10" (all: `names()`); "tfds:mnist", from
        TensorFlow Datasets (see `from_tfds`); or a format and a path, such as "npz:my/arrays.npz", "table:my/rows.csv"
        or "images:my.zip".
      data_dir: folder of the data sets in files; None for the environment variable JDL_DATA_DIR.
      download: whether the network may be used, only for "tfds:..."; other files are never downloaded.

    Returns:
      The checked data set.

    Raises:
      InputError: if the name is unknown (the message lists similar names), or if files are missing (which, where jdl
        looked, and where to get them), damaged, or different from those published.

    >>> data = load("digits")
    >>> data.train_x.shape, data.source
    ((1437, 64), 'The test part of the UCI optical digits, 1,797 images of 8x8 pixels, as bundled with scikit-learn.')
    """
    checks.require(
        isinstance(name, str), f"got data set {name!r}, need its name, such as 'mnist' or 'npz:PATH'; try names()"
    )
    if ":" in name:
        kind, _, rest = name.partition(":")
        kind = ALSO.get(kind.lower()) or checks.known("data format", kind, ["tfds", *FORMATS])
        return from_tfds(rest, data_dir, download) if kind == "tfds" else _from_path(kind, rest)
    do = _prefixed(name)
    checks.require(do is None, f"got data set {name!r}, a file without its format, need FORMAT:PATH; try {do}")
    name = checks.known("data set", name, [*names(), "tfds:NAME", *(f"{kind}:PATH" for kind in FORMATS)])
    generated = _made()
    return generated[name]() if name in generated else _from_files(name, SOURCES[name], data_dir)


def _prefixed(name: str) -> str | None:
    """The name to write for an existing file that was named without its format; None otherwise."""
    path = Path(os.path.expanduser(name))
    if name in names() or not path.exists():
        return None
    endings = [ending.lower() for ending in path.suffixes if ending not in (".gz", ".bz2")]
    kind = ENDINGS.get(endings[-1] if endings else "")
    return f"{kind}:{name!s}" if kind else f"one of {', '.join(f'{format_name}:{name}' for format_name in FORMATS)}"


def absolute(name: str) -> str:
    """The same name with an absolute path, so that it is valid from every working directory.

    >>> absolute("mnist"), absolute("tfds:mnist"), absolute("npz:/data/a.npz")
    ('mnist', 'tfds:mnist', 'npz:/data/a.npz')
    """
    kind, colon, rest = name.partition(":")
    is_file = colon and ALSO.get(kind.lower(), kind.lower()) in FORMATS
    return f"{kind}:{checks.path(rest).absolute()}" if is_file else name


def names() -> list[str]:
    """All data sets that `load` knows by name."""
    return sorted({*_made(), *SOURCES})


def _made() -> dict[str, Callable[[], Dataset]]:
    """The data sets that need no file."""
    return {"digits": digits} | {name: getattr(generators, name) for name in generators.__all__}


def _from_files(name: str, source: Source, data_dir: str | Path | None) -> Dataset:
    paths = find(name, source, data_dir)
    checked = verify(name, source, paths)
    contents = [f"{path.name} {digest(path)}" for path in paths]  # `source` may state file names
    data = cached(name, contents, lambda: validate(source.read(*paths), paths[0]))
    verified = {0: "no checksum known", len(paths): "sha256 as published"}.get(checked, "sha256 of some as published")
    return data._replace(name=name, source=f"{data.source} Read from {paths[0].parent}; {verified}.")


def _from_path(kind: str, file: str) -> Dataset:
    path = Path(os.path.expanduser(file))
    checks.require(path.exists(), f"got {kind}:{path}, and no such file; name one that exists, from {Path.cwd()}")
    # Only LEAF's data may be a folder. Of any other folder the digest would read all contents.
    good = kind == "leaf" or not path.is_dir()
    checks.require(good, f"got {kind}:{path}, a folder, need a file; name one in it, or for images a zip of it")
    data = cached(f"{kind}:{path.name}", [digest(path)], lambda: validate(FORMATS[kind](path), path))
    return data._replace(source=f"{data.source} Read from {path}.")
