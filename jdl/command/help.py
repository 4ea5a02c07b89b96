"""The form of flags in the help of a command."""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterable
from typing import Any

import tyro

from jdl.problems import MODELS, PRECISIONS, SAMPLING

__all__ = ["metavar", "note", "one_of", "words"]


def note(metavar: str | None = None, default: str | None = None, help: str | None = None, aliases: Any = None) -> Any:
    """Set how the help shows a flag; `default` describes the default in words, if its value would explain little."""
    hint = {} if default is None else {"help_behavior_hint": f"(default: {default})"}
    return tyro.conf.arg(metavar=metavar, help=help, aliases=aliases, **hint)


def one_of(names: Iterable[str]) -> str:
    """The notation of a choice.

    >>> one_of(["ring", "chain"])
    '{chain,ring}'
    """
    return "{" + ",".join(sorted(names)) + "}"


@functools.cache
def words() -> dict[str, Iterable[str]]:
    """The options of problems whose value is one of several words."""
    return {"model": MODELS, "sampling": SAMPLING, "precision": PRECISIONS}


def metavar(kind: Any) -> str:
    """The notation of a type: FLOAT for `float` and for `float | None`."""
    plain = next((part for part in typing.get_args(kind) if part is not type(None)), kind)
    return "TEXT" if plain is str else plain.__name__.upper()
