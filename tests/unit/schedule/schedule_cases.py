"""Every schedule whose rounds are drawn on the device, for many n, and what tests of them share."""

from __future__ import annotations

import networkx as nx
import numpy as np
from plan_reading import all_hold, rounds  # noqa: F401  (what tests of schedules share)

from jdl.schedule.epidemic import epidemic
from jdl.schedule.epidemic_local import epidemic_local
from jdl.schedule.equidyn import equidyn
from jdl.schedule.markov import markov, markov_links
from jdl.schedule.matcha import matcha, matcha_of
from jdl.schedule.mobility import mobility
from jdl.schedule.pairwise import pairwise, pairwise_of
from jdl.schedule.peer_swap import peer_swap, peer_swap_of
from jdl.schedule.random_groups import random_groups
from jdl.schedule.random_walk import random_walk, random_walk_of
from jdl.schedule.teleportation import teleportation, teleportation_of
from jdl.topology import complete, exponential, from_graph, ring

STAR = from_graph(nx.star_graph(5))

# One of each kind, at an n that suits it.
EACH = {
    "epidemic": lambda: epidemic(7, degree=4),
    "epidemic_local": lambda: epidemic_local(7, degree=3),
    "equidyn directed": lambda: equidyn(7, directed=True),
    "equidyn undirected": lambda: equidyn(7, degree=3),
    "random_groups": lambda: random_groups(7, degree=2),
    "pairwise": lambda: pairwise(7),
    "pairwise_of star": lambda: pairwise_of(STAR),
    "matcha": lambda: matcha(8, degree=3),
    "matcha_of star": lambda: matcha_of(STAR),
    "random_walk": lambda: random_walk(7, tokens=3),
    "random_walk_of star": lambda: random_walk_of(STAR, tokens=2),
    "teleportation": lambda: teleportation(9, active=4),
    "markov": lambda: markov(7, fail=0.4, recover=0.3),
    "markov_links directed": lambda: markov_links(exponential(8), fail=0.4, recover=0.3),
    "markov_links groups": lambda: markov_links(complete(5), fail=0.4, recover=0.3),
    "peer_swap": lambda: peer_swap(7),
    "peer_swap_of star": lambda: peer_swap_of(STAR, swaps=2),
    "mobility": lambda: mobility(9, degree=3, speed=0.4),
}

# The smallest ones, and the odd ones.
SMALL = {
    **{f"epidemic {n}": lambda n=n: epidemic(n, degree=n - 1) for n in (1, 2, 3)},
    **{f"epidemic_local {n}": lambda n=n: epidemic_local(n, degree=n - 1) for n in (1, 2, 3)},
    **{f"equidyn {n} {way}": lambda n=n, way=way: equidyn(n, directed=way) for n in (1, 2, 3) for way in (True, False)},
    **{f"random_groups {n}": lambda n=n: random_groups(n, degree=1) for n in (1, 2, 3)},
    **{f"pairwise {n}": lambda n=n: pairwise(n) for n in (1, 2, 3)},
    **{f"matcha {n}": lambda n=n: matcha(n, degree=n - 1) for n in (1, 2, 3)},
    **{f"random_walk {n}": lambda n=n: random_walk(n, degree=n - 1) for n in (1, 2, 3)},
    **{f"teleportation {n}": lambda n=n: teleportation(n, active=(n + 1) // 2) for n in (1, 2, 3)},
    **{f"markov {n}": lambda n=n: markov(n, degree=n - 1, fail=0.5) for n in (1, 2, 3)},
    **{f"peer_swap {n}": lambda n=n: peer_swap(n, degree=n - 1) for n in (1, 2, 3)},
    **{f"mobility {n}": lambda n=n: mobility(n, degree=n - 1) for n in (1, 2, 3)},
    "pairwise_of one": lambda: pairwise_of(ring(1)),
    "teleportation_of ring": lambda: teleportation_of(ring(5), 5),
}


def often(observed, expected, count):
    """Whether frequencies in `count` independent draws lie within 5 standard deviations of their probabilities."""
    spread = 5 * np.sqrt(expected * (1 - expected) / count)
    return np.all(np.abs(observed - expected) <= spread + 1e-12)


def left(W, x):
    """`[count]`, the share of |x|^2 that each W of `[count, n, n]` leaves."""
    return np.sum(np.einsum("rij,j->ri", W, x) ** 2, axis=1) / (x @ x)


def close(samples, mean):
    """Whether the mean of independent samples lies within 5 of its standard errors of `mean`."""
    return abs(samples.mean() - mean) < 5 * samples.std() / np.sqrt(len(samples)) + 1e-12


def centred(n, seed=0):
    """`float[n]` of mean zero."""
    x = np.random.default_rng(seed).standard_normal(n)
    return x - x.mean()
