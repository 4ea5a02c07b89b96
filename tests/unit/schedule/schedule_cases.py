"""Every schedule whose rounds are drawn on the device, for many n, and what tests of them share."""

from __future__ import annotations

import networkx as nx
import numpy as np
from plan_reading import all_hold, rounds  # noqa: F401  (what tests of schedules share)

from jdl.schedule.asynchronous_pairs import AsynchronousPairs
from jdl.schedule.epidemic import Epidemic
from jdl.schedule.epidemic_local import EpidemicLocal
from jdl.schedule.equidyn import Equidyn
from jdl.schedule.failing_groups import FailingGroups
from jdl.schedule.gilbert_elliott import GilbertElliott
from jdl.schedule.matcha import Matcha
from jdl.schedule.mobility import Mobility
from jdl.schedule.modest import Modest
from jdl.schedule.moshpit import Moshpit
from jdl.schedule.pairwise import Pairwise
from jdl.schedule.peer_swap import PeerSwap
from jdl.schedule.preferred import Preferred
from jdl.schedule.random_groups import RandomGroups
from jdl.schedule.random_neighbours import RandomNeighbours
from jdl.schedule.random_walk import RandomWalk
from jdl.schedule.teleportation import Teleportation
from jdl.schedule.ticks import Ticks
from jdl.topology import complete, exponential, from_graph, ring

STAR = from_graph(nx.star_graph(5))

# One of each kind, at an n that suits it.
EACH = {
    "epidemic": lambda: Epidemic.for_nodes(7, degree=4),
    "epidemic_local": lambda: EpidemicLocal(7, degree=3),
    "equidyn directed": lambda: Equidyn.for_nodes(7, directed=True),
    "equidyn undirected": lambda: Equidyn.for_nodes(7, degree=3),
    "random_groups": lambda: RandomGroups.for_nodes(7, degree=2),
    "moshpit": lambda: Moshpit(7, side=3),
    "moshpit redrawn": lambda: Moshpit(7, side=2, dims=3, redraw=True),
    "moshpit failing": lambda: FailingGroups(Moshpit(7, side=3), probability=0.3),
    "random_groups failing": lambda: FailingGroups(
        RandomGroups.for_nodes(7, degree=2), probability=0.3, all_or_none=True
    ),
    "modest": lambda: Modest(7, trainers=3, aggregators=2, success=0.7),
    "pairwise": lambda: Pairwise(7),
    "pairwise_of star": lambda: Pairwise.of(STAR),
    "pairs": lambda: AsynchronousPairs(7, wave=2),
    "pairs of star": lambda: AsynchronousPairs.of(STAR, wave=3),
    "matcha": lambda: Matcha.for_nodes(8, degree=3),
    "matcha_of star": lambda: Matcha.of(STAR),
    "preferred": lambda: Preferred(7, candidates=3, acquaint=2),
    "random_neighbours": lambda: RandomNeighbours.for_nodes(7, listen=1.5),
    "random_neighbours of star": lambda: RandomNeighbours.of(STAR, listen=0.6),
    "random_walk": lambda: RandomWalk.for_nodes(7, tokens=3),
    "random_walk_of star": lambda: RandomWalk.of(STAR, tokens=2),
    "teleportation": lambda: Teleportation.for_nodes(9, active=4),
    "markov": lambda: GilbertElliott.for_nodes(7, fail=0.4, recover=0.3),
    "markov_links directed": lambda: GilbertElliott.of(exponential(8), fail=0.4, recover=0.3),
    "markov_links groups": lambda: GilbertElliott.of(complete(5), fail=0.4, recover=0.3),
    "peer_swap": lambda: PeerSwap.for_nodes(7),
    "peer_swap_of star": lambda: PeerSwap.of(STAR, swaps=2),
    "ticks": lambda: Ticks.for_nodes(7, seconds=0.4),
    "ticks novel": lambda: Ticks.of(STAR, seconds=0.9, law="log_normal", choose="novel"),
    "mobility": lambda: Mobility.for_nodes(9, degree=3, speed=0.4),
}

# The smallest ones, and the odd ones.
SMALL = {
    **{f"epidemic {n}": lambda n=n: Epidemic.for_nodes(n, degree=n - 1) for n in (1, 2, 3)},
    **{f"epidemic_local {n}": lambda n=n: EpidemicLocal(n, degree=n - 1) for n in (1, 2, 3)},
    **{
        f"equidyn {n} {way}": lambda n=n, way=way: Equidyn.for_nodes(n, directed=way)
        for n in (1, 2, 3)
        for way in (True, False)
    },
    **{f"random_groups {n}": lambda n=n: RandomGroups.for_nodes(n, degree=1) for n in (1, 2, 3)},
    **{f"pairwise {n}": lambda n=n: Pairwise(n) for n in (1, 2, 3)},
    **{f"pairs {n}": lambda n=n: AsynchronousPairs(n) for n in (1, 2, 3)},
    **{f"matcha {n}": lambda n=n: Matcha.for_nodes(n, degree=n - 1) for n in (1, 2, 3)},
    **{f"random_neighbours {n}": lambda n=n: RandomNeighbours.for_nodes(n, degree=n - 1) for n in (1, 2, 3)},
    **{f"random_walk {n}": lambda n=n: RandomWalk.for_nodes(n, degree=n - 1) for n in (1, 2, 3)},
    **{f"teleportation {n}": lambda n=n: Teleportation.for_nodes(n, active=(n + 1) // 2) for n in (1, 2, 3)},
    **{f"markov {n}": lambda n=n: GilbertElliott.for_nodes(n, degree=n - 1, fail=0.5) for n in (1, 2, 3)},
    **{f"peer_swap {n}": lambda n=n: PeerSwap.for_nodes(n, degree=n - 1) for n in (1, 2, 3)},
    **{f"mobility {n}": lambda n=n: Mobility.for_nodes(n, degree=n - 1) for n in (1, 2, 3)},
    **{f"ticks {n}": lambda n=n: Ticks.for_nodes(n, degree=n - 1, seconds=0.8) for n in (1, 2, 3)},
    "pairwise_of one": lambda: Pairwise.of(ring(1)),
    "pairs of one": lambda: AsynchronousPairs.of(ring(1)),
    "teleportation_of ring": lambda: Teleportation.of(ring(5), 5),
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
