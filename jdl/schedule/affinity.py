"""Nodes that choose the neighbours with the highest affinity, which the method reports."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.types import Key, Plan, ScheduleState, Seen, Slots, number, static

__all__ = ["Affinity"]


@struct.dataclass
class Affinity:
    """Every node listens to the other nodes with the highest affinity, and now and then to random ones.

    The method defines the affinity, a number for each link: similarity of models, minus the loss of a neighbour's model
    on the node's own data, ... It hears its neighbours one by one (`jdl.types.Each`), and reports
    `{"affinity": f[k], "neighbours": i32[k]}`, where -1 stands for a neighbour of whom nothing arrived. For each pair,
    the schedule keeps a moving mean of these numbers: mean <- decay mean + (1 - decay) affinity.

    A node has `degree` neighbours in each round: those with the highest means, of which each is replaced, with
    probability `explore`, by a random other node. Nodes without a mean are never among the highest: as long as there
    are fewer than `degree` others, random nodes take the free places. W_ij = 1 / (degree + 1); row stochastic and
    directed.

    Sends:
      `degree` messages a node and round, in the mean over nodes.

    Memory:
      the means, f[n, n]; n^2 random numbers are drawn in a round.

    Args:
      n: number of nodes, at least 2.
      degree: neighbours of each node in a round, between 1 and n - 1.
      explore: probability with which a node listens to a random other node in place of a chosen one; a leaf, so that a
        sweep over it is one program.
      decay: weight of the past in the moving mean, 0 to 1; with 0 the last number counts alone; a leaf.

    Raises:
      InputError: if there are not that many other nodes, or if n^2 numbers need more memory than there is.

    >>> import jax
    >>> talk = Affinity(6, degree=2)
    >>> plan, _ = talk(talk.init(jax.random.key(0)), 0, jax.random.key(1))
    >>> print(plan.links.senders.shape, plan.links.weights[0])
    (6, 2) [0.33333334 0.33333334]
    """

    n: int = static(minimum=1)
    degree: int = static(minimum=1)
    explore: float | jax.Array = number(0.1, minimum=0, maximum=1)
    decay: float | jax.Array = number(0.5, minimum=0, maximum=1)

    def __post_init__(self) -> None:
        n, degree = checks.whole("n", self.n, 2), checks.whole("degree", self.degree, 1)
        fewer = f"got degree={degree} with n={n}, a node has n - 1 others to listen to; try degree={n - 1}"
        checks.require(degree < n, fewer)
        checks.fits(3 * n * n * jnp.result_type(float).itemsize, f"affinities between all pairs of n={n:,} nodes")

    @property
    def watches(self) -> dict[str, Any]:
        """The affinity of each node to its neighbours, and who these are, with their shapes."""
        return {"affinity": (self.degree,), "neighbours": jax.ShapeDtypeStruct((self.degree,), jnp.int32)}

    def init(self, key: Key) -> ScheduleState:
        """f[n, n], the mean affinity of each node to each other; -inf where nothing was reported."""
        return jnp.full((self.n, self.n), -jnp.inf, jnp.result_type(float))

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The neighbours with the highest means, some of them replaced as `key` draws; the round does not matter."""
        means = memory if seen is None else self._learnt(memory, seen)
        which, others = jax.random.split(key)
        own, n = jnp.arange(self.n, dtype=jnp.int32)[:, None], self.n
        height, best = jax.lax.top_k(means, self.degree)
        stays = (height > -jnp.inf) & ~jax.random.bernoulli(which, self.explore, best.shape)
        # Those that stay come first, then all others in random order, and a node itself last.
        order = jax.random.uniform(others, (n, n), means.dtype)
        order = order.at[own, jnp.where(stays, best, n)].add(1, mode="drop").at[own, own].set(-1)
        senders = jax.lax.top_k(order, self.degree)[1].astype(jnp.int32)
        share = jnp.asarray(1 / (self.degree + 1), means.dtype)
        links = Slots(weights=jnp.full(senders.shape, share), used=jnp.ones(senders.shape, bool), senders=senders)
        return Plan(links=links, self_weights=jnp.full(n, share), stochastic="row"), means

    def _learnt(self, means: jax.Array, seen: Seen) -> jax.Array:
        """The means after what was reported in the last round."""
        new, who = seen.values["affinity"].astype(means.dtype), seen.values["neighbours"].astype(jnp.int32)
        own = jnp.arange(self.n, dtype=jnp.int32)[:, None]
        news = seen.heard[:, None] & (who >= 0) & (who != own)
        old = means[own, jnp.where(news, who, own)]
        mean = jnp.where(old > -jnp.inf, self.decay * old + (1 - self.decay) * new, new)
        return means.at[own, jnp.where(news, who, self.n)].set(mean.astype(means.dtype), mode="drop")
