"""The results of one run with several seeds."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdl.runs import export
from jdl.runs.history import History
from jdl.runs.result import Result
from jdl.runs.shadows import lira

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas
    import xarray

    from jdl.runs.audit import Attacked
    from jdl.theory import Prediction
    from jdl.types import Problem

__all__ = ["Results"]


@dataclasses.dataclass(frozen=True)
class Results(Sequence[Result]):
    """The results of a run with several seeds: a sequence of the `Result` of each.

    Args:
      name: the label of the run.
      results: the results, in the order of the seeds. Their histories have no axis of seeds.
      history: the evaluations of all seeds, columns f[E, S].
      run_dir: the directory of the files, if there is one.
    """

    name: str
    results: tuple[Result, ...]
    history: History
    run_dir: Path | None = None

    def __getitem__(self, index: Any) -> Any:
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return self.history.seeds

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.results[0].n

    @property
    def nodes(self) -> pandas.DataFrame:
        """The metrics of every node, see `Result.nodes`, with a column `seed` after `round`."""
        import pandas

        frames = [(one.seed, one.nodes) for one in self]
        for seed, frame in frames:
            frame.insert(1, "seed", seed)
        return pandas.concat([frame for _, frame in frames], ignore_index=True)

    @property
    def status(self) -> str:
        """The status that most runs have; of those that equally many have, the first in the alphabet: "diverged"."""
        return min(collections.Counter(one.status for one in self).items(), key=lambda pair: (-pair[1], pair[0]))[0]

    @property
    def message(self) -> str:
        """How the runs ended, in a sentence."""
        found = collections.Counter(one.message for one in self)
        if len(found) == 1:
            return self.results[0].message
        return "; ".join(f"{count} of {len(self)} seeds: {message}" for message, count in found.items())

    @property
    def summary(self) -> dict[str, Any]:
        """The mean over seeds of each number of the summary of a run, with the summaries of all as `runs`.

        Numbers of seeds that have diverged are left out of a mean.
        """
        rows = [one.summary for one in self]
        mean = {name: _mean([row.get(name) for row in rows]) for name in rows[0]}
        words = {"status": self.status, "message": self.message, "run_dir": rows[0]["run_dir"]}
        return {**mean, **words, "seeds": list(self.seeds), "runs": rows}

    def plot(
        self, path: str | Path | None = None, theory: bool | Prediction = False, x: str = "rounds"
    ) -> matplotlib.figure.Figure:
        """Draw the learning curves: the mean over seeds, and a band.

        Args:
          path: the file to write, if any; its ending gives the format.
          theory: whether to lay over the curves what `jdl.theory.predict` predicts of them, or such a prediction.
          x: what is along the axes: "rounds", "megabytes" (sent by a node), "simulated_seconds", or any column.

        Returns:
          The figure, which a notebook displays.

        Raises:
          InputError: if there is no column x; or if theory has no exact prediction, naming the part that is not linear.
        """
        from jdl.runs.predicted import pictured

        first, simulations = self.results[0], lambda: [one.simulation for one in self]
        start = getattr(first.origin, "start", None)
        return pictured(first.title, self.history, self.n, simulations, path, theory, start, x)

    def table(self, format: str = "text", by_seed: bool = False) -> str:
        """The last evaluation as a table in "text", "markdown", "latex", "csv" or "html": mean ± interval over seeds.

        Args:
          format: the format.
          by_seed: whether there is a row for each seed as well.

        Raises:
          InputError: if there is no such format.
        """
        from jdl.show import report

        every = {f"seed {one.seed}": one for one in self} if by_seed else {}
        return export.formatted(report.rows_of({self.results[0].title: self, **every}), format)

    def lira(
        self, problem: Problem, variant: str = "online", fixed_variance: bool = False, targets: int = 2
    ) -> Attacked:
        """The likelihood-ratio attack on the first runs, with the others as shadow models; see `runs.shadows.lira`.

        Args:
          problem: the problem of which the runs have halves: they were made with `jdl.privacy.halves(problem)`.
          variant: "online", "offline" or "threshold", see `jdl.privacy.lira_scores`.
          fixed_variance: whether all examples share the variances of the attack, for few shadow models.
          targets: how many of the runs are attacked.

        Raises:
          InputError: if the seeds do not come in pairs, or if problem and runs do not fit.
        """
        return lira(self.results, problem, variant, fixed_variance, targets)

    def to_xarray(self) -> xarray.Dataset:
        """The evaluations as an `xarray.Dataset` (the extra `export`): the dimensions `round`, `seed` and `node`.

        Metrics of every node have their names after "node_"; `honest`, `group`, `num_examples`, and the status and the
        rounds of each seed, are coordinates.

        Raises:
          InputError: if xarray is not installed.
        """
        of_each = {name: [getattr(one, name) for one in self] for name in ("status", "rounds")}
        about = {"name": self.name, "message": self.message, "seconds": self[0].seconds}
        return export.dataset(self.history, [one.node_facts for one in self], about | of_each)

    def __repr__(self) -> str:
        lines = (f"  {label}: {text}" for label, text in self.results[0].facts(self.summary))
        return "\n".join([f"{self.name}, {len(self)} seeds: {self.message}", *lines])


def _mean(values: list[Any]) -> Any:
    numbers = [value for value in values if isinstance(value, int | float) and math.isfinite(value)]
    if not numbers:
        return None
    return numbers[0] if all(number == numbers[0] for number in numbers) else math.fsum(numbers) / len(numbers)
