"""The report of a graph as a table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import rich.table

__all__ = ["graph_table"]


def graph_table(report: Mapping[str, Any]) -> rich.table.Table:
    """Make a table of a report, one row for each number, then the warnings and the notes.

    Args:
      report: the result of `jdl.graph_report`; its key "weights", if present, names the rule of the weights.

    >>> from jdl.show.graph_report import graph_report
    >>> from jdl.topology import ring
    >>> graph_table(graph_report(ring(8))).row_count
    13
    """
    import rich.table

    stochastic = (
        f"{report['stochastic']} stochastic"
        if report["stochastic"] == "doubly"
        else f"{report['stochastic']}-stochastic"
    )
    weights = f"{stochastic}, symmetric" if report["symmetric"] else stochastic
    weights = f"{report['weights']}: {weights}" if report.get("weights") else weights
    title = f"{report['name']}, {report['nodes']:,} node{'s' * (report['nodes'] != 1)}"
    table = rich.table.Table(title=title, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("weights", weights)
    for name, text in _lines(report).items():
        if text is not None:
            table.add_row(name, text)
    for kind in ("warning", "note"):
        for text in report[f"{kind}s"]:
            table.add_row(f"[bold red]{kind}[/]" if kind == "warning" else kind, text)
    return table


def _lines(report: Mapping[str, Any]) -> dict[str, str | None]:
    """The rows by name; None for a row that does not apply to this graph."""
    low, high = report["degree_min"], report["degree_max"]
    cycle, sampled = (report["period"] or 1) > 1, report["sampled_rounds"] is not None
    edges = "edges" if report["symmetric"] else "directed links"
    where = " in a round" if sampled else " of all rounds" if cycle else ""
    error = report["effective_neighbours_error"]
    about = f" (standard error {error:.1%} for one node)" if error else ""
    diameter = "none: some nodes never reach some others"
    if report["diameter"] is not None:
        diameter = f"{'' if report['diameter_is_exact'] else 'at least '}{report['diameter']:,}"
    exact = report["exact_after_rounds"]
    never = "never, or later than a period" if cycle else "never"
    lambda_2 = "lambda_2, a round of the period" if cycle else "lambda_2, expected" if sampled else "lambda_2"
    rounds = report["predicted_rounds"]
    return {
        f"{edges}{where}": _number(report["edges"]),
        "degree" + " in a round" * (cycle or sampled): f"{low:,}" if low == high else f"{low:,} to {high:,}",
        "messages a round, all nodes": _number(report["messages_per_round"]),
        "diameter, links": None if sampled else diameter,
        lambda_2: _number(report["lambda_2"], 7) or "not computed",
        "spectral gap": _number(report["spectral_gap"], 4),
        "second largest eigenvalue": _number(report["second_largest_eigenvalue"], 7),
        "smallest eigenvalue": _number(report["smallest_eigenvalue"], 7),
        "period, rounds": f"{report['period']:,}" if cycle else None,
        "exact mean after rounds": None if sampled else never if exact is None else f"{exact:,}",
        f"rounds to shrink disagreement to {report['eps']:g}": "never" if rounds is None else f"{rounds:,}",
        f"effective neighbours, gamma {report['gamma']:g}": _number(report["effective_neighbours_mean"], 4) + about,
        "effective neighbours, worst node": _number(report["effective_neighbours_worst"], 4),
    }


def _number(value: float | None, digits: int = 6) -> str | None:
    if value is None:
        return None
    if isinstance(value, int):
        return f"{value:,}"
    return "0" if abs(value) < 1e-14 else f"{value:,.{digits}g}"  # every number here is exact to 1e-14 at best
