"""From the name of a data set to its files: the data directory, the file names, the checksums."""

from __future__ import annotations

import bz2
import functools
import gzip
import hashlib
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from jdl import checks
from jdl.data.readers.source import Source

__all__ = ["FLAGS", "data_directory", "digest", "find", "unpacked", "verify"]

FLAGS = "--data-dir, data_dir= or the environment variable JDL_DATA_DIR"

# A file may be unpacked, or compressed with one of these extensions.
_PACKINGS = ("", ".gz", ".bz2")
_OPENERS = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress}


def data_directory(data_dir: str | Path | None = None) -> Path | None:
    """The folder of data sets: `data_dir`, otherwise the environment variable JDL_DATA_DIR, otherwise None.

    Raises:
      InputError: if that folder does not exist.
    """
    named = data_dir or os.environ.get("JDL_DATA_DIR", "")
    if not named:
        return None
    place, setting = Path(os.path.expanduser(named)), "data_dir" if data_dir else "JDL_DATA_DIR"
    checks.require(place.is_dir(), f"got {setting}={str(named)!r}, which is not a folder; name that of your data sets")
    return place


def find(name: str, source: Source, data_dir: str | Path | None = None) -> list[Path]:
    """The files of a data set, in the order of `source.files`, all from one folder.

    It searches in this order: the folders below the data directory with the name of the data set or one of
    `source.folders`, then the data directory itself. A file may be compressed (.gz, .bz2) or not.

    With `source.common_names` (MNIST and Fashion-MNIST share their file names) a file without a published checksum,
    such as an unpacked one, is accepted only from a folder with such a name.

    Raises:
      InputError: if there is no data directory, or no folder holds all files; the message lists the missing files,
        their accepted names, the folders searched, where to get the files, and how to set the data directory.
    """
    directory = data_directory(data_dir)
    get = f"get {'it' if len(source.files) == 1 else 'them'} from {source.where}"
    if directory is None:
        raise checks.InputError(
            f"got data set {name!r} and no data directory, need {_said(source.files)}; {get}, then name the folder by "
            f"{FLAGS}"
        )
    folders = [directory / one for one in dict.fromkeys((name, *source.folders))]
    here = directory.absolute().parts
    inside = any(here[-len(parts) :] == parts for parts in (Path(one).parts for one in (name, *source.folders)))
    best, doubtful = None, None
    for folder in (*folders, directory):
        named = inside or folder != directory
        paths = [_first(folder, one, source, named) for one in source.files]
        if None not in paths:
            return paths
        if not named and None not in (unnamed := [_first(folder, one, source, True) for one in source.files]):
            doubtful = unnamed[0]
        if best is None or paths.count(None) < best.count(None):
            best = paths
    missing = [names for names, path in zip(source.files, best, strict=True) if path is None]
    looked, hint = ", ".join(map(str, (*folders, directory))), ""
    if doubtful is not None:
        hint = f"; {doubtful} may be another data set's file of the same name: move it into {directory / name}"
    raise checks.InputError(
        f"got data set {name!r}, need {_said(missing)}, found in none of {looked}; {get}, then name the folder by "
        f"{FLAGS}{hint}"
    )


def _said(files: Sequence[tuple[str, ...]]) -> str:
    """The files of a data set by name, with alternative names in brackets."""
    return ", ".join(one[0] + (f" (or {', '.join(one[1:])})" if len(one) > 1 else "") for one in files)


def _first(folder: Path, names: tuple[str, ...], source: Source, named: bool) -> Path | None:
    """The first of a file's names that exists in `folder` and can be accepted from there."""
    for usual in names:
        plain = usual.removesuffix(".gz")
        for name in dict.fromkeys((usual, *(plain + packing for packing in _PACKINGS))):
            path = folder / name
            there = path.is_file() or (source.or_folders and path.is_dir() and any(path.iterdir()))
            if there and (named or not source.common_names or name in source.sha256):
                return path
    return None


@functools.lru_cache(maxsize=256)
def _digest(path: Path, *about: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(path: Path) -> str:
    """sha256 of a file, or of a folder's file names and contents; an unchanged file is read once per process."""
    if path.is_dir():
        inside = sorted(one for one in path.rglob("*") if one.is_file())
        lines = (f"{one.relative_to(path).as_posix()} {digest(one)}\n" for one in inside)
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    about = path.stat()
    # A copy may keep the modification time of another file (cp -p, rsync -t, tar), but not its change time.
    return _digest(path.absolute(), about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)


def verify(name: str, source: Source, paths: list[Path]) -> int:
    """The number of files with a published checksum, after a comparison of each with it.

    Raises:
      InputError: if a file differs from the published one; nothing is read from it.
    """
    published = [(path, source.sha256[path.name]) for path in paths if path.name in source.sha256]
    for path, expected in published:
        got = digest(path)
        checks.require(
            got == expected,
            f"got {path} with sha256 {got}, need {expected} for data set {name!r}: the file is damaged or another's of "
            f"the same name; delete or move it and get it again from {source.where}",
        )
    return len(published)


def unpacked(path: Path, content: bytes | None = None) -> bytes:
    """The bytes of a file (or of `content`, read from it), decompressed if they are compressed by gzip or bzip2.

    Raises:
      InputError: if the compressed file is damaged, or is a folder.
    """
    checks.require(content is not None or not path.is_dir(), f"got {path}, a folder, need the file of that name in it")
    content = path.read_bytes() if content is None else content
    for magic, opener in _OPENERS.items():
        if content.startswith(magic):
            try:
                return opener(content)
            except (OSError, EOFError, ValueError, zlib.error) as error:
                raise checks.InputError(f"got {path}, which does not unpack ({error}); get it again") from error
    return content
