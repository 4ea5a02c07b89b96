"""The label of a run that was made from the command line. Nothing else is imported, so that a listing is quick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["label"]


def label(command: Mapping[str, Any]) -> str:
    """The label of a run: its algorithm, topology, networks, oracle and attackers.

    Args:
      command: the record of a run, see `jdl.command.record`.

    >>> label({"algorithm": {"name": "dpsgd"}, "topology": {"name": "ring"}, "network": [], "nodes": 8})
    'gossip: dpsgd on ring(8)'
    """
    name, topology, nodes = command["algorithm"]["name"], command["topology"], command["nodes"]
    if topology is None:
        return f"alone: {name}, {nodes:,} nodes"
    if topology["name"] == "sampling":
        text = f"server: {name}, {topology['participants']:,} of {nodes:,} clients a round"
    else:
        text = f"gossip: {name} on {_call(topology, [str(nodes)])}"
    lists = {"schedule": ", with ", "network": " through ", "network_down": ", down through ", "oracle": ", data by "}
    for kind, words in lists.items():
        parts = [_call(part, []) for part in command.get(kind, ())]
        text += (words + ", ".join(parts)) * bool(parts)
    who = (command.get("roles") or {}).get("dishonest")
    return text + (f", {f'{who:.0%}' if isinstance(who, float) else who} dishonest" if who else "")


def _call(part: Mapping[str, Any], first: list[str]) -> str:
    given = [
        f"{name}={_call(value, []) if isinstance(value, Mapping) else value}"
        for name, value in part.items()
        if name not in ("name", "seed") and value is not None
    ]
    return f"{part['name']}({', '.join(first + given)})"
