"""When nodes act of their own accord, and who can hear them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from jdl import checks, events
from jdl.topology import Topology, forms

__all__ = ["into", "out", "timers"]


def timers(
    n: int,
    seconds_per_step: float | np.ndarray,
    horizon: float,
    law: str,
    spread: float,
    away: Iterable[Sequence[float]],
    seed: int,
) -> tuple[events.Acts, events.Absences | None]:
    """Who acts when, of its own accord, and who is away."""
    absent = events.absences(away, n)
    seed = checks.whole("seed", seed, 0)
    return events.devices(seconds_per_step, horizon, n, law, spread, seed, absent), absent


def into(topology: Topology) -> tuple[np.ndarray, np.ndarray]:
    """The in-neighbours of each node: where those of each begin, and who they are."""
    links = forms.off_diagonal(topology.weights)
    return links.indptr, links.indices


def out(topology: Topology) -> tuple[np.ndarray, np.ndarray]:
    """The out-neighbours of each node."""
    links = forms.off_diagonal(topology.weights).T.tocsr()
    return links.indptr, links.indices
