"""The place of a run directory: its path, the checks of it, and its name in error sentences."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path

from jdl import checks

__all__ = ["LOCK", "Place"]

LOCK = "lock"
# A run makes these files before its configuration is complete: a directory that holds only these counts as empty.
BEFORE = {LOCK, "config.json.part", "sweep.json.part"}
# orbax reads these characters as patterns when it looks for its own files.
PATTERNS = "*?["


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the files of a run go. Python and the command line call it differently, so it knows both words for it.

    Args:
      path: the path of the directory; "~" is the home directory.
      numbered: use the first of `path`, `path-2`, `path-3`, ... that does not exist.
      argument: the caller's name for the directory: a Python argument or a flag.
      again: the call or command that resumes the run in `{path}`.
    """

    path: Path
    numbered: bool = False
    argument: str = "run_dir"
    again: str = "jdl.run(..., run_dir={path!r}, resume=True)"

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", checks.path(self.path))

    @property
    def named(self) -> str:
        """The argument and its value."""
        return f"{self.argument}={self.path}"

    @property
    def go_on(self) -> str:
        """The call or command that resumes the run."""
        return self.again.format(path=str(self.path))

    def check(self) -> None:
        """Check that a run directory can be made here.

        Raises:
          InputError: if it is not empty, cannot be written, or has a name under which orbax cannot find checkpoints.
        """
        odd = sorted(set(PATTERNS) & set(str(self.path.absolute())))
        need = f"need one without {' and '.join(odd)}, under which orbax finds no checkpoints"
        checks.require(not odd, f"got {self.argument}={self.path.absolute()}, {need}; {self.another}")
        above = next(place for place in (self.path, *self.path.absolute().parents) if place.exists())
        writable = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
        need = f"got {self.named}, need a directory that can be written ({above} cannot); {self.another}"
        checks.require(writable, need)
        if not self.numbered:
            self.check_empty()

    def check_empty(self) -> None:
        """Check that the directory is empty.

        Raises:
          InputError: if it holds a file.
        """
        held = {one.name for one in self.path.iterdir()} - BEFORE if self.path.is_dir() else ()
        do = f"resume the run in it with `{self.go_on}`, or {self.another}"
        checks.require(not held, f"got {self.named}, which is not empty, need a new directory; {do}")

    @property
    def another(self) -> str:
        """The advice if this directory cannot be used."""
        return f"give another {self.argument}"

    def make(self) -> Path:
        """Make the directory, if it does not exist.

        Returns:
          Its path; if it is `numbered`, the path of a directory that did not exist before.

        Raises:
          InputError: if the file system refuses.
        """
        try:
            if not self.numbered:
                self.path.mkdir(parents=True, exist_ok=True)
                return self.path
            self.path.parent.mkdir(parents=True, exist_ok=True)
            path, number = self.path, 1
            while True:
                with contextlib.suppress(FileExistsError):
                    path.mkdir()
                    return path
                number += 1
                path = self.path.with_name(f"{self.path.name}-{number}")
        except OSError as error:  # checks cannot foresee a full disk, or a file system of the kernel
            raise self.unwritable(error) from error

    def unwritable(self, error: OSError) -> checks.InputError:
        """The exception for a directory that cannot be written although the checks passed."""
        need = f"got {self.named}, need a directory that can be written ({error.strerror})"
        return checks.InputError(f"{need}; {self.another}")
