"""One process at a time: a lock on a directory that the system takes back when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from pathlib import Path

from jdl import checks

__all__ = ["Lock"]

try:
    import fcntl
except ImportError:  # a system without it; see `Lock`
    fcntl = None


class Lock:
    """Holds `path`, a file, until `release` or the end of the process.

    The lock is the kernel's (`flock`), not the file's existence: that of a process that was killed is free at once,
    and a copy of a directory is not locked. Where system or file system has no such locks, nothing is held.

    Args:
      path: the file; it names the holder for others, and is removed by `release`.
      what: what is held, for the sentence.

    Raises:
      InputError: if another run holds it.
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
                    raise checks.InputError(f"{need}; wait for it, or interrupt it first") from None
                return None
            if self._is_there(file):
                os.truncate(file, 0)
                os.write(file, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
                return file
            os.close(file)  # its holder has removed it since it was opened

    def _is_there(self, file: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file), os.stat(self.path))
        return False

    def release(self) -> None:
        """Let others in."""
        if self.file is not None:
            self.path.unlink(missing_ok=True)
            os.close(self.file)
            self.file = None


def _holder(file: int) -> str:
    with contextlib.suppress(ValueError, KeyError, OSError):
        who = json.loads(os.pread(file, 4096, 0))
        return f"process {who['pid']} on {who['host']}"
    return "another process"
