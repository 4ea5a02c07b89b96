"""Nodes that join: their state is made from what they hear of their neighbours."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl import tree
from jdl.engine.nodes import each_node
from jdl.engine.state import Simulation
from jdl.types import Plan, PyTree, Traffic

__all__ = ["joined"]


def joined(s: Simulation, plan: Plan, rows: dict, nodes: PyTree) -> tuple[PyTree, Traffic]:
    """Give every node that joins a new state, made from the models of its neighbours.

    The node begins with the mean of these models, weighted by its links. Neighbours that join in the same round are
    left out. If no neighbour is left, the node begins with the model that it has.

    Args:
      s: the simulation, between peers.
      plan: who talks this round; `joins` says who joins.
      rows: the stacked fields of each row's `Node`.
      nodes: the states of the rows.

    Returns:
      The states, and the traffic: one model on each of the links into nodes that join.
    """
    models = jax.vmap(s.algorithm.model)(nodes)
    links = plans.one_by_one(plan).links
    who, into = plans.senders(links), plans.receivers(links)
    tells = links.used & plan.joins[into] & ~plan.joins[who]
    weights = jnp.where(tells, links.weights, 0)
    total = plans.into(links, weights, plans.rows(plan))
    share = weights / jnp.where(total > 0, total, 1)[into]

    def mean(x):
        def part(share, told):
            # A model that is not sent is left out and not multiplied by zero, since it may be NaN.
            share = tree.column(share.astype(x.dtype), told)
            return jnp.where(share != 0, share * told, 0)

        # Link by link where every row has a few slots: no array of [m, k, d] is made.
        if share.ndim == 1:
            heard = jnp.zeros_like(x).at[into].add(part(share, x[who]))
        else:
            add = lambda slot, sum_: sum_ + part(share[:, slot], x[who[:, slot]])
            heard = jax.lax.fori_loop(0, share.shape[1], add, jnp.zeros_like(x))
        return jnp.where(tree.column(total > 0, x), heard, x)

    new = each_node(s, "init", "init", rows, jax.tree.map(mean, models))
    copies = jnp.zeros(plans.rows(plan), jnp.float32).at[who].add(tells.astype(jnp.float32))
    return tree.where_rows(plan.joins, new, nodes), Traffic(bits=copies * tree.bits(models), messages=copies)
