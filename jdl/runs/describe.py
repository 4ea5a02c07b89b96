"""A run in words and JSON: the fields of every object, versions, commit, device."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jdl.engine.state import Simulation
from jdl.runs import fingerprint
from jdl.runs.public_names import public_name, same_class

__all__ = ["describe", "differences", "environment", "part_name"]

PARTS = ("problem", "algorithm", "schedule", "exchange", "oracle")


def describe(simulation: Simulation) -> dict[str, Any]:
    """The type and fields of every part, as JSON: numbers by value, arrays by shape, dtype and SHA-256.

    Functions, and classes that are not jdl's own, by their name and a digest of what they do (`jdl.runs.fingerprint`).
    """
    parts = {name: _value(getattr(simulation, name)) for name in PARTS}
    devices = {} if simulation.mesh is None else {"devices": simulation.mesh.size}
    return {**parts, "key": jax.random.key_data(simulation.key).tolist(), "mapping": simulation.mapping, **devices}


def _value(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = {field.name: _value(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": _type(type(value)), **own}
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        array = np.asarray(value)
        if array.ndim == 0:
            return array.item()
        digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        return {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": digest}
    if isinstance(value, dict):
        return {str(key): _value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_value(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    name = getattr(value, "__qualname__", None) or type(value).__qualname__
    return f"{name} #{fingerprint.of_value(value)}"


def _type(kind: type) -> str:
    """The public name of jdl's classes, whose files may move; with a digest, that of a class of the user's."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    return f"{name} #{fingerprint.of_value(kind)}" if fingerprint.is_users(kind) else public_name(kind)


def differences(was: Any, now: Any, path: str = "") -> list[str]:
    """Where two descriptions differ, e.g. `algorithm.lr was 0.1, is 0.2`."""
    if isinstance(was, dict) and isinstance(now, dict):
        keys = sorted(was.keys() | now.keys())
        return [text for key in keys for text in differences(was.get(key), now.get(key), f"{path}.{key}".lstrip("."))]
    same = was == now or (path.endswith(".type") and same_class(was, now))
    return [] if same else [f"{path} was {was!r}, is {now!r}"]


def environment() -> dict[str, Any]:
    """Versions, commit and device: what a number may hang on beside its configuration."""
    versions = {name: importlib.metadata.version(name) for name in ("jdl", "jax", "jaxlib", "flax", "optax", "numpy")}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "commit": _commit(),
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind} ({jax.default_backend()})",
    }


def _commit() -> str | None:
    """The commit of jdl's own source where it runs from a checkout, with `-dirty` where that has changes."""
    here = Path(__file__).parents[1]
    if not (here.parent / ".git").exists():
        return None
    call = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(call, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def part_name(part: Any) -> str:
    """What a part is called: jdl's own by the file it is written in, others by their class.

    >>> from jdl import algorithms
    >>> part_name(algorithms.DPSGD())
    'dpsgd'
    """
    package, _, file = type(part).__module__.rpartition(".")
    return file if package.startswith("jdl.") else type(part).__name__
