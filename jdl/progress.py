"""What a person sees while a run goes on: a bar with the speed, the accuracy, and how far the models are apart."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

__all__ = ["Bar"]


class Bar:
    """A progress bar on standard error; where that is no terminal, a line every ten seconds."""

    def __init__(self, rounds: int, visible: bool | None, label: str):
        import rich.console
        import rich.progress

        self._console = rich.console.Console(stderr=True)
        shown = self._console.is_terminal or self._console.is_jupyter if visible is None else visible
        self._lines = shown and not (self._console.is_terminal or self._console.is_jupyter)
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.fields[speed]}"),
            rich.progress.TimeRemainingColumn(),
            rich.progress.TextColumn("{task.fields[metrics]}"),
            console=self._console,
            disable=not shown or self._lines,
        )
        self._task = self._bar.add_task(label, total=rounds, speed="compiling", metrics="")
        self._label, self._rounds, self._start = label, rounds, 0
        self._begun, self._told = time.monotonic(), 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def start(self, t: int) -> None:
        """Compiled and at round `t`: speed is counted from here."""
        self._begun, self._start = time.monotonic(), t

    def update(self, t: int, row: dict[str, Any] | None) -> None:
        """Round `t` is done; `row` is its evaluation, if it had one."""
        seconds = time.monotonic() - self._begun
        speed = f"{(t - self._start) / seconds:,.0f} rounds/s" if t > self._start else ""
        fields = {"speed": speed}
        if row:
            fields["metrics"] = _metrics(row)
        self._bar.update(self._task, completed=t, **fields)
        if self._lines and row and (time.monotonic() - self._told > 10 or t == self._rounds):
            self._told = time.monotonic()
            print(f"{self._label} {t}/{self._rounds} {speed} {_metrics(row)}", file=sys.stderr, flush=True)


def _metrics(row: dict[str, Any]) -> str:
    apart = f"consensus distance {row['consensus_distance']:.2e}"
    if "mean_accuracy" in row:
        return f"test accuracy {row['mean_accuracy']:.1%}, worst node {row['worst_accuracy']:.1%}, {apart}"
    return f"loss {row['mean_model_loss']:.4g}, {apart}"
