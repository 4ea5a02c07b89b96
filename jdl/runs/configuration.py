"""The configuration of a run as JSON, and whether a directory holds the same."""

from __future__ import annotations

import json
from typing import Any

from jdl import checks
from jdl.runs.describe import differences
from jdl.runs.place import Place
from jdl.runs.public_names import renewed

__all__ = ["as_json", "same_configuration"]


def same_configuration(place: Place, config: dict[str, Any]) -> None:
    """Check that a directory holds the run that is to be resumed.

    Raises:
      InputError: if it holds no run, or one with another configuration.
    """
    file = place.path / "config.json"
    do = "name the directory of a run, or begin anew"
    checks.require(file.is_file(), f"got run directory {place.path}, which holds no config.json; {do}")
    try:
        was = json.loads(file.read_text())
        before = {key: was[key] for key in ("run", "simulation")}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise checks.InputError(f"got {file}, which cannot be read ({error}); restore it, or run anew") from error
    now = json.loads(as_json(config))
    odd = [text for key in before for text in differences(renewed(before[key]), now[key], key)]
    do = f"to start anew {place.another}, or restore what was"
    need = f"got a run directory of another configuration: {'; '.join(odd[:3])}; need the same to resume"
    checks.require(not odd, f"{need}; {do}")


def as_json(content: dict[str, Any]) -> str:
    """A configuration or a summary as the text of a file.

    Raises:
      InputError: if the command in it cannot be written as JSON.
    """
    try:
        return json.dumps(content, indent=2) + "\n"
    except (TypeError, ValueError) as error:
        raise checks.InputError(
            f"got a command that cannot be written as JSON ({error}), need text, numbers, lists and dicts; convert it"
        ) from error
