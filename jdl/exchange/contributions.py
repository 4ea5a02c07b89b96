"""Nodes that count for more or for nothing, and nodes that give and do not take."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire

__all__ = ["Contributions"]


@struct.dataclass
class Contributions:
    """Contributions: the model of each node counts with a weight of its own, and some nodes do not take the average.

    W'_ij = W_ij c_j / sum_k W_ik c_k with the weights c, and a row of the identity for a node that does not take, or
    that hears nobody who counts. W' is row stochastic. Over groups it is the weighted mean of hivemind's all-reduce. A
    node of weight 0 that takes is a reader, one that does not is hivemind's auxiliary peer, whose model has no part in
    the average; one that only gives can be a fixed teacher. (hivemind's client mode says who computes averages, and
    changes none.) If a message is lost on the way, its weight goes to the receiver's own model, even if that counts for
    nothing. `Contributions.of` makes one, e.g. of `roles.group != 2`.

    Sends:
      the message, to those neighbours that take it; nothing from nodes of weight 0.

    Args:
      weights: f[n], the weight of each node as a sender, at least 0.
      takes: bool[n], which nodes take the average.
      inner: the exchange that averages.

    References:
      Ryabinin, Gorbunov, Plokhotnyuk, Pekhimenko 2021, Moshpit SGD; the modes of peers and their weights in the
      all-reduce of hivemind (code read).
    """

    weights: jax.Array
    takes: jax.Array
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "at_once"})
    breaks: ClassVar[frozenset[str]] = frozenset(
        {"doubly_stochastic", "column_stochastic", "symmetric", "per_link", "push"}
    )

    @classmethod
    def of(cls, weights: Any, takes: Any = None) -> Self:
        """Contributions by the numbers of nodes.

        Args:
          weights: f[n], numbers of examples, say, or bool[n], who counts.
          takes: bool[n], None for all.

        Raises:
          InputError: if weights are not finite numbers [n] of at least 0, or takes is not bool[n].

        >>> Contributions.of([1, 1, 0]).takes
        Array([ True,  True,  True], dtype=bool)
        """
        weights = np.asarray(weights)
        takes = np.ones(weights.shape, bool) if takes is None else np.asarray(takes)
        good = (
            weights.ndim == 1 and weights.dtype.kind in "biuf" and np.all(np.isfinite(weights)) and np.all(weights >= 0)
        )
        checks.require(bool(good), f"got weights {weights!r}, need finite numbers [n] of at least 0")
        same = takes.dtype == bool and takes.shape == weights.shape
        checks.require(same, f"got takes {takes!r}, need bool[n], one for each of {weights.shape[0]} nodes")
        return cls(jnp.asarray(weights, jnp.result_type(float)), jnp.asarray(takes))

    def init(self, message: Message) -> ExchangeState:
        n = [leaf.shape[0] for leaf in jax.tree.leaves(message)][:1] or [len(self.weights)]
        checks.require(
            len(self.weights) == n[0], f"got weights of {len(self.weights)} nodes, need one for each of {n[0]}"
        )
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        plan = plans.one_by_one(wire.plan)
        links, ids, m = plan.links, plans.ids(plan), plans.rows(plan)
        c = self.weights.astype(plan.self_weights.dtype)
        given = c[wire.origin][plans.senders(links)]
        weights, own = links.weights * given, plan.self_weights * c[ids]
        total = plans.into(links, weights, m) + own
        takes = self.takes[ids] & (total > 0)
        total, into = jnp.where(takes, total, 1), plans.receivers(links)
        weights = jnp.where(takes[into], weights / total[into], 0)
        # One minus the others, so that equal models stay equal to the last bit.
        own = jnp.where(takes & (own == 0), 0, 1 - plans.into(links, weights, m))
        used = links.used & takes[into] & (given > 0)
        arrived = None if links.arrived is None else links.arrived & used
        links = links.replace(weights=weights, used=used, arrived=arrived)
        plan = plan.replace(links=links, self_weights=own, stochastic="row", symmetric=False)
        return self.inner.apply(state, wire.replace(plan=plan), key)
