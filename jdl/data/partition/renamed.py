"""The names that partitions had when they were functions; see `jdl.checks.renamed`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from jdl.data.partition.rules import RULES
from jdl.data.partition.table import Partition

__all__ = ["RENAMED"]


def _as_function(rule: type) -> tuple[str, Callable[..., Partition]]:
    """The new spelling, and the function of before: its arguments were the data, nodes, options, seed, minimum."""
    about = next(iter(inspect.signature(rule()).parameters))
    options = [field.name for field in dataclasses.fields(rule)]
    before = [about, "nodes", *(one for one in options if one != "minimum"), "seed", "minimum"]

    def divide(*values: Any, **named: Any) -> Partition:
        given = dict(zip(before, values, strict=False)) | named
        made = rule(**{name: given.pop(name) for name in options if name in given})
        return made(**given)

    spelled = ", ".join(f"{name}=..." for name in options)
    return f"jdl.data.partition.{rule.__name__}({spelled})({about}, nodes)", divide


RENAMED = {name: _as_function(rule) for name, rule in RULES.items()}
