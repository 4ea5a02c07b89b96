"""From the text of a value to the value."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from jdl import checks

__all__ = ["NAMES", "plain_type", "value_of"]

SWITCH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


def plain_type(hint: Any, default: Any = dataclasses.MISSING) -> tuple[type, bool]:
    """The type of a value, int, float, bool or str, and whether it may be None.

    >>> plain_type(float | None), plain_type(int, None), plain_type(str)
    ((<class 'float'>, True), (<class 'int'>, True), (<class 'str'>, False))
    """
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    parts = typing.get_args(hint) if is_union else (hint,)
    plain = next(part for part in parts if part is not type(None))
    return plain, type(None) in parts or default is None


def value_of(kind: type, optional: bool, text: str, got: str, do: str) -> Any:
    """The value of a text.

    Args:
      kind: int, float, bool or str.
      optional: whether "none" is None.
      text: the text.
      got: what the user wrote, for the sentence of an error.
      do: what the user can do, for the same sentence.

    Raises:
      InputError: if it is not of this type.

    >>> value_of(float, False, "0.3", "--lr 0.3", "")
    0.3
    """
    if kind is bool:
        value = SWITCH.get(text.lower())
        checks.require(value is not None, f"got {got}, need {NAMES[bool]}; {do}")
        return value
    if optional and text.lower() == "none":
        return None
    try:
        return kind(text)
    except ValueError:
        raise checks.InputError(f"got {got}, need {NAMES[kind]}; {do}") from None
