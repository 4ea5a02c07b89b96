"""What is measured beside the built-in metrics, and the names of columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

__all__ = ["BUILT_IN", "COLUMNS", "EVALUATED", "PER_NODE", "Metrics"]

# The order in which tables show them. `jit` returns a dictionary in the order of its keys.
OF = ("mean_model", "mean", "std", "worst", "best")
COLUMNS = (
    *(f"{of}_{what}" for what in ("loss", "accuracy") for of in OF),
    *("own_loss", "worst_own_loss", "own_accuracy", "worst_own_accuracy"),
    *("consensus_distance", "suboptimality"),
)
# Names of metrics that are arrays with an entry for each node begin with this.
PER_NODE = "nodes/"
# The column with the number of nodes whose models were evaluated. Only runs that evaluate a sample of them have it.
EVALUATED = "eval_nodes"


@dataclasses.dataclass(frozen=True)
class Metrics:
    """What is measured beside the built-in metrics, as a part of the program.

    Attributes:
      functions: the user's own metrics, pairs of a name and a function; see `users`.
      own: whether models are also evaluated on the distribution of each node.
      honest_only: whether means and extremes over nodes count the honest nodes only. It is false in a simulation
        without dishonest nodes, whose program has no masks.
      per_node: the built-in quantities of which the number of each node is kept; None for none.
    """

    functions: tuple[tuple[str, Callable[..., Any]], ...] = ()
    own: bool = False
    honest_only: bool = False
    per_node: tuple[str, ...] | None = None


BUILT_IN = Metrics()
