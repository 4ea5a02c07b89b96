"""A data set in files: their names, how to read them, and where to get them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from jdl.data.dataset import Dataset

__all__ = ["Source"]


class Source(NamedTuple):
    """A data set in files.

    Attributes:
      files: for each file, its accepted names, the usual one first.
      read: function from the paths found, in the order of `files`, to the data set.
      where: description of where to get the files.
      folders: names of folders below the data directory to search, besides that of the data set and the directory
        itself.
      sha256: published checksums by file name; a file without one is accepted unchecked.
      or_folders: whether a non-empty folder of such a name, as of an unpacked archive, is accepted too.
      common_names: whether files of other data sets have the same names; a file that cannot be checked is then accepted
        only from a folder with the name of the data set or one of `folders`.
    """

    files: tuple[tuple[str, ...], ...]
    read: Callable[..., Dataset]
    where: str
    folders: tuple[str, ...] = ()
    sha256: Mapping[str, str] = MappingProxyType({})
    or_folders: bool = False
    common_names: bool = False
