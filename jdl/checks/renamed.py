"""Old names that keep working, with a warning that names the new spelling."""

from __future__ import annotations

import functools
import pkgutil
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["renamed", "renamed_arguments"]


def renamed(module: str, table: Mapping[str, str | tuple[str, Callable[..., Any] | None]]) -> None:
    """Keep old names of a module working: each forwards to the new spelling, with a `DeprecationWarning`.

    An old name of a function, in lower case, becomes a function that warns when it is called: a submodule of that name
    would hide it otherwise. Old names of classes and modules are looked up, with the warning, when they are asked for.

    Args:
      module: the full name of the module, which is imported already.
      table: for each old name the full new one, "jdl.exchange.Lossy". Where arguments have changed too, it is the new
        spelling in words and a function that takes the old arguments; for a module, its full name and None.
    """
    namespace, asked = vars(sys.modules[module]), {}
    for old, new in table.items():
        spelling, make = (new, _at_call(new)) if isinstance(new, str) else new
        if make is None or (isinstance(new, str) and not old.islower()):
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


def _at_call(name: str) -> Callable[..., Any]:
    """What has this full name, looked up when it is called."""
    return lambda *args, **options: _at(name)(*args, **options)


def _forward(old: str, spelling: str, make: Callable[..., Any]) -> Callable[..., Any]:
    def forward(*args: Any, **options: Any) -> Any:
        _warn_renamed(f"{old}(...) is spelled {spelling}{'' if '(' in spelling else '(...)'}", 3)
        return make(*args, **options)

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
