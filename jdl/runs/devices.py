"""How many devices share the nodes of a run."""

from __future__ import annotations

import jax
from jax.extend.core import Jaxpr

from jdl import checks
from jdl.engine import placement
from jdl.engine.cost import convolves
from jdl.engine.mapping import Mapping

__all__ = ["check_devices", "devices_for"]


def check_devices(devices: int | str, n: int, mapping: Mapping) -> None:
    """Check that so many devices can share n nodes.

    Raises:
      InputError: if `devices` is neither "auto" nor a divisor of n, or if a Python loop is to run on several devices.
    """
    if devices == "auto":
        return
    number = isinstance(devices, int) and not isinstance(devices, bool) and devices > 0
    checks.require(number, f'got devices={devices!r}, need "auto" or a number of devices; try "auto"')
    checks.require(
        n % devices == 0, f"got devices={devices} for {n} nodes, need a divisor of {n}; each has as many nodes"
    )
    checks.require(
        devices == 1 or mapping != "loop", f'got devices={devices} with mapping="loop", which is for one; leave one out'
    )


def devices_for(n: int, mapping: Mapping, round_: Jaxpr) -> int:
    """The number of devices that "auto" stands for.

    For a round with convolutions on a CPU it is the largest number of cores that share n nodes equally, otherwise one.
    """
    if jax.default_backend() != "cpu" or mapping == "loop" or not convolves(round_):
        return 1
    return max(count for count in range(1, min(len(jax.devices()), placement.cores()) + 1) if n % count == 0)
