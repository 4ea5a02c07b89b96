"""How far to go before the next stop, and what to do there: decisions without effects."""

from __future__ import annotations

import dataclasses
import enum

from jdl.engine.metrics import EVALUATED
from jdl.runs.history import Row

__all__ = ["Due", "Pace"]

CHUNK_SECONDS = 1.0  # the time between two updates of the progress bar, at which an interruption is noticed
CHECKPOINT_SECONDS = 10.0  # the least time between two checkpoints, if the user gives no number of rounds


class Due(enum.IntEnum):
    """What is to be evaluated at the end of a chunk. True counts as that of a mark."""

    NOTHING = 0
    MARK = 1  # perhaps of a sample of the nodes
    LAST = 2  # the evaluation with which a run ends


@dataclasses.dataclass(frozen=True)
class Pace:
    """When a run stops to evaluate, to save, and to see whether the user asked to stop.

    Attributes:
      rounds: the total number of rounds, those of a resumed run included.
      eval_every: the number of rounds between evaluations.
      checkpoint_every: the number of rounds between checkpoints; None saves at evaluations, and at most every ten
        seconds.
    """

    rounds: int
    eval_every: int
    checkpoint_every: int | None = None

    def next_stop(self, t: int, evaluated: int, speed: float) -> int:
        """The round up to which the next chunk goes.

        The first chunk of a run has no rounds: it evaluates the start. So does that of a run that goes on from a round
        whose evaluation it lacks. No chunk passes an evaluation, a checkpoint or the end, and none takes much longer
        than a second, but each has at least one round.

        Args:
          t: the number of rounds that are done.
          evaluated: the round of the newest evaluation, or -1 before the first.
          speed: the rounds per second of the chunk before, or 0.0 if it is not known.

        >>> pace = Pace(rounds=40, eval_every=7, checkpoint_every=3)
        >>> pace.next_stop(0, -1, 0.0), pace.next_stop(0, 0, 1e3), pace.next_stop(6, 0, 1e3), pace.next_stop(7, 7, 1.5)
        (0, 3, 7, 8)
        >>> pace.next_stop(14, 7, 1e3), pace.next_stop(15, 14, 1e3)
        (14, 18)
        """
        lacking = evaluated < t and t % self.eval_every == 0
        ends = [self.rounds, t if lacking else _next(t, self.eval_every)]
        if self.checkpoint_every is not None:
            ends.append(_next(t, self.checkpoint_every))
        return min(*ends, t + max(1, int(speed * CHUNK_SECONDS)))

    def evaluates(self, t: int) -> Due:
        """The evaluation, if any, with which a chunk ends that ends after `t` rounds.

        >>> [int(Pace(rounds=10, eval_every=4).evaluates(t)) for t in range(11)]
        [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 2]
        """
        if t == self.rounds:
            return Due.LAST
        return Due.MARK if t % self.eval_every == 0 else Due.NOTHING

    def saves(self, t: int, evaluated: int, waited: float) -> bool:
        """Whether to save after `t` rounds. The end of a run is saved in any case.

        Args:
          t: the number of rounds that are done.
          evaluated: the round of the newest evaluation, or -1 before the first.
          waited: the seconds since the newest checkpoint.

        >>> Pace(10, 5, checkpoint_every=3).saves(6, 5, 0.1)
        True
        >>> Pace(10, 5).saves(6, 5, 60.0), Pace(10, 5).saves(5, 5, 60.0), Pace(10, 5).saves(5, 5, 6.0)
        (False, True, False)
        """
        if self.done(evaluated):
            return False
        if self.checkpoint_every is not None:
            return t % self.checkpoint_every == 0
        return t == evaluated and waited > CHECKPOINT_SECONDS

    def on_the_way(self, rows: list[Row]) -> list[Row]:
        """The evaluations that a longer run has as well: without that of the end, if it is at another round, or of more
        nodes, than those on the way.

        >>> [row["round"] for row in Pace(6, 4).on_the_way([{"round": t} for t in (0, 4, 6)])]
        [0, 4]
        """
        odd = rows and (rows[-1]["round"] % self.eval_every or rows[-1].get(EVALUATED) != rows[0].get(EVALUATED))
        return rows[:-1] if odd else rows

    def done(self, evaluated: int) -> bool:
        """Whether all rounds are done, and the last one is evaluated."""
        return evaluated >= self.rounds


def _next(t: int, every: int) -> int:
    """The first multiple of `every` after `t`.

    >>> _next(7, 5), _next(10, 5)
    (10, 15)
    """
    return (t // every + 1) * every
