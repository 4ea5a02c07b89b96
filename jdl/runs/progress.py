"""What a person sees while a run goes on: a bar with the speed, the accuracy, and how far the models are apart."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

__all__ = ["Bar"]

LINE_SECONDS = 10.0  # between two lines, where a bar cannot be drawn


class Bar:
    """A bar on a terminal; in a notebook one line that renews itself; a line now and then where output is kept."""

    def __init__(self, rounds: int, visible: bool | None, label: str):
        import rich.console
        import rich.progress

        console = rich.console.Console(stderr=True, force_jupyter=False)
        notebook = _in_notebook()
        shown = console.is_terminal or notebook if visible is None else visible
        self._line = None
        if shown and (notebook or not console.is_terminal):  # rich takes a notebook for a terminal
            self._line = _notebook_line() if notebook else _log_line()
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(bar_width=12),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.fields[speed]}"),
            rich.progress.TimeRemainingColumn(),
            rich.progress.TextColumn("{task.fields[metrics]}"),
            console=console,
            disable=not shown or self._line is not None,
        )
        self._task = self._bar.add_task(label, total=rounds, speed="compiling", metrics="")
        self._label, self._rounds, self._start, self._metrics = label, rounds, 0, ""
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def start(self, t: int) -> None:
        """Compiled and at round `t`: speed is counted from here."""
        self._begun, self._start = time.monotonic(), t

    def update(self, t: int, row: dict[str, Any] | None) -> None:
        """Round `t` is done; `row` is the newest evaluation, if there is one."""
        speed = f"{(t - self._start) / (time.monotonic() - self._begun):,.0f} rounds/s"
        self._metrics = _metrics(row) if row else self._metrics
        self._bar.update(self._task, completed=t, speed=speed, metrics=self._metrics)
        if self._line:
            self._line(f"{self._label} {t}/{self._rounds}, {speed}, {self._metrics}", t >= self._rounds)


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
    told = -LINE_SECONDS

    def tell(text, last):
        nonlocal told
        if last or time.monotonic() - told > LINE_SECONDS:
            told = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    return tell


def _metrics(row: dict[str, Any]) -> str:
    apart = f"consensus distance {row['consensus_distance']:.1e}"
    if "mean_accuracy" in row:
        return f"accuracy {row['mean_accuracy']:.1%}, worst {row['worst_accuracy']:.1%}, {apart}"
    return f"loss {row['mean_model_loss']:.4g}, {apart}"
