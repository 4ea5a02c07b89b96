"""The flags of one point of a sweep: where each value goes, and what type it has."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple

from jdl import checks
from jdl.command.choices import Choices, Chosen
from jdl.command.defaults import usual
from jdl.command.flags import PREFIXED, Common, flags_of, options_of, spelled
from jdl.command.values import NAMES, plain_type, value_of

__all__ = ["OF_SWEEP", "Slot", "filled", "slots_of", "value_in"]

# The flags of a run that a sweep has once, or not at all.
OF_SWEEP = (
    "seed",
    "seeds",
    "vary",
    "until",
    "until_accuracy",
    "until_seconds",
    "until_bits",
    "checkpoint_every",
    "params",
    "out",
    "baselines",
    "progress",
    "compile_cache",
)


class Slot(NamedTuple):
    """The place of a value.

    Args:
      flag: the name of the flag.
      path: the fields that lead to the value, in the dataclass of all flags.
      type: int, float, bool or str.
      optional: whether it may be None.
      opposite: whether the flag is the opposite of a switch, `--no-own`.
    """

    flag: str
    path: tuple[str, ...]
    type: type
    optional: bool
    opposite: bool = False


@functools.lru_cache(maxsize=4096)
def slots_of(chosen: Chosen) -> Mapping[str, Slot]:
    """The flags of a point with these parts, by name with underscores."""
    hints = typing.get_type_hints(Common)
    own = {field.name for field in dataclasses.fields(Common)} - {field.name for field in dataclasses.fields(Choices)}
    slots = [_slot(name, (name,), hints[name]) for name in own if name not in OF_SWEEP]
    for kind, name in chosen.parts:
        for option in options_of(kind, name):
            flag = spelled(kind, option)
            slots.append(_slot(f"{name}." * (kind in PREFIXED) + flag, (name, flag), option.type, option.default))
    for name in chosen.down:
        for option in options_of("exchanges", name):
            flag = spelled("exchanges", option)
            slots.append(_slot(f"down.{name}.{flag}", ("down", name, flag), option.type, option.default))
    found = {slot.flag: slot for slot in slots}
    opposites = {_opposite(slot.flag): slot._replace(opposite=True) for slot in slots if slot.type is bool}
    return {**opposites, **found}


def _slot(flag: str, path: tuple[str, ...], hint: Any, default: Any = dataclasses.MISSING) -> Slot:
    return Slot(flag, path, *plain_type(hint, default))


def _opposite(flag: str) -> str:
    before, dot, last = flag.rpartition(".")
    return f"{before}{dot}no_{last}"


def value_in(slot: Slot, text: str | None, flag: str) -> Any:
    """The value of a text.

    Args:
      slot: where it goes.
      text: the text; None for a switch without a value.
      flag: the flag as the user wrote it.

    Raises:
      InputError: if it is not of the type of the flag.

    >>> value_in(Slot("lr", ("dpsgd", "lr"), float, False), "0.3", "lr")
    0.3
    """
    got = f"--{flag} {text}"
    if slot.type is bool:
        value = text is None or value_of(bool, False, text, got, f"try --{flag} true,false")
        return value != slot.opposite
    checks.require(text is not None, f"got --{flag} without a value, need {NAMES[slot.type]}; give one, or several")
    do = "see `jdl sweep --help`, and `jdl run --help` for each flag"
    return value_of(slot.type, slot.optional, text, got, do)


def filled(chosen: Chosen, values: Mapping[str, Any], slots: Mapping[str, Slot], of_sweep: Mapping[str, Any]) -> Any:
    """The dataclass of all flags of a point.

    Args:
      chosen: its parts.
      values: the values by flag.
      slots: those of its parts.
      of_sweep: the values of flags that all points share.
    """
    tree: dict[str, Any] = {}
    for flag, value in values.items():
        *groups, last = slots[flag].path
        inner = tree
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = value
    return _replaced(flags_of(chosen)(**usual(chosen.problem), **of_sweep), tree)


def _replaced(made: Any, tree: Mapping[str, Any]) -> Any:
    changes = {
        name: _replaced(getattr(made, name), value) if isinstance(value, dict) else value
        for name, value in tree.items()
    }
    return dataclasses.replace(made, **changes)
