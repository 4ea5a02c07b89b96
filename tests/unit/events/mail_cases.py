"""Plans of acts whose messages take time, of every kind, on a small directed and a small undirected graph."""

import functools

import numpy as np

from jdl import events, topology
from jdl.topology import forms

N, HORIZON = 10, 20.0
UNDIRECTED = topology.random_regular(N, 3, seed=1)
DIRECTED = topology.exponential(N)
KINDS = ("push", "pull", "push_pull", "simple", "generalized", "randomized", "publish", "split", "walks")
AWAY = [(2, 1.0, 9.0), (5, 4.0, 6.0), (5, 8.0, 15.0)]


def into(graph):
    links = forms.off_diagonal(graph.weights)
    return links.indptr, links.indices


def out(graph):
    return into(topology.from_weights(graph.weights.T)) if not graph.symmetric else into(graph)


def latencies(seed=0):
    """From sender (column) to receiver (row), a few of which are shorter than the time between two acts."""
    return np.random.default_rng(seed).uniform(0.0, 2.5, (N, N))


def clocks(law="exponential", away=None, seconds=1.0, horizon=HORIZON, seed=3):
    return events.devices(seconds, horizon, N, law, seed=seed, away=away)


@functools.cache
def planned(kind, absent=False, law="exponential", latency=None):
    """The acts of one kind; latencies that differ from link to link, unless one is given."""
    away = events.Absences(AWAY, N) if absent else None
    way = {"latency": latencies() if latency is None else latency, "transfer": 0.25}
    graph = UNDIRECTED if kind in ("pull", "push_pull") else DIRECTED
    timers = clocks(law, away)
    if kind == "publish":
        return events.publish(timers, *into(graph), HORIZON, **way, away=away)
    if kind == "split":
        return events.split(timers, *out(graph), HORIZON, **way, most=2)[0]
    if kind == "walks":
        return events.walks(1.0, *out(graph), HORIZON, tokens=4, law=law, **way, away=away)
    if kind in events.STRATEGIES:
        return events.tokens(timers, *out(graph), HORIZON, kind, 3, 2, **way, away=away)[0]
    links = into(graph) if kind == "pull" else out(graph)
    return getattr(events, kind)(timers, *links, HORIZON, **way, seed=4, away=away)
