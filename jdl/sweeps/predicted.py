"""What theory predicts of the points of a sweep, as rows like those of its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jdl import checks
from jdl.sweeps.jobs import SETTINGS, naming
from jdl.theory import predict

if TYPE_CHECKING:
    import pandas

    from jdl.sweeps.table import SweepTable

__all__ = ["predicted"]


def predicted(table: SweepTable) -> pandas.DataFrame:
    """A frame with the columns of the table's, whose metrics are the predicted means over its seeds.

    Args:
      table: the sweep.

    Raises:
      InputError: if the table has no arguments, since it was read from files; or if theory has no exact prediction for
        a point, which the sentence names.
    """
    import pandas

    from jdl.runs.seeds import simulations

    got = "got a sweep that was read from files, which do not hold its parts"
    do = "call jdl.sweep with the same arguments and run_dir; finished runs are not run again"
    checks.require(table.arguments is not None, f"{got}, need them for theory=True; {do}")
    frames = []
    for point, arguments in enumerate(table.arguments):
        parts = {name: value for name, value in arguments.items() if name not in SETTINGS}
        rows = table.frame[table.frame["point"] == point]
        if rows.empty:
            continue
        with naming(table.labels[point]):
            several = simulations(parts, sorted(rows["seed"].unique()), {})
            prediction = predict(several, np.unique(rows["round"]), params=arguments.get("params"))
        keys = {"point": point, **table.labels[point], "seed": 0, "round": prediction.rounds}
        metrics = {name: values for name, values in prediction.columns.items() if name in table.metrics}
        frames.append(pandas.DataFrame(keys | metrics))
    return pandas.concat(frames, ignore_index=True)
