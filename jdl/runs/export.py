"""Results in the forms of other programs: labelled arrays, and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl import checks
from jdl.runs.history import SHARED, History
from jdl.runs.node_facts import NodeFacts

if TYPE_CHECKING:
    import xarray

    from jdl.show.tables import Table

__all__ = ["dataset", "formatted"]

NODE = "node_"  # begins the names of metrics of every node, of which the mean may be a column of the same name


def dataset(history: History, facts: Sequence[NodeFacts], about: dict[str, Any]) -> xarray.Dataset:
    """The evaluations of a run, or of the runs of several seeds, as an `xarray.Dataset`.

    Args:
      history: the evaluations.
      facts: the facts of the nodes, in the run of each seed.
      about: attributes of the whole, and lists with an entry for each seed.

    Returns:
      A data set with the dimensions `round` and `node`, and `seed` where there are several. Metrics of every node have
      the names of `history.nodes` after "node_"; `honest`, `group` and `num_examples` are coordinates of nodes.

    Raises:
      InputError: if xarray is not installed.
    """
    try:
        import xarray
    except ImportError as error:
        raise checks.InputError(
            "got to_xarray() without xarray, need the package; install it: pip install 'jdl[export]'"
        ) from error
    over = () if history.seeds is None else ("seed",)
    rounds = history["round"] if len(history) else np.zeros(0, int)
    variables = {
        name: (("round",) if name in SHARED else ("round", *over), values)
        for name, values in history.columns.items()
        if name != "round"
    }
    variables |= {f"{NODE}{name}": (("round", *over, "node"), values) for name, values in history.nodes.items()}
    coordinates: dict[str, Any] = {"round": rounds, "node": np.arange(facts[0].n)}
    if over:
        coordinates["seed"] = np.array(history.seeds)
    for name in facts[0].columns:
        values = [one.columns[name] for one in facts]
        alike = all(np.array_equal(one, values[0]) for one in values)
        coordinates[name] = ("node", values[0]) if alike else (("seed", "node"), np.stack(values))
    coordinates |= {name: ("seed", np.array(value)) for name, value in about.items() if isinstance(value, list)}
    plain = {name: value for name, value in about.items() if isinstance(value, str | int | float)}
    return xarray.Dataset(variables, coordinates, plain)


def formatted(table: Table, format: str) -> str:
    """A table in one of the formats "text", "markdown", "latex", "csv" and "html".

    Raises:
      InputError: if there is no such format.
    """
    from jdl.show import tables

    write = {name.removeprefix("to_"): getattr(tables, name) for name in tables.__all__ if name.startswith("to_")}
    write.pop("rich")
    return write[checks.known("format", format, write)](table)
