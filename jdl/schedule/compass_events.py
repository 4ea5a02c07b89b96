"""The scheduler of FedCompass on the host: clients get as many local steps as bring them to their group in time."""

from __future__ import annotations

import heapq
import math
from typing import NamedTuple

import numpy as np

from jdl.schedule.arrival_events import factors

__all__ = ["Limits", "Taken", "groups"]

SLACK = 1e-9  # of a step or of a time: sums of floats that are equal in exact arithmetic count as equal


class Limits(NamedTuple):
    """See `Compass.of`."""

    least: int
    most: int
    latest: float
    momentum: float


class Taken(NamedTuple):
    """What the server takes at once, a round.

    Attributes:
      steps: the local steps of each client.
      late: whether it waits for the next group.
      seconds: when.
    """

    steps: dict[int, int]
    late: bool
    seconds: float


class _Group:
    """Clients that are to arrive together, expected at one second and awaited until another.

    After the server has taken the group both are past, so that who still comes is late, and nobody joins it.
    """

    def __init__(self, expected: float, latest: float):
        self.expected, self.latest = expected, latest
        self.coming: set[int] = set()
        self.there: list[int] = []


class _Scheduler:
    """Estimates of the clients' seconds a step, and the groups in which clients are expected."""

    def __init__(self, n: int, limits: Limits):
        self.limits, self.groups, self.number = limits, {}, 0
        self.estimate = [math.nan] * n
        self.steps, self.begun, self.group_of = [limits.most] * n, [0.0] * n, [-1] * n

    def observe(self, client: int, now: float) -> None:
        """The time of one job; the first one is the estimate."""
        seen = (now - self.begun[client]) / self.steps[client]
        old, m = self.estimate[client], self.limits.momentum
        self.estimate[client] = seen if math.isnan(old) else (1 - m) * old + m * seen

    def assign(self, client: int, now: float) -> int | None:
        """Give a client its steps and its group; the number of a group that is created, or None."""
        steps, joined = self._joined(client, now)
        created = None
        if joined is None:
            steps = self._for_a_new_group(client, now)
            alone = steps * self.estimate[client]
            joined = created = self.number
            self.groups[joined] = _Group(now + alone, now + alone * (self.limits.latest + SLACK))
            self.number += 1
        self.groups[joined].coming.add(client)
        self.steps[client], self.begun[client], self.group_of[client] = steps, now, joined
        return created

    def _joined(self, client: int, now: float) -> tuple[int, int | None]:
        """The group that leaves time for the most steps within their limits."""
        steps, found = -1, None
        for number, group in self.groups.items():
            fits = math.floor((group.expected - now) / self.estimate[client] + SLACK)
            if max(self.limits.least, steps) <= fits <= self.limits.most:
                steps, found = fits, number
        return steps, found

    def _for_a_new_group(self, client: int, now: float) -> int:
        """As many as fit before the fastest of another group is back from its next job; from `least` to `most`."""
        steps = -1
        for group in self.groups.values():
            if now < group.latest:
                fastest = min(self.estimate[one] for one in (*group.coming, *group.there))
                meets = group.latest + self.limits.most * fastest
                fits = math.floor((meets - now) / self.estimate[client] + SLACK)
                steps = max(steps, fits) if fits <= self.limits.most else steps
        return self.limits.most if steps < 0 else max(steps, self.limits.least)


def groups(
    step: np.ndarray, rounds: int, limits: Limits, known: bool, law: str, sigma: float, seed: int
) -> list[Taken]:
    """Simulate the clients event by event; see `Compass.of` for the arguments, which are checked there.

    Of events in the same second, arrivals come before the end of a group's patience, and smaller numbers first.
    """
    scheduler, factor = _Scheduler(len(step), limits), factors(law, sigma, seed)
    queue, taken = [], []  # (second, 0, client) of arrivals, and (second, 1, group)

    def begin(client: int, now: float) -> None:
        heapq.heappush(queue, (now + scheduler.steps[client] * step[client] * next(factor), 0, client))

    def assigned(clients: list[int], now: float) -> None:
        """The fastest first."""
        for client in sorted(clients, key=lambda one: (scheduler.estimate[one], one)):
            created = scheduler.assign(client, now)
            if created is not None:
                heapq.heappush(queue, (scheduler.groups[created].latest, 1, created))
            begin(client, now)

    def step_of(number: int, now: float) -> None:
        """The server takes those of a group who are there; who is still coming will be late."""
        group = scheduler.groups[number]
        taken.append(Taken({client: scheduler.steps[client] for client in group.there}, False, now))
        back, group.there, group.expected, group.latest = group.there, [], 0.0, -math.inf
        if not group.coming:
            del scheduler.groups[number]
        assigned(back, now)

    if known:
        scheduler.estimate = step.tolist()
        assigned(list(range(len(step))), 0.0)
    else:
        for client in range(len(step)):
            begin(client, 0.0)
    while len(taken) < rounds:
        now, is_end, number = heapq.heappop(queue)
        if is_end:
            if number in scheduler.groups and scheduler.groups[number].there:
                step_of(number, now)
            continue
        scheduler.observe(number, now)
        of = scheduler.group_of[number]
        if of < 0:  # its speed was not known
            taken.append(Taken({number: scheduler.steps[number]}, False, now))
            assigned([number], now)
            continue
        group = scheduler.groups[of]
        group.coming.remove(number)
        if now > group.latest:
            if not group.coming:
                del scheduler.groups[of]
            taken.append(Taken({number: scheduler.steps[number]}, True, now))
            assigned([number], now)
            continue
        group.there.append(number)
        if not group.coming:
            step_of(of, now)
    return taken
