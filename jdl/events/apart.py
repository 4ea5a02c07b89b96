"""Nodes that compute and nodes that meet, each at Poisson times of its own."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.events.absent import Absences
from jdl.events.acts import Acts, check_horizon, means
from jdl.events.pairs import Events

__all__ = ["alone_and_meeting", "meetings", "since_last"]


def meetings(
    rates: np.ndarray, edges: np.ndarray, horizon: float, seed: int | tuple[int, ...] = 0, away: Absences | None = None
) -> Events:
    """The two ends of each edge meet at the times of a Poisson process of the edge.

    Args:
      rates: f[e], meetings per second of each edge, at least 0.
      edges: i[e, 2], two nodes each.
      horizon: the length of the plan, in seconds.
      seed: of all draws.
      away: when nodes are away; a meeting with one of them is left out.

    Raises:
      InputError: if a rate is negative. There may be no meeting up to the horizon.

    >>> len(meetings(np.array([2.0, 0.5]), np.array([[0, 1], [1, 2]]), horizon=100.0).seconds)
    238
    """
    rates = means("edge_rates", rates, len(edges), zero=True)
    check_horizon(horizon, float(np.sum(rates)))
    rng = np.random.default_rng(seed)
    which = np.repeat(np.arange(len(edges)), rng.poisson(rates * horizon))
    seconds = rng.uniform(0.0, horizon, which.size)  # given their number, independent and uniform
    node, partner = np.asarray(edges, np.int32).reshape(-1, 2)[which].T
    if away is not None:
        there = away.there(node, seconds) & away.there(partner, seconds)
        seconds, node, partner = seconds[there], node[there], partner[there]
    order = np.lexsort((partner, node, seconds))
    return Events(seconds[order], node[order], partner[order])


def alone_and_meeting(acts: Acts, meetings: Events) -> Events:
    """Two kinds of events in one order of time: a node that acts is alone, and has no partner but itself.

    >>> one = alone_and_meeting(Acts(np.array([2.0]), np.array([0])), Events(np.ones(1), np.array([1]), np.array([2])))
    >>> print(one.seconds, one.node, one.partner)
    [1. 2.] [1 0] [2 0]
    """
    seconds, node, partner = (
        np.concatenate(pair) for pair in zip((acts.seconds, acts.node, acts.node), meetings, strict=True)
    )
    order = np.argsort(seconds, kind="stable")
    return Events(seconds[order], node[order], partner[order])


def since_last(events: Events) -> tuple[np.ndarray, np.ndarray]:
    """For each event the seconds since its node last took part in one, and its partner, f64[E] each; see `Events`.

    They are counted from second 0 for a node that has not taken part before.

    >>> both = Events(np.array([1.0, 3.0, 4.0]), np.array([0, 1, 0]), np.array([0, 0, 0]))
    >>> print(*since_last(both))
    [1. 3. 1.] [1. 2. 1.]
    """
    count = len(events.node)
    checks.require(count > 0, "got no events, need one at least; give a longer horizon")
    who = np.concatenate([events.node, events.partner])
    event = np.tile(np.arange(count), 2)
    order = np.lexsort((event, who))
    who, event = who[order], event[order]
    # The last event of the same node that is another one: one or two places before, as a node alone is in both lists.
    before = np.arange(len(order)) - 1
    again = (before >= 0) & (event[before] == event) & (who[before] == who)
    before = before - again
    known = (before >= 0) & (who[before] == who)
    found = np.empty(2 * count)
    found[order] = events.seconds[event] - np.where(known, events.seconds[event[before]], 0.0)
    return found[:count], found[count:]
