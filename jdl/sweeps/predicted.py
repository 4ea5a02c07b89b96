"""What theory predicts of the points of a sweep, as rows like those of its table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl import checks
from jdl.sweeps.jobs import SETTINGS, naming
from jdl.theory import predict

if TYPE_CHECKING:
    import pandas

__all__ = ["predicted"]


def predicted(
    frame: pandas.DataFrame,
    labels: Sequence[Mapping[str, Any]],
    arguments: Sequence[Mapping[str, Any]] | None,
    metrics: Collection[str],
) -> pandas.DataFrame:
    """A frame like that of a sweep's table, whose metrics are the predicted means over its seeds.

    Args:
      frame: the evaluations of the sweep.
      labels: the labels of each point.
      arguments: the arguments of each point, those of `jdl.run`; None if they are not at hand.
      metrics: the metrics of the sweep.

    Raises:
      InputError: if the table has no arguments, since it was read from files; or if theory has no exact prediction for
        a point, which the sentence names.
    """
    import pandas

    from jdl.runs.seeds import simulations

    got = "got a sweep that was read from files, which do not hold its parts"
    do = "call jdl.sweep with the same arguments and run_dir; finished runs are not run again"
    checks.require(arguments is not None, f"{got}, need them for theory=True; {do}")
    frames = []
    for point, own in enumerate(arguments):
        parts = {name: value for name, value in own.items() if name not in SETTINGS}
        rows = frame[frame["point"] == point]
        if rows.empty:
            continue
        with naming(labels[point]):
            several = simulations(parts, sorted(rows["seed"].unique()), {})
            prediction = predict(several, np.unique(rows["round"]), params=own.get("params"))
        keys = {"point": point, **labels[point], "seed": 0, "round": prediction.rounds}
        columns = {name: values for name, values in prediction.columns.items() if name in metrics}
        frames.append(pandas.DataFrame(keys | columns))
    return pandas.concat(frames, ignore_index=True)
