"""Averages within groups."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import tree
from jdl.engine import xla
from jdl.exchange.mixing.sums import rows
from jdl.types import Groups, Plan

__all__ = ["by_groups"]

# Groups of up to this many members are summed in one pass, see `jdl.engine.xla.accumulate`.
FEW = 8
# Rows that a step of a loop should have at least to keep a machine busy.
TEAMS = 128


def by_groups(plan: Plan, own: jax.Array, sent: jax.Array) -> jax.Array:
    """The mean of each group, measured from its first member, so that equal models stay equal."""
    links: Groups = plan.links
    count, r = links.members.shape
    # A few large groups are cut into teams, so that each step of the loop has rows enough to keep the machine busy.
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
        # A place that is not used is left out, not multiplied by zero: its row may hold what is no number.
        return total + jnp.where(tree.column(used[:, slot], own), tree.column(share[:, slot], own) * difference, 0)

    total = xla.accumulate(size, add, jnp.zeros_like(firsts), FEW)
    mean = first + jnp.sum(total.reshape(count, teams, *own.shape[1:]), axis=1)
    inbox = rows(mean, links.group)
    if own is sent:
        return inbox
    return inbox + tree.column(plan.self_weights.astype(own.dtype), own) * (own - sent.astype(own.dtype))
