"""A server with a random sample of the nodes in every round."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.types import Key, Plan, ScheduleState, Seen, static

__all__ = ["Sampling", "sample"]


# If m^2 / n is at most this number, m^2 comparisons cost less than a shuffle of n numbers. With m = 100 and n = 10,000,
# comparisons take 55 us on a CPU, and the shuffle takes 3,700 us.
MOST_COMPARED = 64


def sample(key: Key, n: int, m: int) -> jax.Array:
    """Draw m of the numbers 0 to n - 1, i32[m], ascending. Every set of m is equally likely. Small m cost O(m^2).

    >>> sample(jax.random.key(0), n=5, m=5).tolist()
    [0, 1, 2, 3, 4]

    References:
      Bentley, Floyd 1987, Programming Pearls: A Sample of Brilliance.
    """
    if m == n:
        return jnp.arange(n, dtype=jnp.int32)
    if m * m > MOST_COMPARED * n:
        return jnp.sort(jax.random.permutation(key, jnp.arange(n, dtype=jnp.int32))[:m])
    last = jnp.arange(n - m, n, dtype=jnp.int32)
    drawn = jax.random.randint(key, (m,), 0, last + 1, jnp.int32)
    # The i-th draw is from the first n - m + i + 1 numbers. If it was chosen before, the last of them replaces it. It
    # was chosen before if an earlier draw is the same, or if it is the last number of an earlier draw and replaced that
    # one. Such chains are followed for all draws at once, twice as far in each step.
    earlier = jnp.tri(m, k=-1, dtype=bool)
    replaced = jnp.any((drawn[:, None] == drawn[None, :]) & earlier, axis=1)
    own = jnp.arange(m, dtype=jnp.int32)
    link = jnp.where((drawn >= n - m) & (drawn < last), drawn - (n - m), own)
    for _ in range(max(m - 1, 1).bit_length()):
        replaced, link = replaced | replaced[link], link[link]
    return jnp.sort(jnp.where(replaced, last, drawn))


@struct.dataclass
class Sampling:
    """A server talks to a few random nodes, drawn anew each round without replacement.

    Every set of m of the n nodes is equally likely, so each node takes part in a round with probability m / n. Only
    the rows of participants are gathered, computed and scattered back.

    Sends:
      one message per participant and round, to the server.

    Args:
      n: number of nodes, at least 1.
      participants: m, between 1 and n.

    >>> import jax
    >>> Sampling(100, participants=10)((), 0, jax.random.key(0))[0].participants.shape
    (10,)

    References:
      McMahan, Moore, Ramage, Hampson, Aguera y Arcas, "Communication-Efficient Learning of Deep Networks from
      Decentralized Data", AISTATS 2017.
    """

    n: int = static(minimum=1)
    participants: int = static(minimum=1)

    def __post_init__(self) -> None:
        n, participants = checks.whole("n", self.n, 1), checks.whole("participants", self.participants, 1)
        need = f"got participants={participants} with n={n}, a sample needs at most n; try participants={n}"
        checks.require(participants <= n, need)

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The sample that `key` draws, ids ascending; the round does not matter."""
        return plans.clients(sample(key, self.n, self.participants)), memory
