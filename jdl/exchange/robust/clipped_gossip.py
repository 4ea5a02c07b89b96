"""Gossip in which no message pulls further than a threshold."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.robust.near import Near, clipping, ranks
from jdl.exchange.robust.rule import ByDistance
from jdl.types import number

__all__ = ["CSPlus", "ClippedGossip", "GTS"]

# Sums of weights are compared with room for rounding: three times 1/3 meets 1.
ROUNDING = 1e-6


def heavier(near: Near) -> jax.Array:
    """f[k], for each message the weight of all that are not farther from the node's own, itself among them."""
    place = ranks(near.base)
    return jnp.sum(jnp.where(place[None, :] <= place[:, None], near.weights[None, :], 0), axis=1)


def kept_own(moved: jax.Array) -> jax.Array:
    """The coefficients of messages, where the node's own keeps what the others are not given."""
    return moved.at[0].set(1 - jnp.sum(moved[1:]))


@struct.dataclass
class ClippedGossip(ByDistance):
    """Self-centred clipping: x_i + sum_j W_ij (x_j - x_i) min(1, tau_i / ||x_j - x_i||).

    All arrays of a message are one vector. With tau = None each node takes
    tau_i^2 = sum_{j in S} W_ij ||x_j - x_i||^2 / liars, where S holds as many of the messages closest to its own as
    weigh, together with its own, less than 1 - liars. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round the messages of a few nodes.

    Args:
      tau: the largest distance from a node's own message over which another moves it, the same for all; or None.
      liars: the weight of attackers in a neighbourhood, 0 to 1; used with tau = None. 0 is plain gossip.

    References:
      He, Karimireddy, Jaggi 2022, Byzantine-Robust Decentralized Learning via ClippedGossip. The rule for tau_i is read
      in the code of Gaucher, Dieuleveut, Hendrikx 2025 (`cs_he` in their Byzantine-Robust-Gossip).
    """

    tau: float | None = number(None, minimum=0)
    liars: float = number(0.2, minimum=0, maximum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "peers"})
    pairs: ClassVar[bool] = False
    centred: ClassVar[bool] = True

    def chosen(self, near: Near) -> jax.Array:
        if self.tau is not None:
            return kept_own(near.weights * clipping(near.base, jnp.asarray(self.tau, near.base.dtype)))
        liars = jnp.asarray(self.liars, near.base.dtype)
        inside = heavier(near) < jnp.sum(near.weights) - liars - ROUNDING
        spread = jnp.sum(jnp.where(inside & jnp.isfinite(near.base), near.weights * near.base, 0))
        tau = jnp.where(liars > 0, jnp.sqrt(spread / jnp.where(liars > 0, liars, 1)), jnp.inf)
        return kept_own(near.weights * clipping(near.base, tau))


@struct.dataclass
class CSPlus(ByDistance):
    """CS+: clipped gossip whose threshold is the largest distance within a weight of 1 - 2 liars.

    x_i + sum_j W_ij (x_j - x_i) min(1, tau_i / ||x_j - x_i||), where the messages not farther than tau_i weigh at most
    1 - 2 liars, the node's own among them; tau_i = 0 if its own weighs more. All arrays of a message are one vector.
    It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round the messages of a few nodes.

    Args:
      liars: the weight of attackers in a neighbourhood, 0 to 1/2. 0 is plain gossip.

    References:
      Gaucher, Dieuleveut, Hendrikx 2025, Unified Breakdown Analysis for Byzantine Robust Gossip, read in their code
      (`cs_plus` in Byzantine-Robust-Gossip).
    """

    liars: float = number(0.2, minimum=0, maximum=0.5)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "peers"})
    pairs: ClassVar[bool] = False
    centred: ClassVar[bool] = True

    def chosen(self, near: Near) -> jax.Array:
        room = jnp.sum(near.weights) - 2 * jnp.asarray(self.liars, near.base.dtype)
        inside = near.arrived & (heavier(near) <= room + ROUNDING)
        return kept_own(near.weights * clipping(near.base, jnp.sqrt(jnp.max(jnp.where(inside, near.base, 0)))))


@struct.dataclass
class GTS(ByDistance):
    """GTS: gossip without the farthest messages, a weight of `liars` in all; their weight stays with the node.

    x_i + sum_j w_j (x_j - x_i), where w is W_i without the weight of the messages farthest from x_i; of the message at
    the border a part is left. With equal weights this is NNA, the mean of the nearest messages, in which the node's own
    takes the place of those left out. All arrays of a message are one vector. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round the messages of a few nodes.

    Args:
      liars: the weight of attackers in a neighbourhood, 0 to 1. 0 is plain gossip.

    References:
      Gaucher, Dieuleveut, Hendrikx 2025, Unified Breakdown Analysis for Byzantine Robust Gossip, read in their code
      (`gts` in Byzantine-Robust-Gossip, which gives the message at the border what is left out of it).
    """

    liars: float = number(0.2, minimum=0, maximum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "peers"})
    pairs: ClassVar[bool] = False
    centred: ClassVar[bool] = True

    def chosen(self, near: Near) -> jax.Array:
        room = jnp.sum(near.weights) - jnp.asarray(self.liars, near.base.dtype)
        before = heavier(near) - near.weights
        kept = jnp.minimum(near.weights, jnp.maximum(room - before, 0))
        return kept_own(jnp.where(jnp.isfinite(near.base), kept, 0))
