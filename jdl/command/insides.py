"""Arguments of parts that are parts themselves: the codec inside `choco`, a method's base, the links of a clock."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from jdl import compressors
from jdl.exchange.robust.rule import Rule
from jdl.types import Algorithm, LinkTime, StepTime, Wait

__all__ = ["PROTOCOLS", "fits", "insides"]

# The types of such arguments, each with what a sentence calls them.
PROTOCOLS = {
    compressors.Compressor: "codec",
    compressors.Sparsifier: "sparsifier",
    compressors.Quantiser: "quantiser",
    Rule: "rule",
    Algorithm: "method",
    StepTime: "step time",
    LinkTime: "link model",
    Wait: "wait",
}
METHODS = {compressors.Sparsifier: "choose", compressors.Quantiser: "quantise"}


@functools.cache
def insides(thing: Callable[..., Any]) -> dict[str, type]:
    """The arguments of a thing that are parts, by name, with their protocols.

    >>> from jdl.exchange import Choco
    >>> {name: PROTOCOLS[protocol] for name, protocol in insides(Choco).items()}
    {'compressor': 'codec'}
    """
    hints, found = typing.get_type_hints(thing), {}
    for name in inspect.signature(thing).parameters:
        hint = hints.get(name)
        union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
        protocol = next((one for one in (typing.get_args(hint) if union else (hint,)) if one in PROTOCOLS), None)
        if protocol is not None:
            found[name] = protocol
    return found


def fits(made: Callable[..., Any], protocol: type) -> bool:
    """Whether a class of the kind of a protocol keeps it: a quantiser quantises, a rule is one."""
    if protocol is Rule:
        return inspect.isclass(made) and issubclass(made, Rule)
    return hasattr(made, METHODS[protocol]) if protocol in METHODS else True
