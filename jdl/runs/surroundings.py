"""What a run meets beside its method: its network, attackers, schedule and wrappers of data, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jdl.engine.state import Simulation

__all__ = ["of_simulation", "surroundings", "titled"]

# The parts that are looked at, as `jdl.runs.describe` names them.
PARTS = ("exchange", "exchange_down", "schedule", "oracle")
NEVER = np.iinfo(np.int32).max  # the round of what never happens


def of_simulation(simulation: Simulation) -> dict[str, Any]:
    """The types and numbers of the parts of a simulation, as in a description (`jdl.runs.describe`), without arrays."""
    return {name: _plain(getattr(simulation, name)) for name in PARTS}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__qualname__, **own}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "dtype") and np.shape(value) == () and np.issubdtype(value.dtype, np.number):
        return np.asarray(value).item()
    return value if isinstance(value, bool | int | float) else None


def surroundings(described: Mapping[str, Any], honest: np.ndarray | None) -> list[tuple[str, str]]:
    """What is not as usual, pairs of a label and a text. Plain gossip over a fixed graph among honest nodes is usual.

    Args:
      described: the description of a simulation.
      honest: bool[n], who is; None if it is not known.

    >>> gossip = {"type": "jdl.exchange.Linear"}
    >>> surroundings({"exchange": {"type": "jdl.exchange.Lossy", "probability": 0.1, "inner": gossip}}, None)
    [('network', 'Lossy(probability=0.1)')]
    """
    liars = 0 if honest is None else int(np.sum(~np.asarray(honest, bool)))
    found = [
        ("network", ", ".join(_layers(described.get("exchange")))),
        ("network down", ", ".join(_layers(described.get("exchange_down")))),
        ("attackers", f"{liars:,} of {len(honest):,} nodes" if liars else ""),
        ("schedule", _schedule(described.get("schedule"))),
        ("data by", ", ".join(_said(one) for one in (described.get("oracle") or {}).get("wrappers") or [])),
    ]
    return [(label, text) for label, text in found if text]


def titled(name: str, described: Mapping[str, Any], honest: np.ndarray | None) -> str:
    """The name of a run with what it meets, for a picture or a row of a table."""
    found = dict(surroundings(described, honest))
    words = {"network": " through ", "network down": ", down through ", "schedule": ", by ", "data by": ", data by "}
    text = name + "".join(word + found[label] for label, word in words.items() if label in found)
    return text + (f", {found['attackers']} dishonest" if "attackers" in found else "")


def _layers(exchange: Mapping[str, Any] | None) -> list[str]:
    """The exchanges of a stack in their order; plain gossip at its end is not said, and of `Compressed` its codec."""
    if not exchange:
        return []
    outer = {key: one for key, one in exchange.items() if key != "inner"}
    said = {"Linear": [], "Compressed": [exchange.get("compressor")]}.get(_name(exchange), [outer])
    return [_said(part) for part in said] + _layers(exchange.get("inner"))


def _schedule(schedule: Mapping[str, Any] | None) -> str:
    """A schedule and those that it wraps, outermost first; nothing of graphs alone, or of a server that asks all."""
    if not schedule or _name(schedule) in ("Fixed", "Cyclic"):
        return ""
    if _name(schedule) == "Sampling" and schedule.get("participants") == schedule.get("n"):
        return ""
    inside = schedule.get("schedule")
    said = _said({key: one for key, one in schedule.items() if key not in ("schedule", "n")})
    more = _schedule(inside) if isinstance(inside, Mapping) else ""
    return f"{said} over {more}" if more else said


def _said(part: Mapping[str, Any]) -> str:
    """A part with its numbers, and the parts inside it."""
    values = []
    for name, value in part.items():
        if isinstance(value, Mapping) and "type" in value:
            values.append(f"{name}={_said(value)}")
        elif isinstance(value, int | float) and not isinstance(value, bool) and value != NEVER and "seed" not in name:
            values.append(f"{name}={value:.4g}")
    return _name(part) + (f"({', '.join(values)})" if values else "")


def _name(part: Mapping[str, Any]) -> str:
    return part["type"].partition(" #")[0].rpartition(".")[2]
