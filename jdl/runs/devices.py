"""The number of devices that share the nodes of a run."""

from __future__ import annotations

import jax
from jax.extend.core import Jaxpr

from jdl import checks
from jdl.engine import placement
from jdl.engine.cost import convolves
from jdl.engine.mapping import Mapping

__all__ = ["check_devices", "devices_for"]


def check_devices(devices: int | str, n: int, mapping: Mapping) -> None:
    """Check that n nodes can be shared equally by a number of devices.

    Args:
      devices: the number of devices, or "auto".
      n: the number of nodes.
      mapping: how nodes are mapped, see `jdl.simulation`.

    Raises:
      InputError: if `devices` is neither "auto" nor a divisor of n, or if a Python loop is to run on several devices.
    """
    if devices == "auto":
        return
    number = isinstance(devices, int) and not isinstance(devices, bool) and devices > 0
    checks.require(number, f'got devices={devices!r}, need "auto" or a number of devices; try "auto"')
    checks.require(
        n % devices == 0,
        f"got devices={devices} for {n} nodes, need a divisor of {n}; each device holds as many nodes",
    )
    checks.require(
        devices == 1 or mapping != "loop",
        f'got devices={devices} with mapping="loop", which runs on one device; leave out one of the two',
    )


def devices_for(n: int, mapping: Mapping, round_: Jaxpr) -> int:
    """Choose the number of devices for "auto".

    Args:
      n: the number of nodes.
      mapping: how nodes are mapped, see `jdl.simulation`.
      round_: the program of a round.

    Returns:
      For a round with convolutions on a CPU, the largest number of cores that share n nodes equally; otherwise 1.
    """
    if jax.default_backend() != "cpu" or mapping == "loop" or not convolves(round_):
        return 1
    return max(count for count in range(1, min(len(jax.devices()), placement.cores()) + 1) if n % count == 0)
