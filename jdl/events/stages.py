"""Acts of exchanges that happen in stages."""

from __future__ import annotations

import numpy as np

from jdl.events.mail import MailActs, in_order

__all__ = ["staged"]


def staged(
    stages: list[tuple[np.ndarray, np.ndarray, np.ndarray]], does: list[tuple[bool, bool, bool]], horizon: float
) -> MailActs:
    """The acts of exchanges that happen in stages, where each reads what the stage before has sent.

    Acts of the same second come in the order of their exchanges, so that what takes no time happens at once.

    Args:
      stages: for each stage, when it happens in each exchange, f64[E], who acts in it, i32[E], and which exchanges
        come so far, bool[E].
      does: for each stage, whether nodes send in it, whether they read, and whether they have worked.
      horizon: the length of the plan.
    """
    size = len(stages[0][0])
    exchange = np.arange(size)
    none, parts = np.full(size, -1), []
    for stage, ((seconds, node, happens), (sends, reads, works)) in enumerate(zip(stages, does, strict=True)):
        columns = (
            seconds,
            node,
            np.full(size, works),
            len(stages) * exchange + stage if sends else none,
            np.full(size, int(sends)),
            len(stages) * exchange + stage - 1 if reads else none,
            exchange,
            np.full(size, stage),
        )
        parts.append([column[happens] for column in columns])
    *acts, reads, exchange, stage = (np.concatenate(column) for column in zip(*parts, strict=True))
    return in_order(MailActs(*acts, reads[:, None]), (exchange, stage), horizon)
