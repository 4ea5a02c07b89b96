"""The properties of a graph that matter for learning over it: distances, eigenvalues, rounds to agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks, theory
from jdl.topology import Topology, forms
from jdl.topology.spectrum.distances import components, diameter, links_of_cycle
from jdl.topology.spectrum.eigenvalues import extremes, lambda_2
from jdl.topology.spectrum.neighbours import EffectiveNeighbours, effective_neighbours
from jdl.topology.spectrum.periods import contraction, cycle_of, exact_after_rounds
from jdl.topology.spectrum.sampled import effective_neighbours_of_rounds, expected_contraction, sample_rounds
from jdl.types import Schedule

__all__ = ["graph_report"]

NOT_NORMAL = (
    "W is not normal: one round leaves at most lambda_2 of the disagreement; over many rounds each leaves {:.4g}"
)
DEPENDENT = "rounds depend on earlier rounds; lambda_2, and all that follows from it, assumes independent rounds"
SAMPLED_NUMBERS = 4e7  # the greatest number of weights in all sampled rounds together: some hundred MB
DISCONNECTED = "disconnected: {:,} parts, each of which agrees only within itself; add links"
OSCILLATES = "the smallest eigenvalue is -1: gossip oscillates and never agrees; try other weights, such as lazy"
STANDS = "some disagreement is as large after a {0} as before; check whether several {0}s shrink it, or add links"


def graph_report(
    topology: Topology | Sequence[Topology] | Schedule,
    *,
    gamma: float = 0.95,
    eps: float = 1e-3,
    rounds: int = 100,
    seed: int = 0,
) -> dict[str, Any]:
    """Report the size, distances, eigenvalues, effective neighbours and rounds to agree of a topology or schedule.

    For a cycle, degrees and messages are those of one round; edges, connectedness and diameter those of all rounds
    together; `lambda_2` is the geometric mean over a period. For a schedule everything is estimated from sampled
    rounds: `lambda_2` is the square root of the expected contraction of a round. Values that do not apply are None.

    Args:
      topology: a topology, the topologies of one period of a cycle, or a schedule.
      gamma: the decay of the effective number of neighbours, see `jdl.topology.effective_neighbours`.
      eps: the factor to which the rounds of gossip are to shrink disagreement, see `jdl.theory.predicted_rounds`.
      rounds: the number of rounds of a schedule that are sampled; large rounds are sampled less often.
      seed: the seed of the sampled rounds.

    Returns:
      A JSON object. `notes` list what was estimated or left out, `warnings` what is wrong with the graph.

    Raises:
      InputError: if `topology` is none of these, or if gamma or eps is out of range.

    >>> from jdl.topology import ring
    >>> report = graph_report(ring(32), gamma=0.951)
    >>> report["edges"], report["diameter"], round(report["effective_neighbours_mean"], 2), report["predicted_rounds"]
    (32, 16, 8.86, 536)
    """
    gamma, eps = _between("gamma", gamma, 0.95, zero=True), _between("eps", eps, 1e-3)
    if isinstance(topology, Topology) or isinstance(topology, list | tuple):
        return _of_cycle(cycle_of(topology), gamma, eps)
    need = "need a Topology, a list of them or a Schedule; make one with jdl.topology or jdl.schedule"
    checks.require(isinstance(topology, Schedule), f"got a topology of type {type(topology).__name__}, {need}")
    return _of_schedule(topology, gamma, eps, rounds, seed)


def _of_cycle(phases: list[Topology], gamma: float, eps: float) -> dict[str, Any]:
    first, notes, single = phases[0], [], len(phases) == 1
    n, degrees = first.n, np.stack([phase.degree for phase in phases])
    parts, far = components(phases), diameter(phases)
    if far is not None and not far.exact:
        notes.append("the diameter is a lower bound: the largest distance found from some of the nodes")
    factor = _or_note(lambda: lambda_2(first) if single else contraction(phases).round, notes)
    ends = _or_note(lambda: extremes(first), notes) if single and first.symmetric else None
    near = effective_neighbours(phases, gamma)
    if near.error:
        notes.append(f"effective neighbours are estimated: the standard error for one node is {near.error:.1%}")
    exact = exact_after_rounds(phases)
    if single and first.stochastic == "doubly" and not first.symmetric and first.shifts is None and first.spectrum:
        rate = np.sort(np.abs(first.spectrum()))[-2:][0] if n > 1 else 0.0
        notes.append(NOT_NORMAL.format(rate))
    warnings = [DISCONNECTED.format(parts)] if parts > 1 else []
    if ends is not None and ends[1] <= -1 + 1e-9:
        warnings.append(OSCILLATES)
    elif factor is not None and factor >= 1 - 1e-12 and parts == 1 and ends is None:
        warnings.append(STANDS.format("round" if single else "period"))
    return {
        "name": first.name if single else first.name.partition(",")[0],
        "nodes": n,
        "stochastic": _weakest(phases),
        "symmetric": all(phase.symmetric for phase in phases),
        "edges": first.edge_count if single else _edges_of(phases),
        **_degrees(degrees),
        "connected": parts == 1,
        "diameter": None if far is None else far.links,
        "diameter_is_exact": far is not None and far.exact,
        "lambda_2": factor,
        "spectral_gap": None if factor is None else 1 - factor,
        "second_largest_eigenvalue": None if ends is None or n == 1 else ends[0],
        "smallest_eigenvalue": None if ends is None or n == 1 else ends[1],
        "period": len(phases),
        "exact_after_rounds": exact,
        **_neighbours(near, gamma),
        "eps": eps,
        "predicted_rounds": None if factor is None else theory.rounds_to_shrink(factor, exact, eps),
        "sampled_rounds": None,
        "notes": notes,
        "warnings": warnings,
    }


def _of_schedule(schedule: Schedule, gamma: float, eps: float, rounds: int, seed: int) -> dict[str, Any]:
    rounds, (first,) = checks.whole("rounds", rounds, 2), sample_rounds(schedule, 1, seed)
    rounds = int(np.clip(SAMPLED_NUMBERS / first.nnz, 2, rounds))
    sample = sample_rounds(schedule, rounds, seed)
    plan = jax.eval_shape(lambda key: schedule(schedule.init(key), jnp.int32(0), key)[0], jax.random.key(0))
    links = [forms.off_diagonal(W) for W in sample]
    rate = expected_contraction(sample)
    near = effective_neighbours_of_rounds(sample, gamma, plan.stochastic == "doubly")
    edges = float(np.mean([W.nnz for W in links])) / (2 if plan.symmetric else 1)
    what = f"everything is estimated from {rounds} sampled rounds; edges and messages are means over them"
    memory = jax.tree.leaves(jax.eval_shape(schedule.init, jax.random.key(0)))
    between = f"lambda_2 has a standard error of {rate.error:.2g}; an upper estimate is {rate.at_most:.4g}"
    return {
        "name": type(schedule).__name__,
        "nodes": schedule.n,
        "stochastic": plan.stochastic,
        "symmetric": plan.symmetric,
        "edges": int(edges) if edges.is_integer() else edges,
        **_degrees(np.stack([np.diff(W.indptr) for W in links])),
        "connected": None,
        "diameter": None,
        "diameter_is_exact": None,
        "lambda_2": rate.round,
        "spectral_gap": 1 - rate.round,
        "second_largest_eigenvalue": None,
        "smallest_eigenvalue": None,
        "period": None,
        "exact_after_rounds": None,
        **_neighbours(near, gamma),
        "eps": eps,
        "predicted_rounds": theory.rounds_to_shrink(rate.round, None, eps),
        "sampled_rounds": rounds,
        "notes": [what, between, *[DEPENDENT] * bool(memory)],
        "warnings": [],
    }


def _degrees(degree: np.ndarray) -> dict[str, Any]:
    """Degrees and messages from int[T, n], the number of links into each node in each round."""
    messages = float(degree.sum(axis=1).mean())
    return {
        "degree_min": int(degree.min()),
        "degree_max": int(degree.max()),
        "messages_per_round": int(messages) if messages.is_integer() else messages,
    }


def _neighbours(near: EffectiveNeighbours, gamma: float) -> dict[str, Any]:
    return {
        "gamma": gamma,
        "effective_neighbours_mean": near.mean,
        "effective_neighbours_worst": near.worst,
        "effective_neighbours_error": near.error,
    }


def _weakest(phases: list[Topology]) -> str:
    """The sums of W that are one in all phases: those of rows, of columns, or both ("doubly")."""
    return next((phase.stochastic for phase in phases if phase.stochastic != "doubly"), "doubly")


def _edges_of(phases: list[Topology]) -> int:
    """The number of links in all phases together; a pair counts once if all phases are symmetric."""
    return links_of_cycle(phases).nnz // (2 if all(phase.symmetric for phase in phases) else 1)


def _between(name: str, value: Any, usual: float, zero: bool = False) -> float:
    real = isinstance(value, int | float) and (0 < value < 1 or (zero and value == 0))
    need = "a number from 0 to less than 1" if zero else "a number between 0 and 1"
    checks.require(real, f"got {name}={value!r}, need {need}; try {name}={usual}")
    return float(value)


def _or_note(compute: Callable[[], Any], notes: list[str]) -> Any:
    """The computed value; if it cannot be computed, None, and a note that says why."""
    try:
        return compute()
    except checks.InputError as error:
        notes.append(str(error))
        return None
