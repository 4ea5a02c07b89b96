"""Nodes that hear random others at first, and then those that they chose more often than by chance."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.schedule.epidemic_local import others
from jdl.types import Key, Plan, ScheduleState, Seen, Slots, static

__all__ = ["Preferred"]

TIE = 1e-3  # sums of shares that differ by less are the same, but for rounding


@struct.dataclass
class Preferred:
    """Every node hears random others in the first rounds, and then those alone that it kept more often than by chance.

    The method chooses: it reports `{"kept": f[k], "neighbours": i32[k]}` for the k neighbours of a round, where 1
    stands for one that was kept, 0 for another, and -1 in the place of a neighbour of whom nothing arrived (`PENS`). Of
    each pair the schedule adds up kept - (number kept) / (number heard) over the first `acquaint` rounds: how often i
    kept j beyond what a choice at random would give. In these rounds a node hears `candidates` random others;
    afterwards `listen` random ones of those of whom this sum is positive, or as many as there are; a node that has none
    goes on as before. W_ij = 1 / (1 + number heard); row stochastic and directed.

    Sends:
      `candidates` messages a node and round at first, then at most `listen`, in the mean over nodes.

    Memory:
      the sums, f[n, n]; n^2 random numbers are drawn in a round.

    Args:
      n: number of nodes, at least 2.
      candidates: others that a node hears in the first rounds, between 1 and n - 1; the authors take 10.
      listen: others that a node hears afterwards, between 1 and `candidates`.
      acquaint: number of rounds in which nodes get to know each other.

    Raises:
      InputError: if there are not that many other nodes, or if n^2 numbers need more memory than there is.

    >>> import jax
    >>> talk = Preferred(6, candidates=3, acquaint=10)
    >>> plan, _ = talk(talk.init(jax.random.key(0)), 0, jax.random.key(1))
    >>> print(plan.links.senders.shape, plan.links.weights[0])
    (6, 3) [0.25 0.25 0.25]

    References:
      Onoszko, Karlsson, Mogren, Listo Zec 2021, Decentralized federated learning of deep neural networks on non-iid
      data (PENS, its two steps), read in makgyver/gossipy (`node.py`, `PENSNode`), where a node that hears one other at
      a time compares with how often it has sent to it.
    """

    n: int = static(minimum=1)
    candidates: int = static(4, minimum=1)
    listen: int = static(1, minimum=1)
    acquaint: int = static(50, minimum=0)

    def __post_init__(self) -> None:
        n, c = checks.whole("n", self.n, 2), checks.whole("candidates", self.candidates, 1)
        fewer = f"got candidates={c} with n={n}, a node has n - 1 others to hear; try candidates={n - 1}"
        checks.require(c < n, fewer)
        more = f"got listen={self.listen} with candidates={c}, need no more; try listen={c}"
        checks.require(checks.whole("listen", self.listen, 1) <= c, more)
        checks.fits(3 * n * n * jnp.result_type(float).itemsize, f"sums of all pairs of n={n:,} nodes")

    @property
    def watches(self) -> dict[str, Any]:
        """Which neighbours each node kept, and who these are, with their shapes."""
        return {"kept": (self.candidates,), "neighbours": jax.ShapeDtypeStruct((self.candidates,), jnp.int32)}

    def init(self, key: Key) -> ScheduleState:
        """f[n, n], how much more often than by chance each node kept each other."""
        return jnp.zeros((self.n, self.n), jnp.result_type(float))

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """Neighbours that `key` draws, of all others or of those preferred."""
        t = jnp.asarray(t, jnp.int32)
        sums = memory if seen is None else jnp.where(t <= self.acquaint, self._learnt(memory, seen), memory)
        anyone, order = jax.random.split(key)
        friends = sums > TIE
        first = (t < self.acquaint) | ~jnp.any(friends, axis=1)
        lots = jnp.where(friends, 1 + jax.random.uniform(order, sums.shape, sums.dtype), 0)
        height, best = jax.lax.top_k(lots, self.candidates)
        place = jnp.arange(self.candidates, dtype=jnp.int32)[None, :]
        own = jnp.arange(self.n, dtype=jnp.int32)[:, None]
        used = first[:, None] | ((height > 0) & (place < self.listen))
        drawn = jnp.where(first[:, None], others(anyone, self.n, self.candidates), best.astype(jnp.int32))
        share = 1 / (1 + jnp.sum(used, axis=1, dtype=sums.dtype))
        weights = jnp.where(used, share[:, None], 0)
        links = Slots(weights=weights, used=used, senders=jnp.where(used, drawn, own))
        return Plan(links=links, self_weights=share, stochastic="row"), sums

    def _learnt(self, sums: jax.Array, seen: Seen) -> jax.Array:
        """The sums after what was reported in the last round."""
        kept, who = seen.values["kept"].astype(sums.dtype), seen.values["neighbours"].astype(jnp.int32)
        own = jnp.arange(self.n, dtype=jnp.int32)[:, None]
        there = seen.heard[:, None] & (who >= 0) & (who != own)
        kept = jnp.where(there, kept, 0)
        count = jnp.sum(there, axis=1, keepdims=True, dtype=sums.dtype)
        chance = jnp.sum(kept, axis=1, keepdims=True) / jnp.maximum(count, 1)
        return sums.at[own, jnp.where(there, who, self.n)].add(kept - chance, mode="drop")
