"""Lies along the cut across which honest nodes agree most slowly."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl import plan as plans
from jdl.exchange.attacks.liars import lying, wide
from jdl.exchange.attacks.victims import AttackOnEach
from jdl.exchange.linear import Linear
from jdl.types import Dense, Exchange, Key, Wire, number

__all__ = ["Spectral", "fiedler"]


@struct.dataclass
class Spectral(AttackOnEach):
    """Spectral heterogeneity: liars push the honest nodes apart across the weakest cut of their graph.

    To honest node i they send x_i + strength v_i sum_k v_k x_k, where v, of norm 1, is the eigenvector of the second
    smallest eigenvalue of the Laplacian of the weights between honest nodes, and k runs over the honest nodes. The
    graph is that of the round. If several eigenvectors belong to this eigenvalue, v is one of them. As in `Dissensus`,
    put `Lossy` before it.

    Sends:
      to each honest neighbour a false message of its own, of the same size as the true one.

    Memory:
      none between rounds; within a round the messages once more and m^2 weights. An eigenvalue problem of m nodes is
      solved in every round, which takes m^3 operations: it is meant for some hundreds of nodes.

    Args:
      strength: factor on the push, at least 0.
      inner: the exchange that receives the messages next.

    References:
      Gaucher, Dieuleveut, Hendrikx 2025, Unified Breakdown Analysis for Byzantine Robust Gossip (as in the public code
      of the authors, which searches the factor; see `jdl.tune`).
    """

    strength: float = number(1.0, minimum=0)
    inner: Exchange = Linear()

    def lies(self, wire: Wire, attacked: jax.Array, key: Key) -> list[jax.Array]:
        s, m = wire.bits.shape[0], plans.rows(wire.plan)
        need = "need one of each node; put Spectral before what delays messages or adds some"
        checks.require(s == m, f"got {s} messages in a round of {m} nodes, {need}")
        v = fiedler(_between(wire, ~lying(wire)))

        def lie(own: jax.Array, sent: jax.Array) -> jax.Array:
            own, sent = wide(own), wide(sent)
            share = tree.column(v.astype(own.dtype), own)
            along = jnp.sum(jnp.where(share != 0, share * sent, 0), axis=0, keepdims=True)
            return own + jnp.asarray(self.strength, own.dtype) * share * along

        return [lie(own, sent) for own, sent in zip(wire.own, wire.sent, strict=True)]


def _between(wire: Wire, honest: jax.Array) -> jax.Array:
    """The symmetric part of the weights between honest rows, f[m, m]."""
    links, m = wire.plan.links, wire.plan.self_weights.shape[0]
    weights = jnp.where(links.used, links.weights, 0)
    if not isinstance(links, Dense):
        places = plans.receivers(links), plans.senders(links)
        weights = jnp.zeros((m, m), weights.dtype).at[places].add(weights)
    weights = jnp.where(honest[:, None] & honest[None, :], weights, 0)
    return (weights + weights.T) / 2


def fiedler(weights: jax.Array) -> jax.Array:
    """The eigenvector of the second smallest eigenvalue of the Laplacian, of norm 1, f[m].

    Args:
      weights: f[m, m], symmetric, with zeros on the diagonal. Nodes without any link are left out, with zeros.
    """
    degree = jnp.sum(weights, axis=1)
    linked = degree > 0
    # No eigenvalue of the others exceeds twice the largest degree: nodes without links come last.
    diagonal = jnp.where(linked, degree, 4 * jnp.max(degree) + 1)
    vectors = jnp.linalg.eigh(jnp.diag(diagonal) - weights)[1]
    return jnp.where(linked & (jnp.sum(linked, dtype=jnp.int32) > 1), vectors[:, min(1, len(degree) - 1)], 0)
