"""A server that draws important clients more often, and makes up for it by weights."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.schedule.sampling_with_replacement import drawn, plan_of, shares
from jdl.types import Key, Plan, ScheduleState, Seen, static

__all__ = ["Importance"]


@struct.dataclass
class Importance:
    """A server draws clients with given probabilities q, with replacement, and weighs them by 1 / q.

    A client drawn c_k times of m has the weight c_k / (n m q_k): sum_k w_k Delta_k then has the expectation of the mean
    over all clients, (1/n) sum_k Delta_k, and with a method that weighs by examples that of sum_k n_k Delta_k / n. The
    aggregate of a server is divided by the weights that arrive, whose expectation is 1: the ratio of two unbiased sums,
    itself biased by O(1/m). What is unbiased for any m is `SamplingWithReplacement`, by the shares wanted.

    Sends:
      1 message, to the server, of each client drawn.

    Args:
      probabilities: f[n], q, each above 0, with sum 1.
      participants: draws in a round, m, at least 1; up to min(m, n) rows are computed.

    References:
      Rizk, Vlaski, Sayed, "Federated Learning Under Importance Sampling", IEEE Transactions on Signal Processing 70,
      2022.
    """

    probabilities: jax.Array
    participants: int = static(minimum=1)

    @classmethod
    def for_nodes(cls, n: int, participants: int, probabilities: np.ndarray) -> Self:
        """Draws of n clients with probabilities in proportion to the given ones.

        Args:
          n: number of nodes, at least 1.
          participants: draws in a round, m, at least 1; up to min(m, n) rows are computed.
          probabilities: `[n]`, q, up to a factor, each above 0.

        >>> import jax
        >>> draws = Importance.for_nodes(4, participants=1, probabilities=[1, 1, 1, 5])
        >>> plan, _ = draws((), 0, jax.random.key(0))
        >>> float((plan.links.weights * draws.probabilities[plan.participants]).sum())
        0.25
        """
        n, participants = checks.whole("n", n, 1), checks.whole("participants", participants, 1)
        q = shares(n, probabilities)
        need = "got a client of probability 0, need numbers above 0: the mean is over all clients; leave it out of n"
        checks.require(bool(np.all(np.asarray(q) > 0)), need)
        return cls(probabilities=q, participants=participants)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.probabilities.shape[0]

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The draws that `key` makes; the round does not matter."""
        times = drawn(key, self.probabilities, self.participants)
        worth = times.astype(self.probabilities.dtype) / jnp.where(times > 0, self.probabilities, 1)
        return plan_of(times, worth / (self.n * self.participants), self.participants), memory
