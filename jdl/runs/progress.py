"""The progress of a run: a bar with the speed, the time left, the accuracy and the consensus distance."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from jdl.engine.metrics import EVALUATED

if TYPE_CHECKING:
    import rich.console

__all__ = ["Bar"]

LINE_SECONDS = 10.0  # the time between two lines, if no bar can be drawn


class Bar:
    """Shows the progress: a bar on a terminal, one changing line in a notebook, a line every ten seconds in a file.

    Args:
      rounds: the number of rounds.
      visible: whether to show it; None shows it on a terminal and in a notebook.
      label: the name of the run.
      console: the console to draw on; standard error by default.
      unit: what is counted, if it is not rounds.
    """

    def __init__(
        self,
        rounds: int,
        visible: bool | None,
        label: str,
        console: rich.console.Console | None = None,
        unit: str = "round",
    ):
        import rich.console
        import rich.progress
        import rich.table

        console = console or rich.console.Console(stderr=True, force_jupyter=False)
        notebook = _in_notebook()
        shown = console.is_terminal or notebook if visible is None else visible
        self._line = None
        if shown and (notebook or not console.is_terminal):  # rich takes a notebook for a terminal
            self._line = _notebook_line() if notebook else _log_line()
        whole = lambda text: rich.table.Column(no_wrap=True, min_width=len(text))
        rest = lambda share: rich.table.Column(no_wrap=True, overflow="ellipsis", ratio=share)
        # A narrow terminal cuts the label and the metrics short, never the count of rounds and the time left.
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}", table_column=rest(1)),
            rich.progress.BarColumn(bar_width=8, table_column=whole("=" * 8)),
            rich.progress.MofNCompleteColumn(table_column=whole(f"{rounds}/{rounds}")),
            rich.progress.TextColumn("{task.fields[speed]}", table_column=whole(f"1,000 {unit}s/s")),
            rich.progress.TextColumn("{task.fields[left]}", table_column=whole("0:00:00 left")),
            rich.progress.TextColumn("{task.fields[metrics]}", table_column=rest(3)),
            console=console,
            expand=True,
            disable=not shown or self._line is not None,
        )
        self._task = self._bar.add_task(label, total=rounds, speed="compiling", left="", metrics="")
        self._label, self._rounds, self._unit, self._start, self._metrics = label, rounds, unit, 0, ""
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def start(self, t: int) -> None:
        """Start the clock: the program is compiled, and the run is at round `t`."""
        self._begun, self._start = time.monotonic(), t

    def update(self, t: float, row: dict[str, Any] | None, text: str = "") -> None:
        """Show that round `t` is done.

        Args:
          t: the number of rounds that are done.
          row: the newest evaluation, or None.
          text: what to show in place of the metrics of the evaluation.
        """
        speed = (t - self._start) / max(time.monotonic() - self._begun, 1e-9)
        texts = {"speed": _speed(speed, self._unit), "left": _left((self._rounds - t) / speed) if speed > 0 else ""}
        self._metrics = text or (_metrics(row) if row else self._metrics)
        self._bar.update(self._task, completed=t, metrics=self._metrics, **texts)
        if self._line:
            parts = [f"{self._label} {int(t)}/{self._rounds}", *texts.values(), self._metrics]
            self._line(", ".join(part for part in parts if part), t >= self._rounds)


def _speed(per_second: float, unit: str = "round") -> str:
    """The rounds per second, or the seconds per round if a round takes longer than a second.

    >>> _speed(1234.5), _speed(2.345), _speed(0.04), _speed(0.0)
    ('1,234 rounds/s', '2.3 rounds/s', '25 s/round', '')
    """
    if per_second >= 10:
        return f"{per_second:,.0f} {unit}s/s"
    if per_second >= 1:
        return f"{per_second:.1f} {unit}s/s"
    return f"{1 / per_second:,.3g} s/{unit}" if per_second > 0 else ""


def _left(seconds: float) -> str:
    """The time that is left, in hours, minutes and seconds.

    >>> _left(3725.2), _left(9), _left(200_000)
    ('1:02:05 left', '0:00:09 left', '2 days, 7:33:20 left')
    """
    return f"{datetime.timedelta(seconds=round(seconds))} left"


def _in_notebook() -> bool:
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return "ipykernel" in type(get_ipython()).__module__


def _notebook_line() -> Callable[[str, bool], None]:
    from IPython.display import display

    handle = display({"text/plain": ""}, raw=True, display_id=True)
    return lambda text, last: handle.update({"text/plain": text}, raw=True)


def _log_line() -> Callable[[str, bool], None]:
    printed = -LINE_SECONDS

    def print_line(text, last):
        nonlocal printed
        if last or time.monotonic() - printed > LINE_SECONDS:
            printed = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    return print_line


def _metrics(row: dict[str, Any]) -> str:
    """The accuracy, or the loss of a problem without one, and the consensus distance, as far as they are numbers.

    >>> _metrics({"mean_model_loss": 0.25, "consensus_distance": 2.0}), _metrics({"round": 5})
    ('loss 0.25, consensus distance 2.0e+00', '')
    """
    numbers = {name: _mean(value) for name, value in row.items() if isinstance(value, float | np.ndarray)}
    of = f" of {row[EVALUATED]:,} nodes" if EVALUATED in row else ""
    accuracy, loss = f"accuracy {{mean_accuracy:.1%}}, worst{of} {{worst_accuracy:.1%}}", "loss {mean_model_loss:.4g}"
    what = {"mean_accuracy": accuracy} if "mean_accuracy" in numbers else {"mean_model_loss": loss}
    what["consensus_distance"] = "consensus distance {consensus_distance:.1e}"
    return ", ".join(text.format(**numbers) for name, text in what.items() if name in numbers)


def _mean(value: float | np.ndarray) -> float:
    """A number, or the mean over the seeds that have not diverged."""
    found = np.asarray(value)[np.isfinite(value)] if np.ndim(value) else np.asarray(value)
    return float(np.mean(found)) if found.size else float("nan")
