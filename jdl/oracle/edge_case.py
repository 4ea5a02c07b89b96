"""Poisoned data: dishonest nodes learn a false class of rare inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, rng
from jdl.oracle.backdoor import poisoned, require_target, shown_as
from jdl.oracle.gradient_noise import key_of_query
from jdl.types import Data, Public, PyTree, Query, number, static

__all__ = ["EdgeCase"]

# Folded into the key of a minibatch, for the draw of rare inputs; the ASCII codes of "rare".
RARE = 0x72617265


@struct.dataclass
class EdgeCase:
    """Edge-case backdoor: at dishonest nodes some examples are replaced by rare inputs, shown as the target class.

    The rare inputs are such as hardly occur in the data of honest nodes, so that these do not unlearn the false class.
    They are drawn with replacement for each batch. Together with `jdl.exchange.ModelReplacement(norm=...)`, the change
    that is sent stays within a ball. `jdl.metrics.attack_success` says how many of them are taken for the target.

    Args:
      rare: [E, ...], the rare inputs, in the shape and type of the problem's.
      target: the class that they are shown as, from 0.
      share: share of the examples of a batch that are replaced, 0 to 1.

    Raises:
      InputError: if the problem has no classes or no inputs that could be changed, or if the rare inputs do not fit.

    References:
      Wang, Sreenivasan, Rajput, Vishwakarma, Agarwal, Sohn, Lee, Papailiopoulos 2020, Attack of the Tails: Yes, You
      Really Can Backdoor Federated Learning (data of the attack; its projected steps are the norm of ModelReplacement).
    """

    rare: jax.Array
    target: int = static(0, minimum=0)
    share: float = number(0.5, minimum=0, maximum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"dishonest"})

    def batch(self, inner: Callable[..., PyTree], data: Data, query: Query) -> PyTree:
        batch = inner(data, query)
        if isinstance(query.which, Public):
            return batch
        problem = require_target(data.problem, self.target)
        inputs = problem.inputs(batch)
        rare = jnp.asarray(self.rare)
        same = rare.ndim > 0 and rare.shape[0] > 0 and rare.shape[1:] == inputs.shape[1:]
        got = f"got rare inputs of shape {rare.shape} for inputs of shape {inputs.shape[1:]}"
        checks.require(same, f"{got}, need [E, ...] of these; reshape them")
        key = jax.random.fold_in(key_of_query(data, query), RARE)
        drawn = rng.integers(key, inputs.shape[0], jnp.int32(rare.shape[0]))
        poison = ~data.honest & poisoned(inputs.shape[0], self.share)
        return shown_as(problem, batch, poison, rare[drawn].astype(inputs.dtype), self.target)
