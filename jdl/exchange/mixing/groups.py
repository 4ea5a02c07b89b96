"""Averages within groups."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import tree
from jdl.engine import xla
from jdl.exchange.mixing.sums import rows
from jdl.types import Groups, Plan

__all__ = ["by_groups"]


def by_groups(plan: Plan, own: jax.Array, sent: jax.Array) -> jax.Array:
    """Compute the mean of each group, as its first member plus the mean difference, so that equal models stay equal.

    Args:
      plan: a plan with `Groups`.
      own: f[m, ...], the models of the rows.
      sent: f[m, ...], the messages.

    Returns:
      f[m, ...], the sums.
    """
    links: Groups = plan.links
    size = jnp.sum(links.used, axis=1, keepdims=True, dtype=own.dtype)
    share = links.used.astype(own.dtype) / jnp.maximum(size, 1)  # a group may be empty
    first = rows(sent, links.members[:, 0]).astype(own.dtype)

    def add(slot, total):
        difference = rows(sent, links.members[:, slot]).astype(own.dtype) - first
        # An unused place is left out and not multiplied by zero, since its row may be NaN.
        used, weight = tree.column(links.used[:, slot], own), tree.column(share[:, slot], own)
        return total + jnp.where(used, weight * difference, 0)

    total = xla.accumulate(links.members.shape[1], add, jnp.zeros_like(first))
    inbox = rows(first + total, links.group)
    if own is sent:
        return inbox
    return inbox + tree.column(plan.self_weights.astype(own.dtype), own) * (own - sent.astype(own.dtype))
