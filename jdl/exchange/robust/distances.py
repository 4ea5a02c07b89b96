"""Distances between the messages at each row, in turns of a few rows, so that memory stays bounded.

A rule that looks at distances alone answers with coefficients, and what a row receives is their combination. So all
messages are read twice, however many iterations a rule takes, and no array of size [n, k, d] is made.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl.exchange.robust.heard import Heard, heard
from jdl.exchange.robust.near import Near
from jdl.exchange.robust.turns import in_turns, rows_together
from jdl.types import Plan, PyTree, Server

__all__ = ["coefficients", "each_row"]

PAIRS = 2**22  # distances that a rule is given in one turn

Leaves = list[jax.Array]


def coefficients(rule: Callable[[Near], jax.Array], plan: Plan, own: Leaves, sent: Leaves, **more) -> jax.Array:
    """The coefficients with which each row combines what it hears: f[m, k], zero for what did not arrive.

    Args:
      rule: gives f[k], one for each message, from a `Near`.
      plan: as in `each_row`.
      own: as in `each_row`.
      sent: as in `each_row`.
      more: as in `each_row`.
    """
    return each_row(lambda near: jnp.where(near.arrived, rule(near), 0), plan, own, sent, **more)


def each_row(
    function: Callable[[Near], PyTree],
    plan: Plan,
    own: Leaves,
    sent: Leaves,
    *,
    pairs: bool = True,
    base: Leaves | None = None,
    extra: PyTree = None,
) -> PyTree:
    """The values of a function at each row, from the distances between the messages that the row holds.

    Args:
      function: maps a `Near` to arrays.
      plan: a plan whose links are listed one by one and settled.
      own: what the rows keep, leaves `[m, ...]`; together they are one vector.
      sent: what was sent, leaves `[s, ...]`.
      pairs: whether the function asks for distances between messages.
      base: of a server, the point from which it measures; zero by default.
      extra: arrays with a row for each row, which the function is handed.

    Returns:
      Leaves `[m, ...]`; of a server, which has one row, `[1, ...]`.
    """
    dtype = jnp.dtype("float64") if any(x.dtype == "float64" for x in own) else jnp.dtype("float32")
    as_sent = all(mine is theirs for mine, theirs in zip(own, sent, strict=True))
    own, sent = ([x.reshape(x.shape[0], -1) for x in leaves] for leaves in (own, sent))
    if isinstance(plan.links, Server):
        near = _of_server(plan.links, sent, pairs, base, dtype)._replace(extra=jax.tree.map(lambda x: x[0], extra))
        return jax.tree.map(lambda x: x[None], function(near))
    at, m = heard(plan), plans.rows(plan)
    at = at._replace(weights=at.weights.astype(dtype))
    k = at.who.shape[1]
    squared = _of_all(own, sent, as_sent, dtype) if pairs and m * k * k >= 4 * sent[0].shape[0] ** 2 else None

    def turn(rows: jax.Array) -> PyTree:
        mine = Heard(*(x[rows] for x in at))
        if squared is not None:
            near = _looked_up(squared, mine, rows)
        else:
            size = sum(x[0].size for x in own)
            gathered = lambda i: _gathered(own, sent, at.who[rows[i], 1:], rows[i], pairs, dtype)
            near = in_turns(gathered, rows.shape[0], rows_together((k - 1) * size))
        given = jax.tree.map(lambda x: x[rows], extra)
        return jax.vmap(function)(Near(*near, mine.arrived, mine.weights, given))

    return in_turns(turn, m, max(1, PAIRS // (k * k)))


def _gathered(own: Leaves, sent: Leaves, who: jax.Array, rows: jax.Array, pairs: bool, dtype) -> tuple:
    """Distances in the neighbourhoods of a few rows, relative to their own messages, so that little cancels."""
    product = 0
    for mine, all_sent in zip(own, sent, strict=True):
        mine = mine[rows].astype(dtype)
        gap = all_sent.at[who].get(mode="promise_in_bounds").astype(dtype) - mine[:, None]
        product += jnp.einsum("ckd,cld->ckl", gap, gap, precision="highest") if pairs else jnp.sum(gap * gap, axis=2)
    if pairs:
        product = jnp.pad(product, ((0, 0), (1, 0), (1, 0)))  # the own message is the base
        squared = _squared(product)
        return squared[:, 0], squared
    base = jnp.where(jnp.isfinite(product), product, jnp.inf)
    return jnp.pad(base, ((0, 0), (1, 0))), None


def _squared(product: jax.Array) -> jax.Array:
    """Squared distances from inner products, f[..., k, k]."""
    product = (product + jnp.swapaxes(product, -2, -1)) / 2  # so that equal distances are equal to the last bit
    norms = jnp.diagonal(product, axis1=-2, axis2=-1)
    squared = jnp.maximum(norms[..., :, None] + norms[..., None, :] - 2 * product, 0)
    return jnp.where(jnp.isfinite(squared), squared, jnp.inf)  # a sum of NaN stays NaN in maximum, and ends here


def _of_all(own: Leaves, sent: Leaves, as_sent: bool, dtype) -> tuple[jax.Array, jax.Array]:
    """Distances between all messages, and of the rows' own from them, where most pairs are asked for anyway."""
    zero = [jnp.zeros((1, *x.shape[1:]), dtype) for x in sent]
    rough = _squared(_products(sent, sent, zero, dtype))
    middle = jnp.argmin(jnp.sort(rough, axis=1)[:, rough.shape[1] // 2])  # is near the others: little cancels
    base = [jax.lax.dynamic_slice_in_dim(x, middle, 1).astype(dtype) for x in sent]
    product = _products(sent, sent, base, dtype)
    squared = _squared(product)
    if as_sent:
        return squared, squared
    norms = sum(jnp.sum(jnp.square(x.astype(dtype) - b), axis=1) for x, b in zip(own, base, strict=True))
    cross = norms[:, None] + jnp.diagonal(product)[None, :] - 2 * _products(own, sent, base, dtype)
    return squared, jnp.where(jnp.isfinite(cross), jnp.maximum(cross, 0), jnp.inf)


def _products(left: Leaves, right: Leaves, base: Leaves, dtype) -> jax.Array:
    sides = zip(left, right, base, strict=True)
    shifted = (((x.astype(dtype) - b), (y.astype(dtype) - b)) for x, y, b in sides)
    return sum(jnp.einsum("id,jd->ij", x, y, precision="highest") for x, y in shifted)


def _looked_up(squared: tuple[jax.Array, jax.Array], at: Heard, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    between, from_own = squared
    who = at.who[:, 1:]
    inner = between[who[:, :, None], who[:, None, :]]
    base = jnp.pad(from_own[rows[:, None], who], ((0, 0), (1, 0)))
    table = jnp.pad(inner, ((0, 0), (1, 0), (1, 0))).at[:, 0, :].set(base).at[:, :, 0].set(base)
    return base, table


def _of_server(links: Server, sent: Leaves, pairs: bool, base: Leaves | None, dtype) -> Near:
    total = jnp.sum(links.weights)
    weights = (links.weights / jnp.where(total > 0, total, 1)).astype(dtype)
    base = [jnp.zeros((1, 1), dtype) for _ in sent] if base is None else [b.reshape(1, -1).astype(dtype) for b in base]
    gaps = [x.astype(dtype) - b for x, b in zip(sent, base, strict=True)]
    norms = sum(jnp.sum(gap * gap, axis=1) for gap in gaps)
    norms = jnp.where(jnp.isfinite(norms), norms, jnp.inf)
    products = (jnp.einsum("id,jd->ij", gap, gap, precision="highest") for gap in gaps)
    return Near(norms, _squared(sum(products)) if pairs else None, links.weights != 0, weights)
