"""When devices should come back to a server, so that about as many come as it needs."""

from __future__ import annotations

import math
from typing import NamedTuple

from jdl import checks
from jdl.theory import assumptions

__all__ = ["ReconnectWindow", "reconnect_window"]


class ReconnectWindow(NamedTuple):
    """When a device should come back, in seconds from now: at a moment that it draws uniformly between the two.

    Attributes:
      earliest: seconds to the beginning of the window.
      latest: seconds to its end.
    """

    earliest: float
    latest: float


def reconnect_window(n: int, target: float, period: float, jitter: float = 0.5, now: float = 0.0) -> ReconnectWindow:
    """The window in which a device that checks in is asked to come back (pace steering).

    Many devices, n > target, should not all come at once, and no more often than they are needed. Intervals are uniform
    with

        mean = n period / target,    from (1 - jitter) mean to (1 + jitter) mean,

    so that in the long run n / mean devices come a second, `target` of them in a period (the renewal theorem). Where no
    device comes twice in a period, (1 - jitter) n >= target, the number that comes in one is binomial with n trials of
    probability target / n. Devices that came together at first are spread evenly after a few intervals.

    Few devices, n <= target, are never too many, and must come at the same time to be a cohort. All are asked back at
    the next multiple of the period.

    Args:
      n: number of devices, at least 1; a server estimates it from those that come.
      target: devices that it needs in a period, above 0.
      period: seconds of a period, above 0: the time from one cohort to the next.
      jitter: half the width of the window, as a part of the mean, 0 to 1; with 0, devices come back in the order and
        in the crowds in which they came.
      now: the second at which the device checks in, at least 0; it matters for few devices alone.

    Raises:
      InputError: if a number is out of its range.

    >>> reconnect_window(10_000, target=100, period=60.0)
    ReconnectWindow(earliest=3000.0, latest=9000.0)
    >>> reconnect_window(20, target=100, period=60.0, now=130.0)
    ReconnectWindow(earliest=50.0, latest=50.0)

    References:
      Bonawitz et al., "Towards Federated Learning at Scale: System Design", MLSys 2019, section 2.3 (from memory: what
      pace steering is for, with small and with large populations. The formulas are made here; the paper has none, and
      the time of the day, which its server takes into account, is left out).
      Feller, "An Introduction to Probability Theory and Its Applications", volume 2, chapter XI (renewal theorem).
    """
    n, theorem = checks.whole("n", n, 1), "pace steering"
    target = assumptions.constant(theorem, "target", target)
    period = assumptions.constant(theorem, "period", period)
    now = assumptions.constant(theorem, "now", now, strict=False)
    checks.bounded("jitter", jitter, 0, 1, 0.5)
    if n <= target:
        wait = (math.floor(now / period) + 1) * period - now
        return ReconnectWindow(wait, wait)
    mean = n * period / target
    return ReconnectWindow((1 - jitter) * mean, (1 + jitter) * mean)
