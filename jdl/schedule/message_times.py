"""What all plans of messages are given: when nodes act, how long messages are under way, and the size of waves."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from jdl import checks, events

__all__ = ["Times", "timed"]


@dataclasses.dataclass(frozen=True)
class Times:
    """The arguments that all kinds of `jdl.schedule.Messages` share.

    Args:
      seconds_per_step: the mean duration of a computation, or time between two acts of a timer: one number, or f[n].
      horizon: the length of the plan, in seconds.
      law: the law of these times: "exponential" (Poisson clocks), "log_normal", or "constant".
      spread: the standard deviation of the logarithm of a log-normal time.
      latency: seconds for which anything is under way: one number, or f[n, n] from sender (column) to receiver (row).
      transfer: seconds that a model needs beside that, its bits over the bandwidth.
      away: when nodes are away, rows (node, start, end) in seconds; what arrives then is lost, but for `split`.
      width: the largest number of acts of a wave that work, and of those that do not, if there are any: together at
        most n; None for an eighth of n.
      window_events: the number of acts of a window; None for windows of one size, of about 4 n.
      window_seconds: the length of a window in seconds, in place of a number of acts.
      seed: of all draws, at least 0.

    Raises:
      InputError: if the seed is no whole number of at least 0.
    """

    seconds_per_step: float | np.ndarray = 1.0
    horizon: float = 100.0
    law: str = "exponential"
    spread: float = 0.5
    latency: float | np.ndarray = 0.0
    transfer: float = 0.0
    away: Iterable[Sequence[float]] = ()
    width: int | None = None
    window_events: int | None = None
    window_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", checks.whole("seed", self.seed, 0))
        if isinstance(self.away, Iterator):  # which could be read only once
            object.__setattr__(self, "away", list(self.away))

    def timers(self, n: int) -> events.Acts:
        """Who acts when, of its own accord."""
        absent = events.absences(self.away, n)
        return events.devices(self.seconds_per_step, self.horizon, n, self.law, self.spread, self.seed, absent)

    def way(self, n: int) -> dict[str, Any]:
        """How messages travel, for the functions of `jdl.events`."""
        return {"latency": self.latency, "transfer": self.transfer, "away": events.absences(self.away, n)}


def timed(make: Callable[..., Any]) -> Callable[..., Any]:
    """A kind of `Messages` that takes the arguments of `Times` by name, beside its own, which are taken by name too.

    Args:
      make: a function of the class, the topology, the `Times`, and what the kind has of its own.

    >>> print(inspect.signature(timed(lambda cls, topology, times, most=4: None)).parameters["law"])
    law: 'str' = 'exponential'
    """
    shared = inspect.signature(Times).parameters
    cls, topology, _, *own = inspect.signature(make).parameters.values()

    @functools.wraps(make)
    def taking(cls: Any, topology: Any, **given: Any) -> Any:
        times = Times(**{name: given.pop(name) for name in shared.keys() & given.keys()})
        return make(cls, topology, times, **given)

    by_name = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *shared.values())]
    taking.__signature__ = inspect.signature(make).replace(parameters=[cls, topology, *by_name])
    return taking
