"""Poisoned data: dishonest nodes learn from other labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.oracle.queries import offered
from jdl.types import Data, Public, PyTree, Query

__all__ = ["LabelFlip"]


@struct.dataclass
class LabelFlip:
    """At dishonest nodes (see `jdl.types.Roles`) every example of class y is shown as one of class `classes - 1 - y`.

    Public data and the test set stay as they are.

    Args:
      to: the class as which each class is shown, a whole number for each; None for `classes - 1 - y`.

    References:
      Biggio, Nelson, Laskov 2012, Poisoning Attacks against Support Vector Machines.
      Fang, Cao, Jia, Gong 2020, Local Model Poisoning Attacks to Byzantine-Robust Federated Learning (this flip).
    """

    to: tuple[int, ...] | None = struct.field(pytree_node=False, default=None)

    needs: ClassVar[frozenset[str]] = frozenset({"dishonest"})

    def batch(self, inner: Callable[..., PyTree], data: Data, query: Query) -> PyTree:
        batch = inner(data, query)
        if isinstance(query.which, Public):
            return batch
        problem = data.problem
        offered(problem, "labels")
        classes = problem.classes
        table = tuple(range(classes))[::-1] if self.to is None else tuple(self.to)
        fits = len(table) == classes and all(isinstance(to, int) and 0 <= to < classes for to in table)
        need = f"need one of the {classes} classes from 0 to {classes - 1} for each"
        checks.require(fits, f"got LabelFlip(to={self.to!r}), {need}; leave it out for classes - 1 - y")
        labels = problem.classes_of(batch)
        shown = jnp.asarray(table, labels.dtype)[labels]
        return problem.relabelled(batch, jnp.where(data.honest, labels, shown))
