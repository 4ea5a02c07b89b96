"""The rows of waves: which nodes have one, who of them works, and since when each has not taken part."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jdl import checks, events

__all__ = ["WaveRows", "pairs_in_waves", "rows_of", "well_filled"]


class WaveRows(NamedTuple):
    """The arrays of `jdl.schedule.Waves`, which says what they are; of NumPy."""

    first: np.ndarray
    second: np.ndarray
    acts: np.ndarray
    meets: np.ndarray
    elapsed: np.ndarray


def rows_of(planned: events.Events, table: events.WaveTable, n: int, alone: int = 0) -> WaveRows:
    """The rows of waves.

    Args:
      planned: the events.
      table: their waves.
      n: number of nodes.
      alone: how many places of a wave are those of a node alone, which has no second row.
    """
    acts = table.event >= 0
    since = events.since_last(planned)
    node, partner, of_node, of_partner = (side[table.event] for side in (planned.node, planned.partner, *since))
    paired = slice(alone, None)
    meets = (acts & (node != partner))[:, paired]
    second = partner[:, paired]
    if n > 1:
        both = np.concatenate([node, second], axis=1), np.concatenate([acts, meets], axis=1)
        node, second = np.split(events.with_spare_nodes(*both), [node.shape[1]], axis=1)
    elapsed = np.where(
        np.concatenate([acts, meets], axis=1), np.concatenate([of_node, of_partner[:, paired]], axis=1), 0
    )
    return WaveRows(node, second, acts, meets, elapsed)


def well_filled(
    planned: events.Events,
    n: int,
    width: int | None,
    share: float,
    window_events: int | None,
    window_seconds: float | None,
    padding: float,
) -> tuple[events.WaveTable, int]:
    """Waves of two kinds of events with few empty places, and how many places are those of nodes alone.

    Args:
      planned: events of a node alone, and of two nodes.
      n: number of nodes.
      width: places for nodes alone in a wave; None for an eighth of n, halved until few enough places are empty.
      share: the meetings for each event of a node alone, in the mean: places of each kind are in this proportion.
      window_events: see `jdl.events.waves`.
      window_seconds: see `jdl.events.waves`.
      padding: the largest share of places that may be empty, where `width` is None.
    """
    if n < 3:  # too few nodes for places of both kinds
        return pairs_in_waves(planned, n, None, window_events, window_seconds), int(n == 1)
    checks.bounded("padding", padding, 0, 1)
    given = None if width is None else checks.whole("width", width, 1)
    alone = max(n // 8, 1) if given is None else given
    while True:
        pairs = max(round(alone * share), 1 if share else 0)
        rows = alone + 2 * pairs
        fewer = f"got width={alone} with n={n}, need {rows} nodes for {alone} alone and {pairs} pairs; try width="
        checks.require(rows <= n or given is None, f"{fewer}{max(int(n / (1 + 2 * share)), 1)}")
        if rows <= n:
            table = events.waves(planned, n, pairs, window_events, window_seconds, alone=alone)
            if given is not None or alone == 1 or len(planned.node) >= (1 - padding) * table.event.size:
                return table, alone
        alone = max(alone // 2, 1)


def pairs_in_waves(
    planned: events.Events, n: int, width: int | None, window_events: int | None, window_seconds: float | None
) -> events.WaveTable:
    """Waves of events of two nodes, each of which has places for both; one node has a place for itself alone."""
    most = max(n // 2, 1)
    width = max(n // 8, 1) if width is None else checks.whole("width", width, 1)
    checks.require(width <= most, f"got width={width} with n={n}, need two nodes for each event; try width={most}")
    if n == 1:
        return events.waves(planned, n, 0, window_events, window_seconds, alone=1)
    return events.waves(planned, n, width, window_events, window_seconds)
