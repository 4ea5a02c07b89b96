"""Errors in the user's code as sentences that say where they are."""

from __future__ import annotations

import contextlib
import inspect
import linecache
import re
import traceback
import types
from collections.abc import Iterator
from typing import Any

from jdl import checks
from jdl.runs.users_code import is_users_file

__all__ = ["explained"]

# Where an attribute of `Node` of before is now, and what the lack of another one means.
MOVED = {
    "full_grad": "node.full_grad(x) is spelled node.grad(x, FULL)",
    "part_grad": "node.part_grad(x, i, parts) is spelled node.grad(x, Part(i, parts))",
}


@contextlib.contextmanager
def explained(algorithm: Any, what: str | None = None) -> Iterator[None]:
    """A context in which an exception in the user's code becomes an `InputError` with file and line.

    Args:
      algorithm: the method whose code may fail, or that of another part which is called with it.
      what: what fails, in the words of the sentence; by default it is read off the code that fails.

    Raises:
      InputError: in place of any other exception that passed through a line of the user's code.
    """
    try:
        yield
    except checks.InputError:
        raise
    except Exception as error:
        frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
        users = [(code, line) for code, line in frames if is_users_file(code.co_filename) and code is not OWN]
        if not users:
            raise
        (first, _), (last, number) = users[0], users[-1]
        why = (str(error).strip().splitlines() or [""])[0][:200]
        line = linecache.getline(last.co_filename, number).strip()
        raise checks.InputError(
            f"got {what or _named(algorithm, first)} fails in line {number} of {last.co_filename} "
            f"(`{line}`): {type(error).__name__}: {why}; {_hint(algorithm, first, line, why) or 'correct this line'}"
        ) from error


# The context itself is code of jdl, wherever jdl lies.
OWN = explained.__wrapped__.__code__


def _named(algorithm: Any, code: types.CodeType) -> str:
    """Whose method, or which function, has this code."""
    if _method_of(algorithm, code):
        return f"{type(algorithm).__name__} whose `{code.co_name}`"
    owner = code.co_qualname.rpartition(".")[0].rpartition(".")[2]
    return f"{owner} whose `{code.co_name}`" if owner.isidentifier() else f"a function {code.co_name} that"


def _method_of(algorithm: Any, code: types.CodeType) -> Any:
    methods = [method for _, method in inspect.getmembers(type(algorithm), inspect.isfunction)]
    return next((method for method in methods if inspect.unwrap(method).__code__ is code), None)


def _hint(algorithm: Any, code: types.CodeType, line: str, why: str) -> str | None:
    """A hint for the most frequent mistakes."""
    missing = re.search(r"'Node' object has no attribute '(\w+)'", why)
    if missing and missing[1] in MOVED:
        return MOVED[missing[1]]
    if "node.links" in line and "NoneType" in why:
        return "node.links is for methods that need 'each' or 'per_link': add one of them to needs"
    if "traced array" in why:
        return "use jax.numpy in place of numpy, float() and `if`: the program is compiled"
    if "desk" in line and why == "'desk'":
        return "a server has a desk if its method needs 'public': add it to needs"
    with contextlib.suppress(OSError, TypeError):
        for line in inspect.getsource(_method_of(algorithm, code)).splitlines():
            assigned, _, right = line.rpartition("=")
            if re.search(r"node\.grad\([^()]*\)(?!\[)", right) and "," not in assigned:
                return "node.grad returns a pair (gradient, auxiliary output of the loss): write node.grad(x)[0]"
    return None
