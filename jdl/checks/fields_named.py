"""Names of fields that a part does not have: a sentence names those that it has, and the nearest."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable
from typing import Any

from jdl.checks.sentences import InputError, nearest

__all__ = ["name_fields"]


class _NoField(InputError, TypeError):
    """A part was given a field that it does not have. It is a `TypeError`, too, as of any call with an odd argument."""


def name_fields(module: str) -> None:
    """Let the parts that a module exports refuse fields that they do not have in a sentence, made or replaced.

    The end of a room is the place: a decorator of its own, in place of that of flax, would have to be known to all
    who add a part.

    Args:
      module: the name of the module, which is imported already.

    >>> import jdl
    >>> try:
    ...     jdl.compressors.TopK(fractoin=0.1)
    ... except TypeError as error:
    ...     print(error)
    got fractoin, TopK has fraction, index; did you mean fraction?
    """
    namespace = vars(sys.modules[module])
    for name in namespace["__all__"]:
        part = namespace.get(name)
        if isinstance(part, type) and dataclasses.is_dataclass(part) and "__init__" in vars(part):
            part.__init__ = _naming(part.__init__)


def _naming(usual: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(usual)
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        try:
            usual(self, *args, **options)
        except TypeError:
            names = [field.name for field in dataclasses.fields(self) if field.init]
            odd = next((name for name in options if name not in names), None)
            if odd is None:
                raise
            near = " or ".join(nearest(odd, names)[:2])
            has = f"has {', '.join(names)}; did you mean {near}?" if names else "has no fields; leave it out"
            raise _NoField(f"got {odd}, {type(self).__name__} {has}") from None

    return __init__
