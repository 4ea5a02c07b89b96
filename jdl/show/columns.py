"""The columns of a run as pictures need them: found by name, with a title, a format, and what is derived from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jdl import checks

__all__ = [
    "ABOVE",
    "NEVER_NEGATIVE",
    "columns_of",
    "default_y",
    "form",
    "laid_along",
    "is_accuracy",
    "shown",
    "text_of",
    "title",
    "without_diverged",
]

ABOVE = "loss_above_optimum"  # mean_loss minus the loss of the optimum, where that is known
NEVER_NEGATIVE = (ABOVE, "suboptimality", "consensus_distance")  # 0 is exact there, and left out of logarithmic axes
LOSSES = ("mean_loss", "mean_model_loss")  # the first of these says whether a run has diverged
CLOCK = ("round", "seconds", "megabytes", "bits_sent", "messages_sent", "seed", "point")
CLOCK += ("simulated_seconds", "idle_share", "joules", "bits_received")
MEGABYTE = 8e6  # bits
TITLES = {
    "mean_accuracy": "test accuracy, mean over nodes",
    "worst_accuracy": "test accuracy of the worst node",
    "best_accuracy": "test accuracy of the best node",
    "mean_model_accuracy": "test accuracy of the mean model",
    "own_accuracy": "accuracy on own data, mean over nodes",
    "worst_own_accuracy": "accuracy on own data, worst node",
    "accuracy": "test accuracy",
    "mean_loss": "loss, mean over nodes",
    "worst_loss": "loss of the worst node",
    "best_loss": "loss of the best node",
    "mean_model_loss": "loss of the mean model",
    ABOVE: "loss above the optimum, mean over nodes",
    "suboptimality": "loss of the mean model above the optimum",
    "consensus_distance": r"consensus distance,  $\frac{1}{n}\,\sum_i\,\Vert x_i - \bar{x} \Vert^2$",
    "round": "rounds",
    "seconds": "time of this computer, s",
    "megabytes": "sent, MB a node",
    "bits_sent": "sent by all nodes, bits",
    "messages_sent": "messages sent by all nodes",
    "simulated_seconds": "simulated time, s",
    "idle_share": "share of the time in which nodes wait",
    "joules": "energy of all nodes, J",
    "bits_received": "received by all nodes, bits",
    "num_examples": "number of examples of a node",
    "degree": "degree of a node",
}


def columns_of(name: str, run: Any, nodes: int | None = None) -> dict[str, np.ndarray]:
    """The columns of a run, with those that are derived: the megabytes sent by a node, and the loss above the optimum.

    Args:
      name: the name of the run, for sentences.
      run: a result with a `history`, a history, or a mapping of columns f[E] or f[E, S] (E evaluations, S seeds).
      nodes: the number of nodes; without it that of the result, if it tells.

    Raises:
      InputError: if it is none of these, or has no evaluations.
    """
    history = getattr(run, "history", run)
    table = getattr(history, "columns", history)
    checks.require(
        isinstance(table, Mapping),
        f"got {type(run).__name__} for {name!r}, need a result, a history or a dict of columns; "
        "pass what jdl.run returns",
    )
    found = {column: np.asarray(values) for column, values in table.items()}
    checks.require(
        "round" in found and found["round"].size > 0,
        f"got no evaluations for {name!r}, need a column 'round' with one at least; run a round and pass its result",
    )
    found = without_diverged(found)
    n = nodes or nodes_of(run)
    if "megabytes" not in found and "bits_sent" in found and n:
        found["megabytes"] = found["bits_sent"] / MEGABYTE / n
    if {"mean_loss", "mean_model_loss", "suboptimality"} <= found.keys():
        found[ABOVE] = found["mean_loss"] - (found["mean_model_loss"] - found["suboptimality"])
    return found


def laid_along(name: str, history: Any, x: str, nodes: int | None) -> dict[str, np.ndarray]:
    """The columns of a run, in which `x` takes the place of the rounds.

    Raises:
      InputError: if the run has no such column.

    >>> laid_along("run", {"round": np.arange(2), "joules": np.array([0.0, 5.0])}, "joules", None)["round"]
    array([0., 5.])
    """
    found = dict(getattr(history, "columns", history))
    if "bits_sent" in found and nodes and "megabytes" not in found:
        found["megabytes"] = found["bits_sent"] / MEGABYTE / nodes
    return found | {"round": shown(found, x, name)}


def without_diverged(found: Mapping[str, Any]) -> dict[str, Any]:
    """Columns, of which metrics are NaN where the loss is not finite: accuracies would be those of no model.

    Args:
      found: the columns, arrays of one shape except for those of the clock.

    >>> without_diverged({"round": np.arange(2), "mean_loss": np.array([1, np.inf]), "mean_accuracy": np.ones(2)})
    {'round': array([0, 1]), 'mean_loss': array([ 1., nan]), 'mean_accuracy': array([ 1., nan])}
    """
    losses = [found[name] for name in LOSSES if name in found]
    if not losses or np.isfinite(losses[0]).all():
        return dict(found)
    good = np.isfinite(losses[0])

    def kept(name: str, values: Any) -> Any:
        same = np.shape(values) == np.shape(good) and name not in CLOCK and np.issubdtype(values.dtype, np.number)
        return np.where(good, values, np.nan) if same else values

    return {name: kept(name, values) for name, values in found.items()}


def nodes_of(run: Any) -> int | None:
    """The number of nodes, of anything that has `n`; None if it has none."""
    n = getattr(run, "n", None)
    return int(n) if isinstance(n, int | np.integer) else None


def shown(found: Mapping[str, np.ndarray], name: str, run: str) -> np.ndarray:
    """A column of a run by its name.

    Raises:
      InputError: if the run has no such column; it names those there are.
    """
    name = "round" if name == "rounds" else name
    if name == "megabytes" and name not in found and "bits_sent" in found:
        raise checks.InputError(
            f"got 'megabytes' for {run!r}, whose number of nodes is not known; pass nodes={{{run!r}: n}}, or the result"
        )
    checks.require(
        name in found, f"got column {name!r}, which {run!r} does not have; there are {', '.join(sorted(found))}"
    )
    return found[name]


def default_y(tables: Iterable[Mapping[str, np.ndarray]]) -> str:
    """What is compared by default: the test accuracy, else the loss above the optimum, else the loss."""
    tables = list(tables)
    return next(
        (name for name in ("mean_accuracy", ABOVE) if all(name in found for found in tables)),
        "mean_loss",
    )


def is_accuracy(name: str) -> bool:
    """Whether a column holds accuracies, which are shown in percent."""
    return name == "accuracy" or name.endswith("_accuracy")


def form(name: str) -> str:
    """The format of a value of a column."""
    return "{:.1%}" if is_accuracy(name) else "{:.3g}"


def title(name: str) -> str:
    """What a column is called beside an axis.

    >>> title("mean_loss"), title("drift_of_clients")
    ('loss, mean over nodes', 'drift of clients')
    """
    return TITLES.get(name, name.replace("_", " "))


def text_of(value: Any) -> str:
    """A value of an axis of a sweep, in short.

    >>> text_of(0.1000000001), text_of("ring(8)"), text_of(True)
    ('0.1', 'ring(8)', 'True')
    """
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
