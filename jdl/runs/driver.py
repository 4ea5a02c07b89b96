"""The loop on the host around the compiled rounds: evaluations, checkpoints, progress, interruption."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from jdl.runs.ending import has_finite_loss
from jdl.runs.goal import Goal
from jdl.runs.history import Row
from jdl.runs.hosts import ALONE, Hosts
from jdl.runs.interrupt import Stop
from jdl.runs.pace import Due, Pace
from jdl.runs.progress import Bar
from jdl.runs.rundir import RunDir
from jdl.types import PyTree

__all__ = ["Driven", "Driver", "Reached"]


class Reached(NamedTuple):
    """Where something that is driven stands.

    Attributes:
      state: all that it needs to go on, and so the whole checkpoint. A call of `advance` may use up its memory.
      t: the number of rounds that are done.
      halted: whether it cannot go on, since numbers are no longer finite.
      metrics: the metrics of this state, if they were computed; otherwise None.
    """

    state: PyTree
    t: int
    halted: bool = False
    metrics: dict[str, Any] | None = None


class Driven(Protocol):
    """What a driver drives: one simulation (`jdl.runs.program.Program`), or several side by side in one program.

    Attributes:
      shapes: the shapes of the state, as which a checkpoint is read.
    """

    shapes: PyTree

    def begin(self, state: PyTree | None) -> Reached:
        """Give the state from which a run goes on, ready to advance.

        Args:
          state: that of a checkpoint; None begins before the first round.
        """
        ...

    def advance(self, reached: Reached, until: int, evaluate: Due) -> Reached:
        """Simulate rounds until `until` of them are done, or until it halts.

        Args:
          reached: where to go on from. It is not used again.
          until: the number of rounds; none are simulated if so many are done.
          evaluate: which metrics to compute at the end, if any.
        """
        ...

    def row(self, reached: Reached) -> Row:
        """The metrics on the host, as numbers or as NumPy arrays; the driver adds the round and the time."""
        ...


@dataclasses.dataclass
class Driver:
    """Runs chunks of rounds until all are done, numbers are no longer finite, or a stop is asked for.

    On several hosts each process has a driver of its own. Process 0 decides how far to go, when to save and when to
    stop, and it alone writes files.

    Attributes:
      driven: what is driven.
      pace: when to evaluate and to save.
      stop: tells whether the user asked to stop.
      bar: the progress bar.
      files: the run directory, or None; of process 0 alone.
      hosts: the processes that drive together.
      clock: gives the time in seconds; it never decreases.
      goal: ends the run when an evaluation reaches it, or None.
      on_row: is called with each evaluation, by process 0 alone, or None.
      rows: the evaluations so far.
      at: where the run stands.
      begun: the time at which the first chunk began. The time before it, for compilation, is not counted.
    """

    driven: Driven
    pace: Pace
    stop: Stop
    bar: Bar
    files: RunDir | None = None
    hosts: Hosts = ALONE
    clock: Callable[[], float] = time.monotonic
    goal: Goal | None = None
    on_row: Callable[[Row], Any] | None = None
    rows: list[Row] = dataclasses.field(default_factory=list)
    at: Reached | None = None
    begun: float = 0.0
    _before: float = 0.0  # the seconds that the run took before it was interrupted
    _saved: float = 0.0
    _speed: float = 0.0  # rounds per second of the chunk before

    def drive(self) -> None:
        """Drive from the newest checkpoint, or from the start, to the end."""
        self.start()
        while (until := self.next_stop()) is not None:
            self.step(until)
            self.record()
            self.save_if_due()
        self.save()

    def start(self) -> None:
        """Go to the newest checkpoint if there is one, otherwise to the start."""
        read = lambda: self.files.restore(self.driven.shapes) if self.files is not None else None
        restored = self.hosts.once(read)
        state, progress, self.rows = restored if restored is not None else (None, {"seconds": 0.0}, [])
        self.at, self._before = self.driven.begin(state), progress["seconds"]
        if self.at.t < self.pace.rounds and len(self.needed) < len(self.rows):  # an end beyond which the run now goes
            self.rows = self.needed
            if self.files is not None:
                self.files.rewrite(self.rows)
        self.begun = self._saved = self.clock()
        self.bar.start(self.at.t)

    def next_stop(self) -> int | None:
        """The round up to which the next chunk goes, or None if the run ends here."""
        stopped = self.stop.asked or self.finished
        return self.hosts.agreed(None if stopped else self.pace.next_stop(self.at.t, self.evaluated, self._speed))

    def step(self, until: int) -> None:
        """Simulate a chunk. A state in which numbers are no longer finite is evaluated: it is the last of the run."""
        begun, t = self.clock(), self.at.t
        self.at = self.driven.advance(self.at, until, self.pace.evaluates(until))
        if self.at.t > t:
            self._speed = (self.at.t - t) / max(self.clock() - begun, 1e-9)
        if self.at.halted and self.at.metrics is None:
            self.at = self.driven.advance(self.at, self.at.t, Due.LAST)

    def record(self) -> None:
        """Keep the evaluation, if the chunk ended with one, and show the progress."""
        if self.at.metrics is not None:
            self.rows.append({"round": self.at.t, "seconds": self.seconds, **self.driven.row(self.at)})
            if self.files is not None:
                self.files.row(self.rows[-1])
            if self.on_row is not None and self.hosts.leads:
                self.on_row(self.rows[-1])
        self.bar.update(self.at.t, self.rows[-1] if self.rows else None)

    def save_if_due(self) -> None:
        """Write a checkpoint if it is time for one."""
        if self.hosts.agreed(self.pace.saves(self.at.t, self.evaluated, self.clock() - self._saved)):
            self.save()
            self._saved = self.clock()

    def save(self) -> None:
        """Write a checkpoint, if there is a run directory."""
        if self.hosts.agreed(self.files is not None):
            state = self.hosts.gathered(self.at.state)
            if self.hosts.leads:
                progress = {"rows": len(self.rows), "needed": len(self.needed), "seconds": self.seconds}
                self.files.save(self.at.t, state, progress)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: all is evaluated, numbers are no longer finite, or the goal is reached."""
        lost = bool(self.rows) and not has_finite_loss(self.rows[-1])
        return self.pace.done(self.evaluated) or self.at.halted or lost or self.reached

    @property
    def needed(self) -> list[Row]:
        """The evaluations that the run needs if it goes on; one that cannot go on needs all."""
        return self.rows if self.at.halted else self.pace.on_the_way(self.rows)

    @property
    def reached(self) -> bool:
        """Whether the newest evaluation reaches the goal."""
        return self.goal is not None and bool(self.rows) and self.goal.reached(self.rows[-1])

    @property
    def evaluated(self) -> int:
        """The round of the newest evaluation, or -1 before the first."""
        return self.rows[-1]["round"] if self.rows else -1

    @property
    def seconds(self) -> float:
        """The time of the rounds in seconds, without compilation."""
        return self._before + self.clock() - self.begun
