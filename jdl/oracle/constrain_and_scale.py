"""Poisoned models that stay near the model of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Data, Key, Problem, Public, PyTree, Query, number, static

__all__ = ["ConstrainAndScale"]


@struct.dataclass
class ConstrainAndScale:
    """Constrain-and-scale loss: dishonest nodes also keep near the model with which they began the round.

    Their loss is alpha L(x) + (1 - alpha) ||x - x_0||, where L is the loss of their poisoned data and x_0 the model at
    the beginning of the round: that of the server, or among peers their own. It changes the loss alone: `Backdoor`,
    `DBA`, `EdgeCase` or `LabelFlip` beside it poison the data, and `jdl.exchange.ModelReplacement` scales what is sent.
    Honest nodes, and queries about public data, keep their loss.

    Memory:
      a model of each node.

    Args:
      alpha: the share of the loss of the data, 0 to 1; with 1 nothing is constrained.
      squared: whether the distance is squared, which makes a step towards x_0 proportional to it (True), or of a
        constant length (False, as in the authors' code).

    References:
      Bagdasaryan, Veit, Hua, Estrin, Shmatikov 2020, How To Backdoor Federated Learning (constrain-and-scale; the
      public code of the authors was read, in which the second loss is the Euclidean distance).

    >>> import jdl
    >>> attack = [ConstrainAndScale(0.7), jdl.oracle.Backdoor()]
    """

    alpha: float = number(0.5, minimum=0, maximum=1)
    squared: bool = static(False)

    needs: ClassVar[frozenset[str]] = frozenset({"dishonest"})

    def init(self, problem: Problem, key: Key) -> PyTree:
        model = jax.eval_shape(problem.init, key)
        return jax.tree.map(lambda x: jnp.zeros((problem.n, *x.shape), x.dtype), model)

    def begin(self, memory: PyTree, data: Data, model: PyTree) -> PyTree:
        return model

    def objective(
        self,
        inner: Callable[..., tuple[jax.Array, PyTree]],
        data: Data,
        params: PyTree,
        batch: PyTree,
        query: Query,
    ) -> tuple[jax.Array, PyTree]:
        loss, aux = inner(data, params, batch, query)
        if isinstance(query.which, Public):
            return loss, aux
        gap = tree.norm_squared(tree.sub(params, data.memory))
        if not self.squared:
            # The root has no derivative at zero, where the round begins: there it is taken as zero.
            gap = jnp.where(gap > 0, jnp.sqrt(jnp.where(gap > 0, gap, 1)), 0)
        alpha = jnp.asarray(self.alpha, loss.dtype)
        constrained = alpha * loss + (1 - alpha) * gap.astype(loss.dtype)
        return jnp.where(data.honest, loss, constrained), aux
