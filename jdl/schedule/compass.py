"""The scheduler of FedCompass: clients of unequal speeds arrive in groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.events.acts import LAWS, means
from jdl.schedule.arrival_events import of_one_width
from jdl.schedule.compass_events import Limits, groups
from jdl.types import Key, Plan, ScheduleState, Seen, Server, static

__all__ = ["Compass"]


@struct.dataclass
class Compass:
    """Compass: clients of unequal speeds take unequal numbers of local steps, so that groups of them arrive together.

    The server estimates the seconds s_i of a step of each client from its arrivals: s_i <- (1 - m) s_i + m observed. A
    client that begins joins the group that leaves it time for the most steps, K_i = floor((T_group - now) / s_i) within
    [least, most]. If there is no such group it creates one, with as many steps, at most `most`, as fit before the
    fastest client of another group is back from its next job of `most` steps. A group is a round, as soon as all of its
    clients are there, or at the latest time; a client that comes later is a round of its own, whose work `FedCompass`
    keeps until the next group. A client whose speed is not known yet takes `most` steps, and is a round of its own.

    It is for methods whose clients keep the model that they work on, and whose number of local steps is at least
    `most`: `FedCompass`, also `FedAsync` and `FedBuff`, which take late clients as they take others.

    Sends:
      1 message an arrival, to the server.

    Args:
      clients: i32[T, m], the clients of each round, ascending and distinct.
      used: bool[T, m], which of them arrive; the others sleep.
      steps: i32[T, m], the number of local steps that each has taken when it arrives.
      late: bool[T], whether the round is a client that comes after the latest time of its group.
      seconds_at: f[T + 1], the second at which the first t rounds have happened, beginning with 0.
      n: number of nodes, at least 1.

    >>> plan = Compass.of([1.0, 2.0, 3.0], rounds=2, least=2, most=12, known=True)
    >>> print(plan.steps.tolist(), plan.seconds_at)
    [[12, 6, 4], [12, 6, 4]] [ 0. 12. 24.]

    References:
      Li, Chaturvedi, He, Chen, Kim, Huerta, Kim, Madduri 2024, FedCompass: Efficient Cross-Silo Federated Learning on
      Heterogeneous Client Devices Using a Computing Power-Aware Scheduler. Read was the scheduler of APPFL by its
      authors, of which this is a simulation in planned time.
    """

    clients: jax.Array
    used: jax.Array
    steps: jax.Array
    late: jax.Array
    seconds_at: jax.Array
    n: int = static(minimum=1)

    provides: ClassVar[frozenset[str]] = frozenset({"server"})

    @classmethod
    def of(
        cls,
        seconds_per_step: Sequence[float] | np.ndarray,
        rounds: int,
        least: int = 4,
        most: int = 20,
        latest: float = 1.2,
        momentum: float = 0.9,
        known: bool = False,
        law: str = "constant",
        sigma: float = 0.1,
        seed: int = 0,
    ) -> Self:
        """Plan the groups of clients of these speeds.

        Args:
          seconds_per_step: f[n], the mean time of one local step of each client, more than 0.
          rounds: number T of rounds to plan, at least 1.
          least: the smallest number of local steps of a client in a group, at least 1.
          most: the largest number of local steps, at least `least`.
          latest: for how long the server waits for a group: a factor on the expected time from its creation to its
            arrival, at least 1.
          momentum: m, the weight of a new observation in the estimate of the seconds of a step, 0 to 1.
          known: whether the server knows the mean times from the start, and groups are formed at second 0.
          law: of the times: "constant", "exponential" or "log_normal", of the same mean; one factor for all steps of a
            client between two arrivals.
          sigma: standard deviation of the logarithm of a log-normal time.
          seed: of the random times.

        Raises:
          InputError: if a time is not above 0, or if a number is out of its range.
        """
        given = np.asarray(seconds_per_step, np.float64)
        shape = f"got seconds_per_step of shape {given.shape}, need one time for each client, f[n]; try [1.0, 2.5]"
        checks.require(given.ndim == 1 and given.size > 0, shape)
        step = means("seconds_per_step", given, given.size)
        rounds, least = checks.whole("rounds", rounds, 1), checks.whole("least", least, 1)
        most = checks.whole("most", most, least, f"with least={least} need")
        checks.bounded("latest", latest, 1, math.inf)
        checks.bounded("momentum", momentum, 0, 1)
        checks.bounded("sigma", sigma, 0, None)
        limits, seed = Limits(least, most, float(latest), float(momentum)), checks.whole("seed", seed, 0)
        taken = groups(step, rounds, limits, known, checks.known("law", law, LAWS), float(sigma), seed)
        clients, used = of_one_width([list(one.steps) for one in taken], len(step))
        steps = [[one.steps.get(client, most) for client in row] for row, one in zip(clients, taken, strict=True)]
        late, seconds_at = [one.late for one in taken], [0.0, *(one.seconds for one in taken)]
        arrays = clients, used, np.array(steps, np.int32), np.array(late)
        return cls(*map(jnp.asarray, arrays), seconds_at=np.array(seconds_at), n=len(step))

    @classmethod
    def for_nodes(
        cls,
        n: int,
        planned: int = 1_000,
        uneven: float = 0.5,
        least: int = 4,
        most: int = 20,
        latest: float = 1.2,
        seed: int = 0,
    ) -> Self:
        """Groups of clients whose mean times are log-normal, a job of `most` steps taking 1 second in the mean.

        Args:
          n: number of nodes, at least 1.
          planned: number of rounds to plan, the most that a run may take.
          uneven: standard deviation of the logarithm of the clients' mean times; 0 for equal ones.
          least: the smallest number of local steps of a client in a group.
          most: the largest number of local steps.
          latest: for how long the server waits for a group, as a factor on its expected time.
          seed: of all draws.
        """
        n = checks.whole("n", n, 1)
        checks.bounded("uneven", uneven, 0, None)
        normal = np.random.default_rng((checks.whole("seed", seed, 0), 2)).standard_normal(n)
        step = np.exp(uneven * normal - uneven**2 / 2) / checks.whole("most", most, 1)
        return cls.of(step, checks.whole("planned", planned, 1), least, most, latest, law="log_normal", seed=seed)

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The group of round t; the key does not matter. The weight on itself of a client that is late is 1."""
        last, dtype = self.clients.shape[0] - 1, jnp.result_type(float)
        at = jnp.minimum(t, last)
        used = self.used[at] & (t <= last)
        plan = Plan(
            links=Server(weights=used.astype(dtype), used=used),
            self_weights=(used & self.late[at]).astype(dtype),
            active=used,
            steps=self.steps[at],
            participants=self.clients[at],
            stochastic="row",
        )
        return plan, memory
