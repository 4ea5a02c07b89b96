"""What rows receive: combinations of the messages that they hold, with the coefficients of a rule."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import tree
from jdl.exchange import mixing
from jdl.types import Dense, Plan, Server

__all__ = ["combined"]

Leaves = list[jax.Array]


def combined(plan: Plan, own: Leaves, sent: Leaves, chosen: jax.Array, base: Leaves | None = None) -> Leaves:
    """Compute `base_i + sum_j c_ij (x_j - base_i)`, in which a message without a coefficient has no part.

    Args:
      plan: a plan whose links are listed one by one and settled.
      own: what the rows keep, leaves `[m, ...]`. Among peers, a row's own message is its base; where its coefficient is
        zero and those of the others sum to one, it has no part.
      sent: what was sent, leaves `[s, ...]`.
      chosen: f[m, k], the coefficients c of a row's own message and of those on its links; f[1, s] for a server.
      base: of a server, leaves without an axis of rows; zero by default.

    Returns:
      Leaves `[m, ...]`; for a server, without an axis of rows.
    """
    if isinstance(plan.links, Server):
        base = [jnp.zeros(x.shape[1:], x.dtype) for x in own] if base is None else base
        return [_at_server(chosen[0], mine, theirs, b) for mine, theirs, b in zip(own, sent, base, strict=True)]
    plan = plan.replace(
        links=plan.links.replace(weights=chosen[:, 1:]), self_weights=chosen[:, 0], stochastic="row", symmetric=False
    )
    if isinstance(plan.links, Dense):
        return [_by_product(plan, mine, theirs) for mine, theirs in zip(own, sent, strict=True)]
    return mixing.mix(plan, own, sent)


def _at_server(chosen: jax.Array, own: jax.Array, sent: jax.Array, base: jax.Array) -> jax.Array:
    base, weights = base.astype(own.dtype), chosen.astype(own.dtype)
    gaps = tree.where_rows(chosen != 0, sent.astype(own.dtype) - base[None], jnp.zeros((), own.dtype))
    return base + jnp.tensordot(weights, gaps, axes=1, precision="highest")


def _by_product(plan: Plan, own: jax.Array, sent: jax.Array) -> jax.Array:
    """The same as a matrix product, in which a message that nobody takes may be anything, such as NaN."""
    weights = plan.links.weights.astype(own.dtype)
    centre = jnp.where(jnp.isfinite(own[:1]), own[:1], 0)  # so that rounding is relative to differences
    taken = jnp.any(weights != 0, axis=0)
    gaps = tree.where_rows(taken, sent.astype(own.dtype) - centre, jnp.zeros((), own.dtype))
    total = jnp.tensordot(weights, gaps, axes=1, precision="highest")
    base = jnp.where(tree.column(plan.self_weights, own) != 0, own, centre)
    return base + total - tree.column(jnp.sum(weights, axis=1), own) * (base - centre)
