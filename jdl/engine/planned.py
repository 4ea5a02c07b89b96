"""Schedules whose events were planned in time have a last round."""

from __future__ import annotations

from jdl import checks
from jdl.types import Schedule

__all__ = ["check_planned", "rounds_planned"]


def rounds_planned(schedule: Schedule) -> int | None:
    """How many rounds a schedule has whose events were planned in time; None for others."""
    seconds_at = getattr(schedule, "seconds_at", None)
    return None if seconds_at is None else seconds_at.shape[-1] - 1


def check_planned(schedule: Schedule, rounds: int) -> None:
    """Check that a schedule whose events were planned in time, if this is one, has so many rounds.

    Raises:
      InputError: if it has not.
    """
    most = rounds_planned(schedule)
    got = f"got rounds={rounds} with {type(schedule).__name__}, whose plan has {most}"
    checks.require(most is None or rounds <= most, f"{got}, need no more; plan for longer, or try rounds={most}")
