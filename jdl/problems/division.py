"""Which examples each node holds: by a rule of `jdl.data.partition`, or by one of the caller's own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from jdl import checks
from jdl.data import Dataset, Partition, partition
from jdl.data.partition.given import NEED, as_partition
from jdl.data.partition.table import validated

__all__ = ["divide", "rule_of"]

# What a rule may ask for in its first argument, and where a data set has it.
ASKED = {"labels": "train_y", "features": "train_x", "owners": "train_owner"}
RULES = {name: getattr(partition, name) for name in partition.__all__ if name != Partition.__name__}


def rule_of(rule: Any, /, **options: Any) -> Callable[..., Partition]:
    """A rule with its options: by its name, or the caller's own; or the one that gives the caller's own partition.

    A partition is a `Partition`, or what `as_partition` reads as one.

    Asked before data are read, since an option may be a misspelt argument of the problem.

    Raises:
      InputError: an unknown name (with the nearest), no rule, or an option that the rule does not take.

    >>> rule_of("dirichlet", alpha=0.1)(np.zeros(8, int), nodes=2, seed=0).counts.sum().item()
    8
    >>> rule_of("iid", skew=0.5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    jdl.checks.InputError: got skew=0.5, ... the partition iid, which takes none; leave it out, or try ...'feature_skew'
    """

    def given(labels: np.ndarray, nodes: int, seed: int) -> Partition:
        split = validated(rule, len(labels)) if isinstance(rule, Partition) else as_partition(rule, nodes, len(labels))
        said = repr(rule) if len(repr(rule)) < 40 else f"a {type(rule).__name__}"
        checks.require(split is not None, f"got partition={said}, {NEED}; try partition='iid'")
        return split

    made = rule if callable(rule) else given
    if isinstance(rule, str):
        made = RULES[checks.known("partition", rule, RULES)]
    takes = _arguments(made)
    good = takes[:1] and takes[0] in ASKED and {"nodes", "seed"} <= {*takes}
    checks.require(bool(good), f"got partition={rule!r}, {NEED}; try partition='iid'")
    own = [one for one in takes[1:] if one not in ("nodes", "seed")]
    need = f"need an argument of the problem or an option of the partition {_name(made)}, which takes"
    for option, value in options.items():
        others = [repr(name) for name, other in RULES.items() if option in _arguments(other)]
        do = f"leave it out{', or try partition=' * bool(others)}{' or '.join(others)}"
        checks.require(option in own, f"got {option}={value!r}, {need} {' and '.join(own) or 'none'}; {do}")
    return functools.partial(made, **options)


def divide(data: Dataset, nodes: int, rule: Callable[..., Partition], seed: int = 0) -> Partition:
    """The examples of `data` over `nodes` nodes by a rule of `rule_of`, which is given what it asks for.

    Raises:
      InputError: the rule asks for what the data do not have, or gives what is no partition of them.

    >>> zeros = Dataset(*[np.zeros(10, int)] * 4, num_classes=1, name="zeros", source="")
    >>> divide(zeros, 4, rule_of("iid")).counts.max().item()
    3
    """
    name, about = _name(rule), getattr(data, ASKED[_arguments(rule)[0]])
    do = "try partition='dirichlet'"
    checks.require(about is not None, f"got partition {name!r} of {data.name}, whose examples have no owners; {do}")
    split = rule(np.asarray(about), nodes=nodes, seed=seed)
    got, need = f"from the partition {name}", f"need a jdl.data.Partition of {nodes} nodes"
    checks.require(isinstance(split, Partition), f"got a {type(split).__name__} {got}, {need}; {do}")
    rows = len(split.counts)
    checks.require(rows == len(split.indices) == nodes, f"got {rows} nodes {got}, {need}; try nodes={rows}")
    empty = int(np.sum(np.asarray(split.counts) == 0))
    if nodes > len(data.train_x) or 2 * empty > nodes:
        had = f"{len(data.train_x):,} examples for {nodes:,} nodes"
        checks.note(f"{had}: {empty:,} nodes hold none, and learn from their neighbours alone")
    return split


def _arguments(rule: Callable[..., Partition]) -> list[str]:
    try:
        return list(inspect.signature(rule).parameters)
    except ValueError:  # of what is built in, such as dict, Python may not know them
        return []


def _name(rule: Callable[..., Partition]) -> str:
    """What a rule, or the rule inside a partial, is called in a sentence."""
    return getattr(getattr(rule, "func", rule), "__name__", "given")
