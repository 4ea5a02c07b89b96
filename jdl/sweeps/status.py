"""How far the sweep in a directory is."""

from __future__ import annotations

import os
from typing import NamedTuple

from jdl.sweeps.folder import Folder
from jdl.sweeps.jobs import name_of

__all__ = ["SweepStatus", "sweep_status"]

SHOWN = 10  # units that are named


class SweepStatus(NamedTuple):
    """How far a sweep is. Each list holds the runs of a unit, by their names.

    Args:
      done: the units that are done.
      running: those in which a process works.
      begun: those that were begun, and that no process runs.
      missing: those that were not begun.
    """

    done: list[list[str]]
    running: list[list[str]]
    begun: list[list[str]]
    missing: list[list[str]]

    def __repr__(self) -> str:
        lines = []
        for name, units in self._asdict().items():
            if units or name == "done":
                lines.append(f"{name}: {sum(map(len, units)):,} runs in {len(units):,} units")
            if name in ("running", "begun"):
                lines += [
                    f"  {unit[0]}" + (f" and {len(unit) - 1} more" if len(unit) > 1 else "") for unit in units[:SHOWN]
                ]
        return "\n".join(lines)


def sweep_status(run_dir: str | os.PathLike[str]) -> SweepStatus:
    """Say how far the sweep in a directory is.

    A unit that was done, and is given more rounds, counts as running or begun until these are done.

    Args:
      run_dir: the directory.

    Raises:
      InputError: if it holds no sweep.
    """
    folder = Folder(run_dir)
    content, found = folder.known(), SweepStatus([], [], [], [])
    current = {unit.name for unit in content.unit_of().values()}
    for unit in content.units:
        if unit.name not in current:  # its jobs are in other units now
            continue
        state = (
            found.running
            if folder.is_held(unit)
            else found.done
            if folder.marker(unit) is not None
            else found.begun
            if folder.path_of(unit).exists()
            else found.missing
        )
        records = [content.jobs[id_] for id_ in unit.jobs]
        state.append([name_of(record.labels, record.seed) for record in records])
    return found
