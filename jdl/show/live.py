"""A curve in a notebook that grows while a run goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from jdl import checks
from jdl.engine.metrics import PER_NODE
from jdl.show import style
from jdl.show.compare import compare

__all__ = ["LiveCurve", "live_curve"]


class LiveCurve:
    """What `live_curve` returns: call it with each evaluation of a run."""

    def __init__(self, every: float, y: str | None, clock: Callable[[], float] = time.monotonic):
        self.every, self.y, self.clock = every, y, clock
        self.rows: list[dict[str, Any]] = []
        self._display: Any = None  # the handle of the picture in the notebook
        self._drawn = (-np.inf, 0)  # when, and how many evaluations
        self._told = False

    def __call__(self, row: dict[str, Any]) -> None:
        """Take an evaluation, and draw the curve if it was not drawn a short while ago. Nothing is raised.

        Args:
          row: numbers by the name of a column; arrays f[S] for several seeds.
        """
        try:
            self._take(row)
        except Exception as error:
            self._tell(f"the live curve is left out: {error}")

    def finish(self) -> None:
        """Draw what has not been drawn yet. A notebook calls this at the end of its cell."""
        try:
            if self._drawn[1] < len(self.rows):
                self._draw()
        except Exception as error:
            self._tell(f"the live curve is left out: {error}")

    def _take(self, row: dict[str, Any]) -> None:
        if self._told:
            return
        shell = notebook()
        if shell is None:
            self._tell("the live curve needs a notebook; here result.plot() draws the curve when the run has ended")
            return
        if self.rows and row["round"] <= self.rows[-1]["round"]:  # another run
            self.rows, self._display = [], None
        if not self.rows:
            self._at_end_of(shell)
        self.rows.append({name: value for name, value in row.items() if not name.startswith(PER_NODE)})
        if self.clock() - self._drawn[0] >= self.every:
            self._draw()

    def _at_end_of(self, shell: Any) -> None:
        def ended(*_: Any) -> None:
            shell.events.unregister("post_run_cell", ended)
            self.finish()

        shell.events.register("post_run_cell", ended)

    def _draw(self) -> None:
        from IPython.display import Image, display

        names = [name for name in self.rows[0] if all(name in row for row in self.rows)]
        columns = {name: np.stack([np.asarray(row[name]) for row in self.rows]) for name in names}
        picture = Image(data=style.png(compare({"now": columns}, y=self.y)))
        if self._display is None:
            self._display = display(picture, display_id=True)
        else:
            self._display.update(picture)
        self._drawn = (self.clock(), len(self.rows))

    def _tell(self, sentence: str) -> None:
        if not self._told:
            self._told = True
            print(sentence, file=sys.stderr)


def live_curve(every: float = 2.0, y: str | None = None) -> LiveCurve:
    """Make a hook for `jdl.run(on_row=...)` that draws the learning curve in a notebook while the run goes on.

    In a terminal it prints one sentence and does nothing. It never fails a run.

    Args:
      every: the least time between two pictures, in seconds.
      y: the column that is drawn; by default that of `jdl.compare`.

    Returns:
      The hook.

    Raises:
      InputError: if `every` is negative or not a number.
    """
    checks.require(
        isinstance(every, int | float) and every >= 0, f"got every={every!r}, need a number of seconds; try every=2"
    )
    return LiveCurve(float(every), y)


def notebook() -> Any:
    """The shell of a notebook, or None outside of one."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    shell = get_ipython()
    return shell if hasattr(shell, "kernel") else None
