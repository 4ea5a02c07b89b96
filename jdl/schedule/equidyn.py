"""One random shift or matching of a random circulant graph in every round (EquiTopo's dynamic graphs)."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.types import Key, Plan, ScheduleState, Seen, Slots, number, static

__all__ = ["Equidyn", "shift_matching"]


@struct.dataclass
class Equidyn:
    """Every node meets one other a round, a random distance further on (OD-EquiDyn and OU-EquiDyn).

    M = `degree` shifts are drawn from 1 to n - 1 with replacement by `seed`, as the authors do; one of them, u, is
    drawn in every round. W(t) = (1 - eta) I + eta (I / n + (n - 1) / n P). Directed: P_ij = 1 at j = i + u mod n,
    doubly stochastic. Undirected: P pairs i with i + u mod n, in turn from a random node on, while both are free:
    symmetric. With all shifts, a directed round leaves (1 - eta)^2 + eta^2 (n - 2) / n of the squared disagreement in
    expectation, which eta = 1/2 makes smallest up to O(1 / n): (n - 1) / (2 n), whatever n. The authors' code has
    eta = 1 by default, which leaves (n - 2) / n: almost all of it.

    Sends:
      1 message a node and round; where undirected, none if the node found no partner.

    Args:
      shifts: i32[M], the shifts to choose from, each as likely as the other.
      n: number of nodes, at least 1.
      eta: how much of W is replaced, 0 to 1; a leaf, so a sweep over it is one program.
      directed: whether a node listens to another one than it sends to.

    References:
      Song, Li, Jin, Shi, Yan, Yin, Yuan, "Communication-Efficient Topologies for Decentralized Learning with O(1)
      Consensus Rate", NeurIPS 2022.
    """

    shifts: jax.Array
    n: int = static(minimum=1)
    eta: float | jax.Array = number(0.5, minimum=0, maximum=1)
    directed: bool = static(False)

    @classmethod
    def for_nodes(
        cls, n: int, degree: int | None = None, directed: bool = False, eta: float = 0.5, seed: int = 0
    ) -> Self:
        """Shifts drawn for n nodes.

        Args:
          n: number of nodes, at least 1.
          degree: shifts to choose from, M; None for all n - 1.
          directed: whether a node listens to another one than it sends to.
          eta: how much of W is replaced, between 0 and 1; a leaf, so a sweep over it is one program.
          seed: of the M shifts.

        >>> import jax
        >>> plan, _ = Equidyn.for_nodes(4, directed=True)((), 0, jax.random.key(0))
        >>> print(plan.self_weights)
        [0.625 0.625 0.625 0.625]
        """
        n, seed = checks.whole("n", n, 1), checks.whole("seed", seed, 0)
        if degree is None:
            shifts = np.arange(1, n)
        else:
            shifts = np.random.default_rng(seed).integers(1, max(n, 2), size=checks.whole("degree", degree, 1))
        shifts = shifts if n > 1 else np.zeros(1, int)  # alone, a node meets itself
        return cls(shifts=jnp.asarray(shifts, jnp.int32), eta=eta, n=n, directed=directed)

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The shift that `key` draws, as one slot a node; the round does not matter."""
        which, where = jax.random.split(key)
        shift = self.shifts[jax.random.randint(which, (), 0, self.shifts.shape[0])]
        own = jnp.arange(self.n, dtype=jnp.int32)
        if self.directed:
            partner = (own + shift) % self.n
        else:
            partner = shift_matching(self.n, shift, jax.random.randint(where, (), 0, self.n, jnp.int32))
        used = partner != own
        share = jnp.where(used, jnp.asarray(self.eta, jnp.result_type(float)) * ((self.n - 1) / self.n), 0)
        links = Slots(weights=share[:, None], used=used[:, None], senders=partner[:, None])
        return Plan(links=links, self_weights=1 - share, symmetric=not self.directed), memory


def shift_matching(n: int, shift: jax.Array, start: jax.Array) -> jax.Array:
    """i32[n], everybody's partner (itself: none) when all in turn, from `start` on, take the one `shift` further on.

    A node that is taken already takes nobody, and nobody takes it. Counted from the start, and for shifts up to n / 2,
    every second block of `shift` nodes takes the block after it, as far as there is one. A larger shift is n - shift
    backwards: the first n - shift nodes take the last ones, the others as before.

    >>> print(shift_matching(5, 2, 0), shift_matching(5, 4, 0))
    [2 3 0 1 4] [4 2 1 3 0]
    """
    own = jnp.arange(n, dtype=jnp.int32)
    place = (own - start) % n
    large = 2 * shift > n
    step = jnp.maximum(jnp.where(large, n - shift, shift), 1)
    first, last = jnp.where(large, step, 0), jnp.where(large, n - step, n)
    inner = place - first
    onwards = (inner // step) % 2 == 0
    partner = jnp.where(onwards, place + step, place - step)
    partner = jnp.where((place < first) | (place >= last), (place + jnp.where(place < first, -step, step)) % n, partner)
    partner = jnp.where((place >= first) & (place < last) & (partner >= last), place, partner)
    return (jnp.where(shift == 0, place, partner) + start) % n
