"""The configuration of a run as JSON, and whether a directory holds the same."""

from __future__ import annotations

import json
from typing import Any

from jdl import checks
from jdl.runs.describe import differences
from jdl.runs.place import Place
from jdl.runs.public_names import renewed

__all__ = ["as_json", "same_configuration", "settings_of"]


def settings_of(place: Place) -> dict[str, Any]:
    """The settings of the run that a directory holds: its rounds, evaluations, checkpoints and seeds.

    Raises:
      InputError: if the directory holds no run.
    """
    return _read(place)["run"]


def same_configuration(place: Place, config: dict[str, Any]) -> dict[str, Any]:
    """Check that a directory holds the run that is to be resumed, which may go on for more rounds than before.

    Returns:
      The configuration to keep: that of the directory, with the rounds and checkpoints that are asked for now.

    Raises:
      InputError: if it holds no run, or one with another configuration, or one of more rounds.
    """
    was, now = _read(place), json.loads(as_json(config))
    before, rounds = was["run"].get("rounds", 0), now["run"]["rounds"]
    more = "need at least as many to resume; begin another run for fewer"
    checks.require(rounds >= before, f"got rounds={rounds}, and a run of {before} in {place.path}, {more}")
    may_change = {name: now["run"].get(name) for name in ("rounds", "checkpoint_every")}
    pairs = (("run", was["run"] | may_change), ("simulation", was["simulation"]))
    odd = [text for key, held in pairs for text in differences(renewed(held), now[key], key)]
    do = f"to start anew {place.another}, or restore what was"
    need = f"got a run directory of another configuration: {'; '.join(odd[:3])}; need the same to resume"
    checks.require(not odd, f"{need}; {do}")
    command = was.get("command")
    if isinstance(command, dict) and "rounds" in command:  # so that `jdl resume` asks for as many again
        command = command | {"rounds": rounds}
    return was | {"command": command, "run": was["run"] | may_change}


def _read(place: Place) -> dict[str, Any]:
    file = place.path / "config.json"
    do = "name the directory of a run, or begin anew"
    checks.require(file.is_file(), f"got run directory {place.path}, which holds no config.json; {do}")
    try:
        was = json.loads(file.read_text())
        return was | {"run": dict(was["run"]), "simulation": was["simulation"]}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise checks.InputError(f"got {file}, which cannot be read ({error}); restore it, or run anew") from error


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
