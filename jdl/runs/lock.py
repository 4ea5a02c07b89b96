"""A lock on a directory, which the system releases when the process that holds it ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from pathlib import Path

from jdl import checks

__all__ = ["Held", "Lock", "is_held"]

try:
    import fcntl
except ImportError:  # a system without it; see `Lock`
    fcntl = None


class Held(checks.InputError):
    """Another process, or another part of this one, holds a lock."""


class Lock:
    """Holds a lock on a file until `release`, or until the process ends.

    The lock is a lock of the kernel (`flock`); the existence of the file means nothing. So the lock of a killed process
    is free at once, and a copy of a directory is not locked. If the operating system or the file system has no such
    locks, nothing is locked.

    Args:
      path: the file. It holds the process and host of the holder, and `release` removes it.
      what: what the lock protects, for the error sentence.

    Raises:
      Held: if another run holds the lock.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self.file = None if fcntl is None else self._held(what)

    def _held(self, what: str) -> int | None:
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = _holder(file)
                os.close(file)
                if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                    need = f"got {what}, in which a run goes on ({holder})"
                    raise Held(f"{need}; wait for it, or interrupt it first") from None
                return None
            if self._is_there(file):
                os.truncate(file, 0)
                os.write(file, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
                return file
            os.close(file)  # its holder removed the file after we had opened it

    def _is_there(self, file: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file), os.stat(self.path))
        return False

    def release(self) -> None:
        """Release the lock and remove its file."""
        if self.file is not None:
            self.path.unlink(missing_ok=True)
            os.close(self.file)
            self.file = None


def is_held(path: Path) -> bool:
    """Whether a process holds the lock on this file now. Where the system has no locks, nobody does."""
    if fcntl is None or not path.exists():
        return False
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    finally:
        os.close(file)


def _holder(file: int) -> str:
    with contextlib.suppress(ValueError, KeyError, OSError):
        who = json.loads(os.pread(file, 4096, 0))
        return f"process {who['pid']} on {who['host']}"
    return "another process"
