"""A server without rounds: clients arrive in the order in which they finish."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.schedule.arrival_events import LAWS, planned
from jdl.types import Key, Plan, ScheduleState, Seen, Server, static

__all__ = ["Arrivals"]


@struct.dataclass
class Arrivals:
    """A server without rounds: its clients arrive in the order in which they finish, by their own times.

    A client begins, computes for its time, arrives with what it made, is given the server's new model, and begins
    again. A round is an arrival, or several that the server takes together. It is for methods whose clients keep the
    model that they work on (`FedAsync`, `FedBuff`, `AsyncDiLoCo`): one that sends its model to whoever takes part, as
    `FedAvg` does, runs as if every client had been given the newest model, without any staleness.

    The plan is made on the host, by an exact simulation of the events in double precision, and a round touches the
    rows of those who arrive alone. After the last planned round nobody arrives.

    Sends:
      1 message an arrival, to the server.

    Args:
      clients: i32[T, m], the clients of each round, ascending and distinct.
      used: bool[T, m], which of them arrive; the others sleep.
      seconds_at: f[T + 1], the second at which the rounds before t have happened; beginning with 0.
      n: number of nodes, at least 1.

    >>> plan = Arrivals.of([1.0, 2.5], rounds=4)
    >>> print(plan.clients[:, 0], plan.seconds_at)
    [0 0 1 0] [0.  1.  2.  2.5 3. ]

    References:
      Xie, Koyejo, Gupta 2019, Asynchronous Federated Optimization; Nguyen, Malik, Zhan, Yousefpour, Rabbat, Malek, Huba
      2022, Federated Learning with Buffered Asynchronous Aggregation.
    """

    clients: jax.Array
    used: jax.Array
    seconds_at: jax.Array
    n: int = static(minimum=1)

    @classmethod
    def of(
        cls,
        seconds: Sequence[float] | np.ndarray,
        rounds: int,
        law: str = "constant",
        sigma: float = 0.5,
        buffer: int = 1,
        window: float | None = None,
        seed: int = 0,
    ) -> Self:
        """Plan the arrivals of clients with these times.

        Args:
          seconds: f[n], the mean time of each client from one pull to its next arrival, more than 0; with local steps
            of `s` seconds that is `local_steps * s`.
          rounds: number T of rounds to plan, at least 1.
          law: of the times: "constant"; "exponential", so that arrivals of a client are a Poisson process; or
            "lognormal", of the same mean.
          sigma: standard deviation of the logarithm of a log-normal time.
          buffer: number K of arrivals that the server collects before it answers, 1 to n. With more than 1 those who
            have arrived wait for the others; `FedBuff(buffer=K)` over K = 1 is the one in which nobody waits.
          window: semi-synchronous rounds: the server answers all who have arrived after every so many seconds, and
            these wait till then; their number varies, also to 0. None for none.
          seed: of the random times.

        Raises:
          InputError: if a time is not above 0, or if a number is out of its range.
        """
        times = np.asarray(seconds, np.float64)
        shape = f"got seconds of shape {times.shape}, need one time for each client, f[n]; try [1.0, 1.0, 2.5]"
        checks.require(times.ndim == 1 and times.size > 0, shape)
        wrong = np.flatnonzero(~(np.isfinite(times) & (times > 0)))
        if wrong.size:
            got = f"got seconds={times[wrong[0]]} for client {wrong[0]}, need a time above 0"
            checks.require(False, f"{got}; leave out clients that never finish")
        n, rounds = len(times), checks.whole("rounds", rounds, 1)
        buffer, seed = checks.whole("buffer", buffer, 1), checks.whole("seed", seed, 0)
        wide = f"got buffer={buffer} with {n} clients, of whom each waits for the server's answer; try buffer={n}"
        checks.require(buffer <= n, wide)
        checks.known("law", law, LAWS)
        checks.require(0 <= sigma < math.inf, f"got sigma={sigma}, need 0 or more; try sigma=0.5")
        if window is not None:
            checks.require(0 < window < math.inf, f"got window={window}, need seconds above 0; try window=10.0")
            both = f"got buffer={buffer} and window={window}, need one of them; leave out buffer"
            checks.require(buffer == 1, both)
        plan = planned(times, rounds, law, float(sigma), buffer, window, seed)
        return cls(jnp.asarray(plan.clients), jnp.asarray(plan.used), plan.seconds_at, n)

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The arrivals of round t; the key does not matter."""
        last, dtype = self.clients.shape[0] - 1, jnp.result_type(float)
        at = jnp.minimum(t, last)
        used = self.used[at] & (t <= last)
        plan = Plan(
            links=Server(weights=used.astype(dtype), used=used),
            self_weights=jnp.zeros(used.shape, dtype),
            active=used,
            participants=self.clients[at],
            stochastic="row",
        )
        return plan, memory
