"""A data set that lies in files: which, how they are read, and where they are to be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from jdl.data.dataset import Dataset

__all__ = ["Source"]


class Source(NamedTuple):
    """A data set in files.

    files: for each file that it takes, the names under which it is known, the usual one first.
    read: from the paths found, in the order of `files`, to the data set.
    where: where the files are to be had, in words.
    folders: names of folders below the data directory to look in, beside the data set's own name and none at all.
    sha256: checksums that are published, by the name of the file; a file without one is taken as it is.
    or_folders: whether what bears such a name may be a folder with something in it, as an unpacked archive is.
    common_names: whether other data sets' files have these names too; one that cannot be checked is then taken only
      from a folder that bears the data set's name or one of `folders`.
    """

    files: tuple[tuple[str, ...], ...]
    read: Callable[..., Dataset]
    where: str
    folders: tuple[str, ...] = ()
    sha256: Mapping[str, str] = MappingProxyType({})
    or_folders: bool = False
    common_names: bool = False
