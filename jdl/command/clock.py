"""The clock as a flag: `--clock step=0.2:up=1e7:latency=0.02`, with parts in brackets; all defaults without a value."""

from __future__ import annotations

import itertools
import re
from typing import Any

from jdl import checks
from jdl.clock import Clock
from jdl.command.catalogue import made_of, options
from jdl.command.inline import given_options, resolved, split

__all__ = ["USUAL", "clock_in", "clock_of", "clocks_in", "with_usual"]

USUAL = "usual"  # the text of a clock whose options all have their defaults


def with_usual(words: list[str]) -> list[str]:
    """The words of a command, where `--clock` without a value is given the usual clock.

    >>> with_usual(["run", "--clock", "--nodes", "8"])
    ['run', '--clock', 'usual', '--nodes', '8']
    """
    alone = lambda at: words[at] == "--clock" and (at + 1 == len(words) or words[at + 1].startswith("--"))
    return [more for at, word in enumerate(words) for more in ([word, USUAL] if alone(at) else [word])]


def clock_in(text: str | None) -> dict[str, Any] | None:
    """The record of the clock that the flag describes: a value for each option, and of a part its own record.

    Args:
      text: `OPTION=VALUE:OPTION=VALUE`, where a part stands in brackets; None or "none" for no clock.

    Raises:
      InputError: if an option or a part is unknown, or a value is none of its option.

    >>> record = clock_in("step=0.2:links=[parallel:rate=1e6]")
    >>> record["step"], record["links"]
    (0.2, {'name': 'parallel', 'rate': 1000000.0, 'latency': 0.01})
    """
    if text is None or text.lower() == "none":
        return None
    usual = {one.name: one.default for one in options(Clock)}
    try:
        given = given_options(Clock, "clock", "" if text.lower() == USUAL else text)
        record = resolved(Clock, "clock", usual | {option: value for option, value, _ in given})
    except checks.InputError as error:  # a sentence about a part in a list
        raise checks.InputError(str(error).replace("clock:", "--clock ")) from None
    clock_of(record)  # refuses what is out of its range, before anything is built
    return record


def clock_of(record: dict[str, Any] | None) -> Clock | None:
    """The clock of a record; None for None."""
    if record is None:
        return None
    made = made_of(Clock, dict(record))
    for part in (made, made.step, made.links, made.wait):
        checks.fields(part)
    return made


def clocks_in(text: str) -> tuple[str, ...]:
    """The clocks of a sweep: an option with several values makes a clock of each; a new clock begins with an option.

    >>> clocks_in("step=0.1,0.2:up=1e6")
    ('step=0.1:up=1e6', 'step=0.2:up=1e6')
    >>> clocks_in("none,links=[parallel,fair_share:up=1e6]")
    ('none', 'links=[parallel:up=1e6]', 'links=[fair_share:up=1e6]')
    """
    found: list[str] = []
    for one in _at_commas(text):
        begins = "=" in one.partition(":")[0].partition("[")[0] or one in ("none", USUAL) or not found
        found = [*found, one] if begins else [*found[:-1], f"{found[-1]},{one}"]
    return tuple(clock for one in found for clock in _products(one))


def _products(text: str) -> list[str]:
    """All combinations of the values of options, also of those within brackets."""
    pairs, some = [], True
    while some:
        pair, text, some = split(text, f"--clock {text}")
        option, equals, value = pair.partition("=")
        values = _at_commas(value if equals else pair)
        every = [f"[{one}]" for value in values for one in _products(value[1:-1])] if value.startswith("[") else values
        pairs.append([f"{option}={one}" if equals else one for one in every])
    return [":".join(one) for one in itertools.product(*pairs)]


def _at_commas(text: str) -> list[str]:
    """A text, divided at its commas outside brackets."""
    found, depth = [""], 0
    for letter in re.sub(r"\s", "", text):
        depth += (letter == "[") - (letter == "]")
        found = [*found, ""] if letter == "," and depth == 0 else [*found[:-1], found[-1] + letter]
    return found
