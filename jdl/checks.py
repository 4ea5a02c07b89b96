"""Sentences for bad input: what was got, what is needed, what to do. Checked on the host, once, at the boundary."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import numbers
import os
import pathlib
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = [
    "InputError",
    "Note",
    "available_memory",
    "fields",
    "fits",
    "known",
    "nearest",
    "note",
    "path",
    "renamed",
    "renamed_arguments",
    "require",
    "whole",
]


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
    warnings.warn(f"note: {sentence}", Note, stacklevel=3)


def require(condition: bool, sentence: str) -> None:
    """Raise `InputError(sentence)` unless `condition` holds.

    >>> require(7 & (7 - 1) == 0, "got n=7, a hypercube needs a power of two; try n=8")
    Traceback (most recent call last):
    jdl.checks.InputError: got n=7, a hypercube needs a power of two; try n=8
    """
    if not condition:
        raise InputError(sentence)


def whole(name: str, value: Any, minimum: int, why: str = "") -> int:
    """`value` as an int that is at least `minimum`, or a sentence.

    >>> whole("rounds", 0, 1)
    Traceback (most recent call last):
    jdl.checks.InputError: got rounds=0, need a whole number of at least 1; try rounds=1
    """
    good = isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= minimum
    meant = int(value) if isinstance(value, float) and value.is_integer() and value >= minimum else minimum
    require(good, f"got {name}={value!r}, {why or 'need'} a whole number of at least {minimum}; try {name}={meant}")
    return int(value)


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


def fields(part: Any) -> None:
    """Check every bounded number of a part (see `types.number`, `types.static`), and of the parts inside it."""
    if not dataclasses.is_dataclass(part):
        return
    for field in dataclasses.fields(part):
        value, usual = getattr(part, field.name), field.default
        minimum, maximum = field.metadata.get("minimum"), field.metadata.get("maximum")
        name = f"{type(part).__name__}.{field.name}"
        if dataclasses.is_dataclass(value):
            fields(value)
        elif value is None and usual is None:
            continue
        elif field.type in ("float", float):
            one_number(name, value, usual)
            bounded(name, value, minimum, maximum, usual)
        elif field.type in ("bool", bool):
            require(isinstance(value, bool), f"got {name}={value!r}, need True or False; try {name}={usual}")
        elif field.type in ("str", str):
            require(isinstance(value, str), f"got {name}={value!r}, need a word; try {name}={usual!r}")
        elif minimum is None and maximum is None:
            continue
        elif field.metadata.get("pytree_node", True):
            bounded(name, value, minimum, maximum, usual)
        else:
            whole(name, value, minimum)


def one_number(name: str, value: Any, usual: Any) -> None:
    """Check that `value` is one real number: neither an array, nor a list, nor a function.

    Raises:
      InputError: if it is not.
    """
    import numpy as np

    try_ = f"try {name}={usual}" if isinstance(usual, numbers.Real) else "give one"
    more = "; a rate that changes from round to round is lr=0.1 with decay=lambda t: 1 / (1 + 0.01 * t)"
    require(not callable(value), f"got {name}={value!r}, a function, need one number; {try_}{more}")
    good = isinstance(value, numbers.Real | np.generic) or hasattr(value, "dtype")
    shape = f"an array of shape {np.shape(value)}" if hasattr(value, "dtype") else repr(value)
    good = good and np.shape(value) == () and not isinstance(value, bool | np.bool_)
    require(good, f"got {name}={shape}, need one number, the same for all nodes and coordinates; {try_}")


def bounded(name: str, value: Any, minimum: float | None, maximum: float | None, usual: Any = None) -> None:
    """A sentence unless `value` (a number, or an array of them) lies within the inclusive bounds; try the `usual`."""
    import numpy as np

    if minimum is None and maximum is None:
        return
    array = np.asarray(value)
    low, high = -math.inf if minimum is None else minimum, math.inf if maximum is None else maximum
    numeric = np.issubdtype(array.dtype, np.number)
    if numeric and array.size and bool(np.all((array >= low) & (array <= high))):  # NaN fails both comparisons
        return
    if minimum is not None and maximum is not None:
        span = f"between {low} and {high}"
    else:
        span = f"of at least {low}" if maximum is None else f"of at most {high}"
    known = [one for one in (usual, minimum, maximum) if isinstance(one, numbers.Real)]
    raise InputError(f"got {name}={value!r}, need a number {span}; try {name}={known[0]}")


def available_memory() -> int | None:
    """Bytes of main memory that a new run can take on this host, or None where the system does not say."""
    import psutil

    try:
        return psutil.virtual_memory().available
    except (OSError, RuntimeError, NotImplementedError):
        return None


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


def fits(needed_bytes: int, what: str, available_bytes: int | None = None) -> None:
    """A sentence if `needed_bytes` for `what` is more than is available (by default: of main memory)."""
    available = available_memory() if available_bytes is None else available_bytes
    if available is not None and needed_bytes > available:
        gib = 1024**3
        raise InputError(
            f"got {what}, which needs about {needed_bytes / gib:,.1f} GiB; {available / gib:,.1f} GiB are available; "
            "use fewer nodes, a smaller model, or a larger machine"
        )


def renamed(module: str, table: Mapping[str, str | tuple[str, Callable[..., Any]]]) -> None:
    """Keep old names of a module working: each forwards to the new spelling, with a `DeprecationWarning`.

    Args:
      module: the full name of the module, which is imported already.
      table: for each old name the full new one, "jdl.exchange.Lossy"; or, where arguments have changed too, the new
        spelling in words and a function that takes the old arguments.

    An old name in lower case becomes a function, which warns when it is called: a submodule of that name would hide it
    otherwise. The other names (classes, modules) are looked up, and warned of, when they are asked for.
    """
    namespace, asked = vars(sys.modules[module]), {}
    for old, new in table.items():
        spelling, make = (new, None) if isinstance(new, str) else new
        if make is None and not old.islower():
            asked[old] = spelling
        else:
            namespace[old] = _forward(f"{module}.{old}", spelling, make)

    def look_up(name: str) -> Any:
        if name not in asked:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn_renamed(f"{module}.{name} is spelled {asked[name]}", 3)
        return _at(asked[name])

    namespace["__getattr__"] = look_up


def _at(name: str) -> Any:
    """What has this full name: an attribute of a package, where a module of that name is there, too."""
    package, _, last = name.rpartition(".")
    return pkgutil.resolve_name(f"{package}:{last}")


def _forward(old: str, spelling: str, make: Callable[..., Any] | None) -> Callable[..., Any]:
    def forward(*args: Any, **options: Any) -> Any:
        _warn_renamed(f"{old}(...) is spelled {spelling}{'' if '(' in spelling else '(...)'}", 3)
        return (make or _at(spelling))(*args, **options)

    forward.__name__ = forward.__qualname__ = old.rpartition(".")[2]
    forward.__doc__ = f"The old name of {spelling}."
    return forward


def renamed_arguments(**table: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function so that it also takes arguments by their old names, old="new", with a `DeprecationWarning`.

    >>> @renamed_arguments(kind="stochastic")
    ... def from_weights(W, stochastic="row"):
    ...     return stochastic
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     print(from_weights(None, kind="column"), caught[0].message)
    column from_weights(kind=...) is spelled from_weights(stochastic=...)
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def forward(*args: Any, **options: Any) -> Any:
            for old in table.keys() & options.keys():
                new, name = table[old], function.__name__
                _warn_renamed(f"{name}({old}=...) is spelled {name}({new}=...)", 3)
                options[new] = options.pop(old)
            return function(*args, **options)

        return forward

    return decorate


def _warn_renamed(sentence: str, level: int) -> None:
    warnings.warn(sentence, DeprecationWarning, stacklevel=level)
