"""A server whose clients come by chance, each by itself."""

from __future__ import annotations

import numbers

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.types import Key, Plan, ScheduleState, Seen, Server, number, static

__all__ = ["PoissonSampling"]


@struct.dataclass
class PoissonSampling:
    """A server talks to each node with one probability, independently of the others, in every round.

    The number of clients of a round is random, also 0, with mean `rate` n: the sampling that accounts of privacy assume
    (`jdl.exchange.ClientPrivacy` with `expected` = rate n). Programs have fixed shapes, so rows are computed for `most`
    clients, of which those that were not drawn sleep; `Availability.for_nodes(n, rate)` computes all n.

    Sends:
      one message per client drawn, to the server; rate n a round in the mean.

    Args:
      n: number of nodes, at least 1.
      rate: the probability with which a node takes part in a round, 0 to 1.
      most: rows of a round, 1 to n; None: n, so that all who are drawn take part. Of more than `most`, chance decides.

    Raises:
      InputError: if `n` or `most` is no whole number within its bounds, or if `rate` is a number of clients.

    References:
      McMahan, Ramage, Talwar, Zhang 2018, Learning Differentially Private Recurrent Language Models, Algorithm 1.
    """

    n: int = static(minimum=1)
    rate: float = number(minimum=0, maximum=1)
    most: int | None = static(None, minimum=1)

    def __post_init__(self) -> None:
        n, rate = checks.whole("n", self.n, 1), self.rate
        if isinstance(rate, numbers.Real) and 1 < rate <= n:  # a number of clients
            got = f"got rate={rate}, need the probability of each of {n} nodes, 0 to 1"
            checks.require(False, f"{got}; for {rate} clients a round in the mean try rate={rate / n:.4g}")
        most = n if self.most is None else checks.whole("most", self.most, 1)
        checks.require(most <= n, f"got most={most} with n={n}, a round has at most n clients; try most=None")

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The clients that `key` draws, ids ascending; the round does not matter."""
        drawn, dtype = jax.random.uniform(key, (self.n,)), jnp.result_type(float)
        rows = self.n if self.most is None else self.most
        first = jnp.argsort(drawn)[:rows] if rows < self.n else jnp.arange(self.n)
        ids = jnp.sort(first).astype(jnp.int32)
        used = drawn[ids] < jnp.asarray(self.rate, drawn.dtype)
        plan = Plan(
            links=Server(weights=used.astype(dtype), used=used),
            self_weights=jnp.zeros(rows, dtype),
            active=used,
            participants=ids,
            stochastic="row",
        )
        return plan, memory
