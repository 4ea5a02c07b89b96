"""The goal of a run as flags: `--until mean_accuracy=0.95`, `--until-accuracy 0.95`, `--until-seconds 3600`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jdl import checks

__all__ = ["until_in"]

CONDITION = re.compile(r"\s*([\w/.]+)\s*(<=|>=|=|<|>)\s*(\S+)\s*")


def until_in(
    words: Sequence[str], accuracy: float | None = None, seconds: float | None = None, bits: float | None = None
) -> dict[str, float | str] | None:
    """The goal that flags name, as `jdl.run(until=)` takes it.

    Args:
      words: conditions such as "mean_accuracy=0.95" and "consensus_distance<=0.1", all of which a run has to meet. "="
        is at least for an accuracy and for what a run spends, and at most for everything else.
      accuracy: the mean accuracy to reach, if any.
      seconds: the simulated seconds that the run may take, if any.
      bits: the bits that all nodes may send, if any.

    Raises:
      InputError: if a word is no condition, or if two are of one column.

    >>> until_in(["consensus_distance<=0.1"], 0.95)
    {'mean_accuracy': 0.95, 'consensus_distance': '<= 0.1'}
    """
    flags = {"mean_accuracy": accuracy, "simulated_seconds": seconds, "bits_sent": bits}
    goal: dict[str, float | str] = {column: float(value) for column, value in flags.items() if value is not None}
    for word in words:
        found = CONDITION.fullmatch(word)
        need = "need COLUMN=VALUE; try --until mean_accuracy=0.95, or --until 'consensus_distance<=0.1'"
        checks.require(found is not None and _is_number(found[3]), f"got --until {word!r}, {need}")
        column, relation, value = found.groups()
        checks.require(column not in goal, f"got two goals for {column}, need one of each column; leave one out")
        goal[column] = float(value) if relation == "=" else f"{relation} {value}"
    return goal or None


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False
