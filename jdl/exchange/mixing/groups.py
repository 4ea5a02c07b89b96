"""Averages within groups."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import tree
from jdl.engine import xla
from jdl.exchange.mixing.sums import rows
from jdl.types import Groups, Plan

__all__ = ["by_groups"]

# Groups with at most this many members are summed in one pass, see `jdl.engine.xla.accumulate`.
FEW = 8
# The least number of rows in a step of a loop that keeps all cores busy.
TEAMS = 128


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
    count, r = links.members.shape
    # A few large groups are divided into teams, so that each step of the loop has enough rows.
    teams = min(r, -(-TEAMS // count))
    size = -(-r // teams)
    spare = ((0, 0), (0, teams * size - r))
    members = jnp.pad(links.members, spare).reshape(count * teams, size)
    used = jnp.pad(links.used, spare).reshape(count * teams, size)
    share = used.astype(own.dtype) / jnp.repeat(jnp.sum(links.used, axis=1, dtype=own.dtype), teams)[:, None]
    first = rows(sent, links.members[:, 0]).astype(own.dtype)
    firsts = jnp.repeat(first, teams, axis=0)

    def add(slot, total):
        difference = rows(sent, members[:, slot]).astype(own.dtype) - firsts
        # An unused place is left out and not multiplied by zero, since its row may be NaN.
        return total + jnp.where(tree.column(used[:, slot], own), tree.column(share[:, slot], own) * difference, 0)

    total = xla.accumulate(size, add, jnp.zeros_like(firsts), FEW)
    mean = first + jnp.sum(total.reshape(count, teams, *own.shape[1:]), axis=1)
    inbox = rows(mean, links.group)
    if own is sent:
        return inbox
    return inbox + tree.column(plan.self_weights.astype(own.dtype), own) * (own - sent.astype(own.dtype))
