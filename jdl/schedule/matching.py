"""A fresh random matching in every round."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.types import Key, Plan, ScheduleState, Seen, Slots, static

__all__ = ["Matching"]


@struct.dataclass
class Matching:
    """Every node averages with one random partner, drawn anew each round.

    W(t) = 1/2 on the node and its partner, symmetric and doubly stochastic. All perfect matchings are equally likely;
    where n is odd one random node finds no partner and keeps its own value, though it still computes. For even n
    every pair meets with probability 1 / (n - 1), and a round leaves (n - 2) / (2 (n - 1)) of the squared
    disagreement in expectation, which is less than half whatever n.

    Sends:
      1 message a node and round.

    Args:
      n: number of nodes, at least 1.

    >>> import jax
    >>> plan, _ = Matching(4)((), 0, jax.random.key(0))
    >>> print(plan.self_weights)
    [0.5 0.5 0.5 0.5]

    References:
      Boyd, Ghosh, Prabhakar, Shah, "Randomized gossip algorithms", IEEE Transactions on Information Theory 52, 2006.
    """

    n: int = static(minimum=1)

    def __post_init__(self) -> None:
        checks.whole("n", self.n, 1)

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The matching that `key` draws, as one slot a node; the round does not matter."""
        order = jax.random.permutation(key, jnp.arange(self.n, dtype=jnp.int32))
        left, right = order[: self.n // 2], order[self.n // 2 : self.n // 2 * 2]
        alone = jnp.arange(self.n, dtype=jnp.int32)
        partner = alone.at[left].set(right).at[right].set(left)
        used = partner != alone
        share = jnp.where(used, 0.5, 0.0).astype(jnp.result_type(float))
        links = Slots(weights=share[:, None], used=used[:, None], senders=partner[:, None])
        return Plan(links=links, self_weights=1 - share, stochastic="doubly", symmetric=True), memory
