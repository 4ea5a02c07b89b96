"""A server without rounds: clients arrive in the order in which they finish."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.events.acts import LAWS, means
from jdl.schedule.arrival_events import planned
from jdl.types import Key, Plan, ScheduleState, Seen, Server, static

__all__ = ["Arrivals"]


@struct.dataclass
class Arrivals:
    """A server without rounds: clients arrive in the order in which they finish, each after its own time.

    A client begins, computes for its time, arrives with what it made, is given the server's new model, and begins
    again. A round is an arrival, or several that the server takes together. It is for methods whose clients keep the
    model that they work on (`FedAsync`, `FedBuff`, `AsyncDiLoCo`): one that sends its model to whoever takes part, as
    `FedAvg` does, runs as if every client had been given the newest model, without any staleness.

    With `concurrency` below n, not all clients work at a time: when one arrives, a client that is idle now, drawn
    uniformly, is given the new model and begins, which may be the one that arrived. `Arrivals.dynamic` plans local
    steps in proportion to the speeds of clients.

    The plan is made on the host, by an exact simulation of the events in double precision, and a round touches the
    rows of those who arrive or begin. After the last planned round nobody arrives.

    Sends:
      1 message an arrival, to the server.

    Args:
      clients: i32[T, m], the clients of each round, ascending and distinct.
      used: bool[T, m], which of them arrive. Those who neither arrive nor begin sleep.
      seconds_at: f[T + 1], the second at which the first t rounds have happened, beginning with 0.
      n: number of nodes, at least 1.
      begins: bool[T, m], which of them are given the new model and begin; None where those who arrive do.
      steps: i32[T, m], the most local steps that each takes before it arrives; None for no limit.
      waited_at: f[T + 1], for how long all clients together have not computed by then, from which the column
        `idle_share` follows; None if it is not known.

    >>> plan = Arrivals.of([1.0, 2.5], rounds=4)
    >>> print(plan.clients[:, 0], plan.seconds_at)
    [0 0 1 0] [0.  1.  2.  2.5 3. ]

    References:
      Xie, Koyejo, Gupta 2019, Asynchronous Federated Optimization; Nguyen, Malik, Zhan, Yousefpour, Rabbat, Malek, Huba
      2022, Federated Learning with Buffered Asynchronous Aggregation; Liu, Chhaparia, Douillard, Kale, Rusu, Shen,
      Szlam, Ranzato 2024, Asynchronous Local-SGD Training for Language Modeling (dynamic local updates).
    """

    clients: jax.Array
    used: jax.Array
    seconds_at: jax.Array
    n: int = static(minimum=1)
    begins: jax.Array | None = None
    steps: jax.Array | None = None
    waited_at: jax.Array | None = None

    provides: ClassVar[frozenset[str]] = frozenset({"server"})  # so that the command line knows it without a plan

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
        concurrency: int | None = None,
        steps: Sequence[int] | np.ndarray | None = None,
    ) -> Self:
        """Plan the arrivals of clients with these times.

        Args:
          seconds: f[n], the mean time of each client from one pull to its next arrival, more than 0; with local steps
            of `s` seconds that is `local_steps * s`.
          rounds: number T of rounds to plan, at least 1.
          law: of the times: "constant"; "exponential", so that arrivals of a client are a Poisson process; or
            "log_normal", of the same mean.
          sigma: standard deviation of the logarithm of a log-normal time.
          buffer: number K of arrivals that the server collects before it answers, 1 to `concurrency`. With more than 1
            those who have arrived wait for the others; for FedBuff, in which nobody waits, leave 1 here and give the
            method `buffer=K`.
          window: for semi-synchronous rounds, the seconds of one: at its end the server answers all who have arrived in
            it, from none to all, and who wait till then. None for a server that answers after `buffer` arrivals.
          seed: of the random times, and of who begins.
          concurrency: number M of clients that work at a time, 1 to n; None for all n.
          steps: i32[n], the largest number of local steps that each client takes in its time; None for no limit.

        Raises:
          InputError: if a time is not above 0, or if a number is out of its range.
        """
        need = "need one time for each client, f[n]; try [1.0, 1.0, 2.5]"
        try:
            times = np.asarray(seconds, np.float64)
        except (TypeError, ValueError) as error:
            raise checks.InputError(f"got seconds={seconds!r}, {need}") from error
        shape = f"got seconds of shape {times.shape}, {need}"
        checks.require(times.ndim == 1 and times.size > 0, shape)
        wrong = np.flatnonzero(~(np.isfinite(times) & (times > 0)))
        if wrong.size:
            got = f"got seconds={times[wrong[0]]} for client {wrong[0]}, need a time above 0"
            checks.require(False, f"{got}; leave out clients that never finish")
        n, rounds = len(times), checks.whole("rounds", rounds, 1)
        buffer, seed = checks.whole("buffer", buffer, 1), checks.whole("seed", seed, 0)
        at_once = n if concurrency is None else checks.whole("concurrency", concurrency, 1)
        checks.require(at_once <= n, f"got concurrency={at_once} with {n} clients, need at most {n}; leave it out")
        who = f"{n} clients" if at_once == n else f"{at_once} clients at work"
        wide = f"got buffer={buffer} with {who}, of whom each waits for the server's answer; try buffer={at_once}"
        checks.require(buffer <= at_once, wide)
        law = checks.known("law", law, LAWS)
        checks.one_number("sigma", sigma, 0.5)
        checks.require(0 <= sigma < math.inf, f"got sigma={sigma}, need 0 or more; try sigma=0.5")
        if window is not None:
            checks.one_number("window", window, 10.0)
            checks.require(0 < window < math.inf, f"got window={window}, need seconds above 0; try window=10.0")
            both = f"got buffer={buffer} and window={window}, need one of them; leave out buffer"
            checks.require(buffer == 1, both)
        plan = planned(times, rounds, law, float(sigma), buffer, window, at_once, seed)
        begins = None if plan.begins is None else jnp.asarray(plan.begins)
        if steps is not None:
            steps = jnp.asarray(_steps_of(steps, n)[plan.clients])
        return cls(jnp.asarray(plan.clients), jnp.asarray(plan.used), plan.seconds_at, n, begins, steps, plan.waited_at)

    @classmethod
    def dynamic(
        cls, seconds_per_step: Sequence[float] | np.ndarray, local_steps: int, rounds: int, **options: Any
    ) -> Self:
        """Plan arrivals with dynamic local updates (DyLU): a client w of speed v_w takes floor(H v_w / max v) steps.

        The fastest takes all H. A slower one takes the steps that end by the time at which the fastest arrives, or one,
        so that all take nearly the same time from a pull to an arrival. The method's own number of local steps must be
        at least H.

        Args:
          seconds_per_step: f[n], the mean time of one local step of each client, more than 0.
          local_steps: number H of local steps of the fastest client.
          rounds: number T of rounds to plan, at least 1.
          options: as in `of`, but for `seconds` and `steps`.

        >>> plan = Arrivals.dynamic([1.0, 2.0, 3.0], local_steps=6, rounds=3)
        >>> print(plan.clients[:, 0], plan.steps[:, 0], plan.seconds_at)
        [0 1 2] [6 3 2] [0. 6. 6. 6.]

        Raises:
          InputError: as `of`.
        """
        step, most = np.asarray(seconds_per_step, np.float64), checks.whole("local_steps", local_steps, 1)
        step = means("seconds_per_step", step, max(step.size, 1))
        # Ratios that are whole numbers in exact arithmetic are not rounded down.
        steps = np.maximum(np.floor(most * (step.min() / step) * (1 + 1e-12)), 1).astype(np.int32)
        return cls.of(step * steps, rounds, steps=steps, **options)

    @classmethod
    def for_nodes(
        cls,
        n: int,
        arrivals: int = 10_000,
        spread: float = 0.5,
        law: str = "exponential",
        wait_for: int = 1,
        window: float | None = None,
        concurrency: int | None = None,
        fastest_steps: int | None = None,
        seed: int = 0,
    ) -> Self:
        """Arrivals of clients whose mean times are log-normal, of mean 1 second: see `Arrivals`.

        Args:
          n: number of nodes, at least 1.
          arrivals: number of rounds to plan, each an arrival unless the server waits for several; a run takes no more.
          spread: standard deviation of the logarithm of the clients' mean times; 0 for equal ones.
          law: of the times of one client: "exponential" (Poisson arrivals), "log_normal", or "constant".
          wait_for: number of arrivals that the server collects before it answers, 1 to `concurrency`.
          window: seconds of a semi-synchronous round, see `of`; None for a server that answers after `wait_for`.
          concurrency: number of clients that work at a time, 1 to n; None for all n.
          fastest_steps: number H of local steps of the fastest client, where the others take fewer in proportion to
            their speeds, and the mean times are those of H steps; None for as many as the method takes.
          seed: of all draws.

        >>> Arrivals.for_nodes(4, arrivals=3, concurrency=2).begins.sum(axis=1).tolist()
        [1, 1, 1]
        """
        n, arrivals = checks.whole("n", n, 1), checks.whole("arrivals", arrivals, 1)
        checks.bounded("spread", spread, 0, None)
        normal = np.random.default_rng((checks.whole("seed", seed, 0), 2)).standard_normal(n)
        seconds = np.exp(spread * normal - spread**2 / 2)
        options = {"law": law, "buffer": wait_for, "window": window, "concurrency": concurrency, "seed": seed}
        if fastest_steps is None:
            return cls.of(seconds, arrivals, **options)
        most = checks.whole("fastest_steps", fastest_steps, 1)
        return cls.dynamic(seconds / most, most, arrivals, **options)

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The arrivals of round t; the key does not matter."""
        last, dtype = self.clients.shape[0] - 1, jnp.result_type(float)
        at = jnp.minimum(t, last)
        used = self.used[at] & (t <= last)
        begins = None if self.begins is None else self.begins[at] & (t <= last)
        plan = Plan(
            links=Server(weights=used.astype(dtype), used=used),
            self_weights=jnp.zeros(used.shape, dtype),
            active=used if begins is None else used | begins,
            works=None if begins is None else used,
            steps=None if self.steps is None else self.steps[at],
            participants=self.clients[at],
            stochastic="row",
        )
        return plan, memory


def _steps_of(steps: Sequence[int] | np.ndarray, n: int) -> np.ndarray:
    """The local steps of each client, i32[n]."""
    given = np.asarray(steps)
    fits = given.shape == (n,) and np.issubdtype(given.dtype, np.integer) and bool(np.all(given >= 1))
    checks.require(fits, f"got steps={steps!r}, need a whole number of at least 1 for each of {n} clients; give those")
    return given.astype(np.int32)
