"""Check that the topology, the network and the data provide what an algorithm and its exchanges need."""

from __future__ import annotations

import numpy as np

from jdl import checks, schedule
from jdl import plan as plans
from jdl.engine.state import Simulation
from jdl.exchange.stack import breaks_of, layers
from jdl.types import Algorithm, Federated, Plan

__all__ = ["REMEDIES", "STOCHASTIC", "check_needs", "reads_as"]

STOCHASTIC = frozenset({"row_stochastic", "column_stochastic", "doubly_stochastic"})

# The advice for each need that is not met.
REMEDIES = {
    "doubly_stochastic": "use an undirected graph with Metropolis weights, or push_sum, which needs column sums alone",
    "column_stochastic": "give weights whose columns sum to one, and a linear exchange",
    "row_stochastic": "give weights whose rows sum to one, or use push_sum",
    "symmetric": "use an undirected graph, or gradient_tracking, which takes directed doubly stochastic weights",
    "reliable": "drop the lossy links, or compress without memory, e.g. with TopK",
    "one_by_one": 'give a graph in slots, topology.plan("slots"), or one whose nodes have few neighbours',
    "tree": "give one graph without cycles, e.g. jdl.topology.binary_tree(n)",
    "fixed_links": "give one graph that does not change from round to round",
    "per_link": "leave out compressors and rules that read one message per node",
    "peers": "give a graph, not a schedule of clients",
    "server": "give jdl.schedule.Sampling(n, participants)",
}


def reads_as(plan: Plan, algorithm: Algorithm | Federated, breaks: frozenset[str]) -> str | None:
    """Whether the rows or the columns of W keep their sum of one if single messages of a directed plan are lost.

    A directed, doubly stochastic plan cannot keep both sums. A method that needs the columns (push-sum) uses it as
    column-stochastic: the sender keeps the weight of a lost message. All others use it as row-stochastic: the receiver
    gives that weight to its own model.

    Args:
      plan: the plan of the first round.
      algorithm: the method.
      breaks: the needs that the network breaks.

    Returns:
      "row" or "column"; None for a plan that keeps its sums.
    """
    if plan.stochastic != "doubly" or plan.symmetric or "reliable" not in breaks or algorithm.needs & {"server"}:
        return None
    return "column" if "column_stochastic" in algorithm.needs else "row"


def check_needs(built: Simulation, plan: Plan) -> None:
    """Check the needs of the algorithm and of each exchange.

    Args:
      built: the simulation.
      plan: the plan of its first round.

    Raises:
      InputError: if a need is not met; the sentence says what to change.
    """
    stochastic = plan.stochastic if built.reads_as is None else built.reads_as
    breaks, offers = breaks_of(built.exchange), built.oracle.offers
    has = plans.provides(plan.replace(stochastic=stochastic)) | offers | {"reliable", "per_link"}
    if isinstance(built.schedule, schedule.Fixed):
        has |= {"fixed_links"} | ({"tree"} if "tree" in built.algorithm.needs and _is_tree(built.schedule) else set())
    has -= breaks
    for part in (built.algorithm, *layers(built.exchange)):
        name = type(part).__name__
        # "peers" and "server" come first: if the plan is of the wrong sort, other needs do not matter.
        for need in sorted(part.needs - has, key=lambda need: (need not in ("peers", "server"), need)):
            why = "which the network breaks" if need in breaks else "which these parts do not offer"
            do = REMEDIES.get(need, "choose another algorithm or problem")
            raise checks.InputError(f"got {name} that needs {need!r}, {why}; {do}")


def _is_tree(fixed: schedule.Fixed) -> bool:
    """Whether the links, used in both directions, form a tree."""
    near = plans.neighbours(fixed.plan)
    rows, slots = np.nonzero(np.asarray(near.used))
    import networkx  # imported only for methods that need a tree, since the import is slow

    graph = networkx.empty_graph(fixed.n)
    graph.add_edges_from(zip(rows.tolist(), np.asarray(near.ids)[rows, slots].tolist(), strict=True))
    return networkx.is_tree(graph)
