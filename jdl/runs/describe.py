"""The configuration of a run as JSON: the fields of all parts, the versions, the commit and the device."""

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

from jdl.engine.metrics import BUILT_IN
from jdl.engine.state import Simulation
from jdl.runs import fingerprint
from jdl.runs.public_names import public_name, same_class
from jdl.runs.users_code import is_users

__all__ = ["describe", "differences", "environment", "part_name", "value_of"]

PARTS = ("problem", "algorithm", "schedule", "exchange", "oracle", "exchange_down", "roles")


def describe(simulation: Simulation) -> dict[str, Any]:
    """Describe the type and the fields of every part as JSON.

    A number is described by its value; an array by its shape, dtype and SHA-256; a function, or a class that is not
    jdl's own, by its name and a digest of what it computes (see `jdl.runs.fingerprint`).

    Args:
      simulation: the composed simulation.

    Returns:
      A JSON object with a key for each part, and for the random key, the mapping, the devices, metrics that are not
      built in, and the clock if there is one.
    """
    parts = {name: value_of(getattr(simulation, name)) for name in PARTS}
    placement, metrics = simulation.placement, simulation.metrics
    how = {"key": jax.random.key_data(simulation.key).tolist(), "mapping": placement.mapping}
    devices = {} if placement.mesh is None else {"devices": placement.mesh.size}
    measured = {} if metrics == BUILT_IN else {"metrics": value_of(metrics)}
    timed = {} if simulation.clock is None else {"clock": value_of(simulation.clock)}
    return {**parts, **how, **devices, **measured, **timed}


def value_of(value: Any) -> Any:
    """Describe any value as JSON, as `describe` does: equal content gives equal JSON, in every process.

    >>> value_of({"lr": np.float32(0.5), "decay": None})
    {'lr': 0.5, 'decay': None}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = {field.name: value_of(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": _type(type(value)), **own}
    if isinstance(value, jax.Array | np.ndarray | np.generic) and not _is_special(value.dtype):
        array = np.asarray(value)
        if array.ndim == 0:
            return array.item()
        digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        return {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": digest}
    if isinstance(value, dict):
        return {str(key): value_of(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [value_of(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    name = getattr(value, "__qualname__", None) or type(value).__qualname__
    return f"{name} #{fingerprint.of_value(value)}"


def _is_special(dtype: Any) -> bool:
    """Whether the bytes of an array are not its content: objects, and random keys."""
    return jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key) or dtype.hasobject


def _type(kind: type) -> str:
    """The public name of a class of jdl, whose file may move; the full name and a digest of a class of the user."""
    module = "__main__" if kind.__module__ == "__mp_main__" else kind.__module__  # a script in a spawned process
    name = f"{module}.{kind.__qualname__}"
    return f"{name} #{fingerprint.of_value(kind)}" if is_users(kind) else public_name(kind)


def differences(was: Any, now: Any, path: str = "") -> list[str]:
    """List where two descriptions differ, for example `algorithm.lr was 0.1, is 0.2`.

    Args:
      was: the description that was saved.
      now: the description of the run that is to resume.
      path: the path of both in the whole description.

    Returns:
      One text for each difference.
    """
    if isinstance(was, dict) and isinstance(now, dict):
        keys = sorted(was.keys() | now.keys())
        return [text for key in keys for text in differences(was.get(key), now.get(key), f"{path}.{key}".lstrip("."))]
    same = was == now or (path.endswith(".type") and same_class(was, now))
    return [] if same else [f"{path} was {was!r}, is {now!r}"]


def environment() -> dict[str, Any]:
    """The versions, the commit and the device: results may depend on them besides the configuration."""
    versions = {name: importlib.metadata.version(name) for name in ("jdl", "jax", "jaxlib", "flax", "optax", "numpy")}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "commit": _commit(),
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind} ({jax.default_backend()})",
    }


def _commit() -> str | None:
    """The commit of jdl's source, with `-dirty` if it has changes; None if jdl does not run from a checkout."""
    here = Path(__file__).parents[1]
    if not (here.parent / ".git").exists():
        return None
    call = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(call, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def part_name(part: Any) -> str:
    """The name of a part: the name of its file for jdl's own parts, and of its class for others.

    >>> from jdl import algorithms
    >>> part_name(algorithms.DPSGD())
    'dpsgd'
    """
    package, _, file = type(part).__module__.rpartition(".")
    return file if package.startswith("jdl.") else type(part).__name__
