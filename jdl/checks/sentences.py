"""Errors and notes about bad input: what was got, what is needed, what to do."""

from __future__ import annotations

import difflib
import os
import sys
import warnings
from collections.abc import Iterable

__all__ = ["InputError", "Note", "known", "nearest", "note", "require"]


class InputError(ValueError):
    """The caller's input cannot be used; the text says what was got, what is needed, what to do."""


class Note(UserWarning):
    """What jdl made of an input that could be meant in another way, or what a user may not expect of it."""


def note(sentence: str) -> None:
    """Warn of `sentence`, once for each place and text, as `Note`: the input is used, and this is how.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     note("a.edges counts its nodes from 1")
    >>> str(caught[0].message), caught[0].category.__name__
    ('note: a.edges counts its nodes from 1', 'Note')
    """
    warnings.warn(f"note: {sentence}", Note, stacklevel=_level_of_user())


def _level_of_user() -> int:
    """How far above `note` the user's own line is: the first outside jdl and the libraries through which it calls."""
    inside = [os.path.join(os.path.dirname(os.path.dirname(__file__)), "")]
    for name in ("jax", "flax", "functools", "contextlib"):
        file = getattr(sys.modules.get(name), "__file__", None)
        folder = os.path.basename(file or "") == "__init__.py"
        inside += [os.path.join(os.path.dirname(file), "") if folder else file] if file else []
    frame, level = sys._getframe(2), 2
    while frame is not None and frame.f_code.co_filename.startswith(tuple(inside)):
        frame, level = frame.f_back, level + 1
    return level


def require(condition: bool, sentence: str) -> None:
    """Raise `InputError(sentence)` unless `condition` holds.

    >>> require(7 & (7 - 1) == 0, "got n=7, a hypercube needs a power of two; try n=8")
    Traceback (most recent call last):
    jdl.checks.InputError: got n=7, a hypercube needs a power of two; try n=8
    """
    if not condition:
        raise InputError(sentence)


def nearest(name: str, valid: Iterable[str]) -> list[str]:
    """The valid names closest to `name`, best first; all of them if none is close."""
    valid = sorted(valid)
    return difflib.get_close_matches(name.lower(), valid, n=3, cutoff=0.4) or valid


def known(kind: str, name: str, valid: Iterable[str]) -> str:
    """`name` as it is spelled in `valid`, ignoring case, `-` and `_`; a sentence with the nearest names if unknown.

    >>> known("topology", "Random-Regular", ["ring", "random_regular"])
    'random_regular'
    >>> known("topology", "rnig", ["ring", "torus"])
    Traceback (most recent call last):
    jdl.checks.InputError: got topology 'rnig', which does not exist; did you mean ring? (known: ring, torus)
    """
    valid = sorted(valid)

    def plain(text):
        return text.lower().replace("-", "").replace("_", "")

    for candidate in valid:
        if plain(candidate) == plain(name):
            return candidate
    close = " or ".join(nearest(name, valid)[:3])
    raise InputError(f"got {kind} {name!r}, which does not exist; did you mean {close}? (known: {', '.join(valid)})")
