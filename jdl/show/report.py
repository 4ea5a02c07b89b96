"""The label of a run, and the table that compares runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from jdl.engine.metrics import EVALUATED
from jdl.show import tables

if TYPE_CHECKING:
    import rich.table

__all__ = ["Summarised", "label", "rows_of", "table"]


class Summarised(Protocol):
    """Anything with a summary, such as a `jdl.Result`."""

    @property
    def summary(self) -> dict[str, Any]: ...


def label(command: Mapping[str, Any]) -> str:
    """The label of a run: its algorithm, topology, networks and oracle.

    Args:
      command: the record of a run, see `jdl.command.record`.

    >>> label({"algorithm": {"name": "dpsgd"}, "topology": {"name": "ring"}, "network": [], "nodes": 8})
    'gossip: dpsgd on ring(8)'
    """
    name, topology, nodes = command["algorithm"]["name"], command["topology"], command["nodes"]
    if topology is None:
        return f"alone: {name}, {nodes:,} nodes"
    if topology["name"] == "sampling":
        text = f"server: {name}, {topology['participants']:,} of {nodes:,} clients a round"
    else:
        text = f"gossip: {name} on {_call(topology, [str(nodes)])}"
    lists = {"network": " through ", "network_down": ", down through ", "oracle": ", data by "}
    for kind, words in lists.items():
        parts = [_call(part, []) for part in command.get(kind, ())]
        text += (words + ", ".join(parts)) * bool(parts)
    return text


def _call(part: Mapping[str, Any], first: list[str]) -> str:
    given = [f"{name}={value}" for name, value in part.items() if name not in ("name", "seed") and value is not None]
    return f"{part['name']}({', '.join(first + given)})"


def table(results: Mapping[str, Summarised]) -> rich.table.Table:
    """The table of `rows_of` for a terminal.

    Args:
      results: the runs, on one problem, by label.
    """
    return tables.to_rich(rows_of(results))


def rows_of(results: Mapping[str, Summarised]) -> tables.Table:
    """A table with one row for each run: accuracies if the problem has them, losses otherwise.

    Where models of a run were evaluated on each node's own distribution, two columns show the mean and the worst node.
    Runs that have not finished are named below the table.

    Args:
      results: the runs, on one problem, by label.

    Returns:
      The table, for `jdl.show.tables.to_latex` and the other formats.
    """
    rows = {name: result.summary for name, result in results.items()}
    columns = {
        "mean over nodes": ("mean_accuracy", "{:.1%}"),
        "worst node": ("worst_accuracy", "{:.1%}"),
        "mean model": ("mean_model_accuracy", "{:.1%}"),
    }
    if all(row["mean_accuracy"] is None for row in rows.values()):
        columns = {
            "mean over nodes": ("mean_loss", "{:.4g}"),
            "worst node": ("worst_loss", "{:.4g}"),
            "mean model": ("mean_model_loss", "{:.4g}"),
            "above the optimum": ("suboptimality", "{:.2g}"),
        }
        columns = {title: column for title, column in columns.items() if any(column[0] in row for row in rows.values())}
    what, metric = ("test accuracy", "accuracy") if "mean_accuracy" in dict(columns.values()) else ("loss", "loss")
    if any(row.get(f"own_{metric}") is not None for row in rows.values()):
        form = columns["mean over nodes"][1]
        columns |= {"own data": (f"own_{metric}", form), "worst own data": (f"worst_own_{metric}", form)}
    rounds = max(row["rounds"] for row in rows.values())
    pairs = {(row.get(EVALUATED, row["nodes"]), row["nodes"]) for row in rows.values()}
    of = "".join(f", of a sample of {some:,} of {n:,} nodes" for some, n in sorted(pairs) if some < n)
    cells = []
    for name, row in rows.items():
        sent = row.get("bits_sent")
        megabytes = None if sent is None else sent / 8e6 / row["nodes"]
        values = [tables.Cell(row.get(key), form=form) for key, form in columns.values()]
        cells.append([tables.Cell(name), *values, tables.Cell(megabytes, form="{:,.3g}")])
    title = f"{what}, after {rounds:,} rounds{of}"
    ended = {name: row.get("message") for name, row in rows.items() if row.get("status", "finished") != "finished"}
    notes = [f"{name}: {message}" for name, message in ended.items()]
    return tables.Table(title, ["", *columns, "sent, MB a node"], cells, notes)
