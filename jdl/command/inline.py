"""Options that follow the name of a part in a list, `lossy:probability=0.1`, so that a part may occur twice."""

from __future__ import annotations

from typing import Any

from jdl import checks
from jdl.command.catalogue import known, maker, options
from jdl.command.values import plain_type, value_of

__all__ = ["name_of", "spelled_in_full", "values_of"]


def name_of(text: str) -> str:
    """The name of a part without the options that follow it.

    >>> name_of("lossy:probability=0.1")
    'lossy'
    """
    return text.partition(":")[0]


def spelled_in_full(kind: str, text: str) -> str:
    """A part of a list as it is spelled: its name, and each option that follows it, corrected and checked.

    Args:
      kind: "exchanges" or "oracles".
      text: `NAME`, or `NAME:OPTION=VALUE:OPTION=VALUE`.

    Raises:
      InputError: if there is no such part or option, or if a value is not of the type of its option.

    >>> spelled_in_full("exchanges", "Lossy:probability=0.1")
    'lossy:probability=0.1'
    """
    name, *pairs = text.split(":")
    name = known(kind, name)
    return ":".join([name, *(_pair(kind, name, pair) for pair in pairs)])


def values_of(kind: str, text: str) -> dict[str, Any]:
    """The values of the options that follow the name of a part, which `spelled_in_full` has checked.

    >>> values_of("exchanges", "lossy:probability=0.1")
    {'probability': 0.1}
    """
    name, *pairs = text.split(":")
    return dict(_value(kind, name, pair) for pair in pairs)


def _pair(kind: str, name: str, pair: str) -> str:
    option, _ = _value(kind, name, pair)
    return f"{option}={pair.partition('=')[2].strip()}"


def _value(kind: str, name: str, pair: str) -> tuple[str, Any]:
    option, equals, text = (word.strip() for word in pair.partition("="))
    found = {one.name: one for one in options(maker(kind, name))}
    first = next(iter(found), None)
    checks.require(first is not None, f"got {name}:{pair}, but {name} has no options; write {name}")
    need = f"need an option and its value; write {name}:{first}=VALUE"
    checks.require(bool(equals and option and text), f"got {name}:{pair}, {need}")
    option = checks.known(f"option of {name}", option, found)
    do = f"write a colon between options, {name}:{option}=VALUE:..." if "," in text else f"see `jdl list {name}`"
    kind = plain_type(found[option].type, found[option].default)
    return option, value_of(*kind, text, f"{name}:{option}={text}", do)
