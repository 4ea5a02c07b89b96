"""Rates, optimizers and lengths of runs that suit a problem, where a command says nothing of them."""

from __future__ import annotations

import inspect
from typing import Any

from jdl import problems
from jdl.command.catalogue import Option, maker

__all__ = ["better", "usual"]

# Defaults of algorithms, and what takes their place on some problems: the best of a few rates and optimizers tried. An
# algorithm that has not all of these options, or other defaults, keeps its own.
DEFAULTS = {"lr": 0.1, "optimizer": "sgd"}
BETTER = {
    "digits": {"lr": 0.3},
    "shakespeare": {"lr": 0.003, "optimizer": "adam"},
    "sst2": {"lr": 0.01, "optimizer": "adam"},
}

# Rounds where none are given, on data sets whose models are a hundred times that of the digits.
DATA_ROUNDS = 300


def better(problem: str, options: list[Option]) -> dict[str, Any]:
    """The options of an algorithm that have other defaults on this problem."""
    found = BETTER.get(problem, {})
    plain = {option.name for option in options if option.default == DEFAULTS.get(option.name)}
    return found if found.keys() <= plain else {}


def usual(problem: str) -> dict[str, int]:
    """Numbers of a run that are others for this problem than those of `jdl.command.flags.Common`."""
    if problem not in problems.named.DATA_SETS:
        return {}
    nodes = inspect.signature(maker("problems", problem)).parameters["nodes"].default
    return {"nodes": nodes, "rounds": DATA_ROUNDS}
