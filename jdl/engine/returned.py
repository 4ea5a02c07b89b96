"""What an algorithm's methods return, checked where they are called."""

from __future__ import annotations

from typing import Any

from jdl import checks

__all__ = ["returned"]

# What a method of each role returns.
RETURNS = {
    "send": ("(message, state)", 2),
    "recv": ("(state, info), info a dict of scalars, often {}", 2),
    "client": ("(message, state); a report is an Each part of the message", 2),
    "client_heard": ("(message, state); a report is an Each part of the message", 2),
}


def returned(kind: type, method: str, role: str, out: Any) -> Any:
    """Check that a method returned what its role asks for, and return it.

    Raises:
      InputError: if it did not.
    """
    if role not in RETURNS:
        return out
    form, count = RETURNS[role]
    plain = type(out) is tuple and len(out) == count and (role != "recv" or isinstance(out[-1], dict))
    got = f"{len(out)} values" if type(out) is tuple else f"one value of type {type(out).__name__}"
    if type(out) is tuple and len(out) == count:
        got = f"{type(out[-1]).__name__} as its last value"
    checks.require(plain, f"got {kind.__name__} whose `{method}` returns {got}, need {form}; return that")
    return out
