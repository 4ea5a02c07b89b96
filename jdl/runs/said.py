"""What a run directory says of the run in it: settings and ending, read from its small files, without JAX."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

from jdl import checks
from jdl.runs.lock import is_held
from jdl.runs.place import LOCK

__all__ = [
    "CONFIG",
    "DONE",
    "HISTORY",
    "SUMMARY",
    "SWEEP",
    "Ending",
    "ending_of",
    "go_on",
    "is_run",
    "read_config",
    "read_summary",
]

CONFIG, SUMMARY, HISTORY = "config.json", "summary.json", "history.csv"
SWEEP = "sweep.json"  # in the directory of a sweep, which is no run
DONE = "done.json"  # in the directory of a unit of a sweep that is done


@dataclasses.dataclass(frozen=True)
class Ending:
    """How the run in a directory has ended, if it has.

    Attributes:
      status: that of the result; "running" while a run goes on in the directory, "interrupted" if one was killed.
      message: the status in a sentence.
      rounds: the number of rounds that are done.
      told: whether summary.json says so; otherwise it is concluded from the other files.
    """

    status: str
    message: str
    rounds: int
    told: bool


def is_run(config: Any) -> bool:
    """Whether this is the configuration of a run, and not that of several runs of a sweep."""
    run = isinstance(config, dict) and isinstance(config.get("run"), dict) and "simulation" in config
    return run and "jobs" not in config["simulation"]


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of the run in a directory.

    Raises:
      InputError: if there is no directory, or no run in it, or if the configuration cannot be read.
    """
    do = "name the directory of a run"
    checks.require(path.exists(), f"got run directory {path}, which does not exist; {do}")
    checks.require(path.is_dir(), f"got run directory {path}, which is no directory; {do}")
    for sweep in (path, path.parent.parent):  # of the runs of a sweep, or of some of them
        sentence = f"got {path}, the directory of a sweep, need that of a run; try jdl.load_sweep({str(sweep)!r})"
        inside = sweep is path or path.parent.name == "units"
        checks.require(not (inside and (sweep / SWEEP).is_file()), sentence)
    file = path / CONFIG
    below = sorted(one.parent.name for one in path.glob(f"*/{CONFIG}")) if not file.is_file() else []
    inside = f", but directories that do: {', '.join(below[:3])}{', ...' * (len(below) > 3)}; name one of them"
    checks.require(file.is_file(), f"got run directory {path}, which holds no {CONFIG}{inside if below else f'; {do}'}")
    try:
        config = json.loads(file.read_text())
    except (ValueError, OSError) as error:
        raise checks.InputError(f"got {file}, which cannot be read ({error}); restore it, or run anew") from error
    checks.require(is_run(config), f"got {file}, which is not the configuration of a run of jdl; {do}")
    return config


def read_summary(path: Path) -> dict[str, Any]:
    """The summary in a directory; empty if there is none yet, or if it is damaged."""
    with contextlib.suppress(ValueError, OSError):
        found = json.loads((path / SUMMARY).read_text())
        return found if isinstance(found, dict) else {}
    return {}


def go_on(path: Path, config: dict[str, Any]) -> str:
    """The call or command that resumes a run."""
    if config.get("command") is not None:
        return f"jdl resume {path}"
    return f"jdl.run(..., run_dir={str(path)!r}, resume=True)"


def ending_of(path: Path, config: dict[str, Any], summary: dict[str, Any], last: int | None) -> Ending:
    """How the run in a directory has ended.

    A summary may be that of an earlier end, beyond which the run was continued, and then killed.

    Args:
      path: the directory.
      config: its configuration.
      summary: its summary, which may be empty.
      last: the round of the newest evaluation; None if there is none.
    """
    asked, last = config["run"].get("rounds"), last or 0
    if is_held(path / LOCK):
        return Ending("running", f"running; evaluated round {last} of {asked}", last, False)
    done = _rounds(summary)
    short = summary.get("status") == "finished" and isinstance(asked, int) and done is not None and done < asked
    if done is not None and done >= last and not short:
        return Ending(str(summary.get("status")), str(summary.get("message")), done, True)
    message = f"interrupted after the evaluation of round {last} of {asked}; go on with `{go_on(path, config)}`"
    return Ending("interrupted", message, last, False)


def _rounds(summary: dict[str, Any]) -> int | None:
    """The rounds that a summary says are done; of several seeds, those of the one that has done most."""
    found = [one.get("rounds") for one in summary.get("runs", [summary]) if isinstance(one, dict)]
    return max((int(one) for one in found if isinstance(one, int | float)), default=None)
