"""Errors in the user's code as sentences that say where they are."""

from __future__ import annotations

import contextlib
import inspect
import linecache
import re
import traceback
from collections.abc import Iterator
from typing import Any

from jdl import checks
from jdl.runs.users_code import is_users_file

__all__ = ["explained"]


@contextlib.contextmanager
def explained(algorithm: Any) -> Iterator[None]:
    """A context in which an exception in the user's code becomes an `InputError` with file and line.

    Args:
      algorithm: the method whose code may fail.

    Raises:
      InputError: in place of any other exception that passed through a line of the user's code.
    """
    try:
        yield
    except checks.InputError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        # The engine calls the user's methods in its function `_method`; frames above it are the user's own script.
        called = next((i for i, frame in enumerate(frames) if frame.name == "_method"), len(frames))
        users = [frame for frame in frames[called:] if is_users_file(frame.filename)]
        if not users:
            raise
        where, why = users[-1], (str(error).strip().splitlines() or [""])[0][:200]
        line = linecache.getline(where.filename, where.lineno).strip()
        hint = _hint(algorithm, users)
        raise checks.InputError(
            f"got {type(algorithm).__name__} whose `{users[0].name}` fails in line {where.lineno} of {where.filename} "
            f"(`{line}`): {type(error).__name__}: {why}; {hint or 'correct this line'}"
        ) from error


def _hint(algorithm: Any, frames: list[traceback.FrameSummary]) -> str | None:
    """A hint for the most frequent mistake: `node.grad` returns a pair."""
    methods = [method for _, method in inspect.getmembers(type(algorithm), inspect.isfunction)]
    method = next((method for method in methods if method.__code__.co_name == frames[0].name), None)
    with contextlib.suppress(OSError, TypeError):
        for line in inspect.getsource(method).splitlines():
            assigned, _, right = line.rpartition("=")
            if re.search(r"node\.grad\([^()]*\)(?!\[)", right) and "," not in assigned:
                return "node.grad returns a pair (gradient, auxiliary output of the loss): write node.grad(x)[0]"
    return None
