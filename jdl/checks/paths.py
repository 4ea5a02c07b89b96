"""Paths that the user gives."""

from __future__ import annotations

import os
import pathlib

from jdl.checks.sentences import InputError, require

__all__ = ["path"]


def path(given: str | os.PathLike[str]) -> pathlib.Path:
    """A path of the user's, wherever jdl is given one: "~" is the home.

    Raises:
      InputError: if it is no path, or there is no such home.

    >>> path("runs/a").as_posix()
    'runs/a'
    """
    require(isinstance(given, str | os.PathLike), f"got {given!r}, need a path; give it as text")
    try:
        return pathlib.Path(given).expanduser()
    except RuntimeError as error:
        raise InputError(f"got path {given!s}, whose home is not known ({error}); write it out") from error
