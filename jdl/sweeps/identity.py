"""The identity of a point: a hash of its arguments, the same in every process and on every day."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from jdl import checks
from jdl.runs.describe import value_of
from jdl.sweeps.places import dotted, marks

__all__ = ["digest", "identity"]

DIGITS = 16  # hexadecimal digits: two of a million points are equal by chance with probability 3e-8


def identity(arguments: Mapping[str, Any]) -> str:
    """A hash of arguments by their content: numbers, arrays, the fields of parts, and the code of functions.

    Args:
      arguments: the arguments that matter for the result, by name. Leave out those that do not, such as `run_dir`.

    Returns:
      The hash, 16 hexadecimal digits.

    Raises:
      InputError: if there is a mark in the arguments.

    >>> identity({"lr": 0.1}) == identity({"lr": 0.1}), identity({"lr": 0.1}) == identity({"lr": 0.2})
    (True, False)
    """
    path, mark = next(marks(arguments), (None, None))
    if mark is not None:
        raise checks.InputError(f"got {mark!r} at {dotted(path)}, need one value there; take a point of the sweep")
    return digest(json.dumps(value_of(dict(arguments)), sort_keys=True))


def digest(text: str) -> str:
    """A hash of a text, 16 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
