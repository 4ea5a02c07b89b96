"""`jdl.time_line`: the first rounds of a simulation with a clock, and a picture of when its nodes compute."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jdl import checks
from jdl.engine.clock import seconds_of
from jdl.engine.rounds import spans
from jdl.engine.sim import Simulation, init
from jdl.engine.totals import exact

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bars_of", "time_line"]

MOST = 16  # nodes, unless the caller names them
_spans = jax.jit(spans)


def time_line(of: Any, rounds: int = 5, nodes: Sequence[int] | None = None, path: str | Path | None = None) -> Figure:
    """Draw when nodes compute and when they wait, in the first rounds of a simulation.

    A node computes its steps, waits for the messages of its neighbours (or of the server), and ends its round. It waits
    also while the server's message is on its way to it, and while it takes no part in a round.

    Args:
      of: a simulation with a clock, or the result of a run that had one; the rounds are computed anew.
      rounds: the number of rounds.
      nodes: the nodes to show; by default all, or the first 16.
      path: the file to write, if any; its ending gives the format.

    Returns:
      The figure, which a notebook displays.

    Raises:
      InputError: if there is no clock, or no node of such a number.

    >>> import jdl
    >>> parts = jdl.problems.quadratic(4), jdl.algorithms.DPSGD(), jdl.topology.ring(4)
    >>> figure = time_line(jdl.simulation(*parts, clock=jdl.clock.Clock()), rounds=2)
    >>> len(figure.axes[0].get_yticks())
    4
    """
    from jdl.show import time_line as show

    simulation = of if isinstance(of, Simulation) else getattr(of, "simulation", None)
    need = "need a simulation, or a result of one; try jdl.time_line(jdl.run(..., clock=Clock()))"
    checks.require(isinstance(simulation, Simulation), f"got {type(of).__name__}, {need}")
    plan, planned = type(simulation.schedule).__name__, hasattr(simulation.schedule, "seconds_at")
    of_rounds = f"got a run over {plan}, whose events have their times, need one over rounds"
    checks.require(not planned, f'{of_rounds}; for curves along seconds try jdl.compare(..., x="simulated_seconds")')
    checks.require(simulation.clock is not None, "got a run without a clock, need one; try jdl.run(..., clock=Clock())")
    rounds, n = checks.whole("rounds", rounds, 1), simulation.problem.n
    listed = nodes is None or (isinstance(nodes, Collection) and not isinstance(nodes, str))
    checks.require(listed, f"got nodes={nodes!r}, need a list of nodes; try nodes=[0, 1]")
    chosen = list(range(min(n, MOST))) if nodes is None else [checks.whole("a node", one, 0) for one in nodes]
    checks.require(bool(chosen) and max(chosen) < n, f"got nodes={chosen}, need nodes below n={n}; try nodes=[0]")
    bars, ends = bars_of(simulation, rounds)
    return show.time_line([bars[node] for node in chosen], ends[:, chosen], [str(node) for node in chosen], path)


def bars_of(simulation: Simulation, rounds: int) -> tuple[list[np.ndarray], np.ndarray]:
    """When nodes compute in the first rounds, and when they end each.

    Args:
      simulation: what is simulated, with a clock.
      rounds: the number of rounds.

    Returns:
      For each node the begin and the end of each bar, f[b, 2]; and f[T, n], the ends of rounds, NaN where a node takes
      no part.
    """
    n, state = simulation.problem.n, init(simulation)
    bars: list[list[tuple[float, float]]] = [[] for _ in range(n)]
    ends = np.full((rounds, n), np.nan)
    for t in range(rounds):
        since, before = float(exact(state.clock.since[:, None])[0]), seconds_of(state.clock)[:n]
        computed = exact(state.clock.computed)
        state, ids, found = _spans(simulation, state)
        ids = np.arange(n) if ids is None else np.asarray(ids)
        if not found:  # nothing is sent
            after = exact(state.clock.computed)
            begins, stops = (before - since)[ids], (before - since + after - computed)[ids]
            found = ((begins, stops, stops, stops),)
        for times in found:
            one, two, three, four = (np.asarray(x, float) + since for x in times)
            for row, node in enumerate(ids):
                bars[node] += [(one[row], two[row]), (three[row], four[row])]
        ends[t, ids] = seconds_of(state.clock)[ids]
    return [np.array([bar for bar in own if bar[1] > bar[0]]).reshape(-1, 2) for own in bars], ends
