"""A server that draws clients with replacement."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.types import Key, Plan, ScheduleState, Seen, Server, static

__all__ = ["SamplingWithReplacement", "drawn", "shares"]


@struct.dataclass
class SamplingWithReplacement:
    """A server draws clients one by one with replacement; one that is drawn twice counts twice.

    With probabilities in proportion to the clients' examples, and a method that weighs clients alike
    (`FedAvg(weighted=False)`), the aggregate is unbiased: its expectation is sum_k p_k Delta_k, whatever m. A client
    computes and sends once, however often it is drawn; its weight is how often.

    Sends:
      1 message, to the server, of each client drawn: n (1 - (1 - 1/n)^m) a round in the mean, if all are alike.

    Args:
      probabilities: f[n], of each client in one draw, with sum 1.
      participants: draws in a round, m, at least 1; up to min(m, n) rows are computed.

    References:
      Li, Huang, Yang, Wang, Zhang, "On the Convergence of FedAvg on Non-IID Data", ICLR 2020, Scheme I.
    """

    probabilities: jax.Array
    participants: int = static(minimum=1)

    @classmethod
    def for_nodes(cls, n: int, participants: int, probabilities: np.ndarray | None = None) -> Self:
        """Draws of n clients with probabilities in proportion to the given ones.

        Args:
          n: number of nodes, at least 1.
          participants: draws in a round, m, at least 1; up to min(m, n) rows are computed.
          probabilities: `[n]`, of each client in one draw, up to a factor; None: all alike.

        >>> import jax
        >>> plan, _ = SamplingWithReplacement.for_nodes(100, participants=10)((), 0, jax.random.key(0))
        >>> plan.participants.shape, float(plan.links.weights.sum())
        ((10,), 10.0)
        """
        n, participants = checks.whole("n", n, 1), checks.whole("participants", participants, 1)
        return cls(probabilities=shares(n, probabilities), participants=participants)

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
        return plan_of(times, times.astype(self.probabilities.dtype), self.participants), memory


def drawn(key: Key, probabilities: jax.Array, draws: int) -> jax.Array:
    """i32[n], how often each client is drawn in `draws` independent draws."""
    # By the distribution function: a binary search for each draw, where a categorical one would take n numbers for it.
    upto = jnp.cumsum(probabilities)
    point = jax.random.uniform(key, (draws,), upto.dtype) * upto[-1]
    # Rounding may lead past the last client with a positive probability; it stands for them all.
    last = (upto.shape[0] - 1 - jnp.argmax(probabilities[::-1] > 0)).astype(jnp.int32)
    who = jnp.minimum(jnp.searchsorted(upto, point, side="right"), last)
    return jnp.zeros(upto.shape[0], jnp.int32).at[who].add(1)


def plan_of(times: jax.Array, weights: jax.Array, draws: int) -> Plan:
    """The plan of min(draws, n) rows, ids ascending: all clients drawn, `times: i32[n]`, with their `weights: f[n]`.

    No client may have two rows. Where some were drawn twice, clients that were not drawn fill the rows, asleep.
    """
    n = times.shape[0]
    first = jnp.argsort(times == 0, stable=True).astype(jnp.int32)
    ids = jnp.sort(first[: min(draws, n)])
    used = times[ids] > 0
    return Plan(
        links=Server(weights=jnp.where(used, weights[ids], 0), used=used),
        self_weights=jnp.zeros(ids.shape, weights.dtype),
        active=used,
        participants=ids,
        stochastic="row",
    )


def shares(n: int, probabilities: np.ndarray | None) -> jax.Array:
    """f[n] that sum to one: `probabilities`, or 1 / n each; a sentence unless they are n numbers, none below zero."""
    p = np.ones(n) if probabilities is None else np.asarray(probabilities, float)
    need = f"got probabilities of shape {p.shape}, need {n} finite numbers, none negative, and one above 0 at least"
    good = p.shape == (n,) and bool(np.all(np.isfinite(p)) and np.all(p >= 0) and p.sum() > 0)
    checks.require(good, f"{need}; try probabilities=None, all alike")
    return jnp.asarray(p / p.sum(), jnp.result_type(float))
