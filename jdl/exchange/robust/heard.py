"""Whose messages each row holds."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl.types import Plan

__all__ = ["Heard", "heard"]


class Heard(NamedTuple):
    """Whose messages each row holds, its own first.

    Attributes:
      who: i32[m, k], rows of what was sent; the first is not used.
      arrived: bool[m, k].
      weights: f[m, k].
    """

    who: jax.Array
    arrived: jax.Array
    weights: jax.Array


def heard(plan: Plan) -> Heard:
    """The closed neighbourhood of each row of a plan among peers, whose links are listed one by one and settled."""
    links, m = plan.links, plans.rows(plan)
    who = plans.senders(links)
    own = jnp.arange(m, dtype=jnp.int32)[:, None]
    join = lambda first, rest: jnp.concatenate([first, rest], axis=1)
    weights = join(plan.self_weights[:, None], links.weights)
    return Heard(join(own, who), join(jnp.ones((m, 1), bool), links.weights != 0), weights)
