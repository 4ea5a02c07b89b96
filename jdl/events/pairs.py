"""With whom nodes act, and how stale their models are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.events.absent import Absences
from jdl.events.acts import Acts

__all__ = ["Events", "check_neighbours", "paired", "staleness"]


class Events(NamedTuple):
    """Events in the order in which they happen.

    Attributes:
      seconds: f64[E].
      node: i32[E], who acts.
      partner: i32[E], with whom; the node itself where it is alone.
    """

    seconds: np.ndarray
    node: np.ndarray
    partner: np.ndarray


def paired(
    acts: Acts,
    offsets: np.ndarray,
    neighbours: np.ndarray,
    seed: int | tuple[int, ...] = 0,
    away: Absences | None = None,
) -> Events:
    """Each act finds a partner among the neighbours of its node, all equally likely.

    Args:
      acts: who acts when.
      offsets: i[n + 1]; the neighbours of node i are `neighbours[offsets[i]:offsets[i + 1]]`.
      neighbours: i[e].
      seed: of all draws.
      away: when nodes are away; who draws a partner that is away acts alone.

    Raises:
      InputError: if a node has no neighbour, where there are others.

    >>> acts = Acts(np.array([1.0, 2.0]), np.array([0, 1]))
    >>> print(paired(acts, np.array([0, 1, 2]), np.array([1, 0])).partner)
    [1 0]
    """
    check_neighbours(offsets)
    if len(offsets) == 2:
        return Events(acts.seconds, acts.node, acts.node)
    degree = np.diff(offsets)[acts.node]
    place = (np.random.default_rng(seed).random(len(degree)) * degree).astype(np.int64)
    partner = np.asarray(neighbours, np.int32)[offsets[acts.node] + np.minimum(place, degree - 1)]
    if away is not None:
        partner = np.where(away.there(partner, acts.seconds), partner, acts.node)
    return Events(acts.seconds, acts.node, partner)


def check_neighbours(offsets: np.ndarray) -> None:
    """Check that each node has a neighbour, unless there is one node alone."""
    isolated = np.flatnonzero(np.diff(offsets) == 0)
    if len(offsets) > 2 and isolated.size:
        need = "need a neighbour for each node; link it, or leave it out"
        raise checks.InputError(
            f"got {isolated.size} nodes without neighbours, of which node {isolated[0]} is one, {need}"
        )


def staleness(events: Events) -> np.ndarray:
    """For each event, how often others changed the model of its node since the node acted last, i64[E].

    It is the staleness of AD-PSGD: the number of averages between the model at which a gradient is computed, that after
    the node's last update, and the model to which the gradient is applied; the average of the event itself is not
    counted.

    >>> print(staleness(Events(np.arange(4.0), np.array([0, 1, 1, 0]), np.array([1, 0, 0, 1]))))
    [0 1 0 2]
    """
    count, places = len(events.node), np.arange(len(events.node))
    met = events.partner != events.node
    node = np.concatenate([events.node, events.partner[met]])
    place = np.concatenate([places, places[met]])
    acts = np.arange(len(node)) < count
    order = np.lexsort((place, node))
    acts = acts[order]
    changes = np.cumsum(~acts)  # by others, over all nodes one after another
    own = np.flatnonzero(acts)
    mine = node[order][own]
    first = np.searchsorted(node[order], mine)  # where the events of the node begin
    before = np.where(first > 0, changes[first - 1], 0)
    before[1:] = np.where(mine[1:] == mine[:-1], changes[own[:-1]], before[1:])
    found = np.empty(count, np.int64)
    found[order[own]] = changes[own] - before
    return found
