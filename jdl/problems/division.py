"""Which examples each node holds: by a rule of `jdl.data.partition`, or by one of the caller's own."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from jdl import checks
from jdl.data import Dataset, Partition
from jdl.data.partition.given import NEED, as_partition
from jdl.data.partition.rules import RULES
from jdl.data.partition.table import validated

__all__ = ["divide", "rule_of", "takes_options_of_partitions"]

Rule = Callable[..., Partition]

# What a rule may ask for in its first argument, and where a data set has it.
ASKED = {"labels": "train_y", "features": "train_x", "owners": "train_owner"}


def rule_of(rule: Any) -> Rule:
    """What divides examples: a rule as it is, the one of a name with its defaults, or one that gives this partition.

    Args:
      rule: a rule, its name, a `Partition`, or what `as_partition` reads as one.

    Raises:
      InputError: if there is no rule of this name (with the nearest), or if it is none of these.

    >>> rule_of("dirichlet")
    Dirichlet(alpha=0.5, minimum=0)
    """
    if isinstance(rule, str):
        return RULES[checks.known("partition", rule, RULES)]()
    if isinstance(rule, type):
        name = rule.__name__
        raise checks.InputError(f"got the class {name} as a partition, need a partition; call it: {name}(...)")

    def given(labels: np.ndarray, nodes: int, seed: int) -> Partition:
        split = validated(rule, len(labels)) if isinstance(rule, Partition) else as_partition(rule, nodes, len(labels))
        said = repr(rule) if len(repr(rule)) < 40 else f"a {type(rule).__name__}"
        checks.require(split is not None, f"got partition={said}, {NEED}; try partition='iid'")
        return split

    made = rule if callable(rule) else given
    takes = _arguments(made)
    good = takes[:1] and takes[0] in ASKED and {"nodes", "seed"} <= {*takes}
    checks.require(bool(good), f"got partition={rule!r}, {NEED}; try partition='iid'")
    return made


def divide(data: Dataset, nodes: int, rule: Rule, seed: int = 0) -> Partition:
    """The examples of `data` over `nodes` nodes by a rule, which is given what it asks for in its first argument.

    Raises:
      InputError: if the rule asks for what the data do not have, or gives what is no partition of them.

    >>> zeros = Dataset(*[np.zeros(10, int)] * 4, num_classes=1, name="zeros", source="")
    >>> divide(zeros, 4, rule_of("iid")).counts.max().item()
    3
    """
    name, about = _name(rule), getattr(data, ASKED[_arguments(rule)[0]])
    do = "try partition='dirichlet'"
    checks.require(about is not None, f"got partition {name!r} of {data.name}, whose examples have no owners; {do}")
    made = rule(np.asarray(about), nodes=nodes, seed=seed)
    split = made if isinstance(made, Partition) else as_partition(made, nodes, len(about))
    got, need = f"from the partition {name}", f"need a jdl.data.Partition of {nodes} nodes"
    lists = "or a list of examples for each node"
    checks.require(split is not None, f"got a {type(made).__name__} {got}, {need}, {lists}; {do}")
    rows = len(split.counts)
    checks.require(rows == len(split.indices) == nodes, f"got {rows} nodes {got}, {need}; try nodes={rows}")
    empty = int(np.sum(np.asarray(split.counts) == 0))
    if nodes > len(data.train_x) or 2 * empty > nodes:
        had = f"{len(data.train_x):,} examples for {nodes:,} nodes"
        checks.note(f"{had}: {empty:,} nodes hold none, and learn from their neighbours alone")
    return split


def takes_options_of_partitions(make: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a problem so that it also takes the options of a partition that is given by its name.

    That is how options were spelled before partitions were objects: `digits(partition="dirichlet", alpha=0.1)`.
    """
    signature = inspect.signature(make)

    @functools.wraps(make)
    def problem(*args: Any, **named: Any) -> Any:
        options = {name: named.pop(name) for name in [*named] if name not in signature.parameters}
        if not options:
            return make(*args, **named)
        bound = signature.bind_partial(*args, **named)
        usual = signature.parameters["partition"].default
        bound.arguments["partition"] = _with(options, bound.arguments.get("partition", usual), make.__name__)
        return make(*bound.args, **bound.kwargs)

    return problem


def _with(options: dict[str, Any], rule: Any, problem: str) -> Rule:
    """The rule of this name with these options.

    Raises:
      InputError: if there is no such option, which may be a misspelt argument of the problem.
    """
    cls = RULES[checks.known("partition", rule, RULES)] if isinstance(rule, str) else None
    own = [field.name for field in dataclasses.fields(cls)] if cls else []
    for option, value in options.items():
        takers = [one.__name__ for one in RULES.values() if option in {field.name for field in dataclasses.fields(one)}]
        ways = [f"partition=jdl.data.partition.{name}({option}={value!r})" for name in takers]
        do = f"leave it out{', or give ' * bool(ways)}{' or '.join(ways)}"
        checks.require(option in own, f"got {option}={value!r}, which is no argument of {problem}; {do}")
    words = ", ".join(f"{name}={value!r}" for name, value in options.items())
    new = f"{problem}(partition=jdl.data.partition.{cls.__name__}({words}))"
    warnings.warn(f"{problem}(partition={rule!r}, {words}) is spelled {new}", DeprecationWarning, stacklevel=3)
    return cls(**options)


def _arguments(rule: Rule) -> list[str]:
    try:
        return list(inspect.signature(rule).parameters)
    except ValueError:  # of what is built in, such as dict, Python may not know them
        return []


def _name(rule: Rule) -> str:
    """What a rule, or the rule inside a partial, is called in a sentence."""
    name = getattr(getattr(rule, "func", rule), "__name__", None) or type(rule).__name__
    return next((known for known, cls in RULES.items() if cls.__name__ == name), name)
