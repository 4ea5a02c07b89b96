"""The number of devices that share the nodes of a run."""

from __future__ import annotations

import jax
from jax.extend.core import Jaxpr

from jdl import checks
from jdl.engine import placement, xla
from jdl.engine.cost import convolves
from jdl.engine.mapping import Mapping
from jdl.runs.memory import free_bytes, memory_bytes
from jdl.types import Problem

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


def devices_for(problem: Problem, mapping: Mapping, round_: Jaxpr) -> int:
    """Choose the number of devices for "auto".

    Args:
      problem: the problem, of which each device holds a copy.
      mapping: how nodes are mapped, see `jdl.simulation`.
      round_: the program of a round.

    Returns:
      For a round with convolutions on a CPU, the largest number of cores that share n nodes equally and whose copies of
      the problem fit the memory; otherwise 1.
    """
    if jax.default_backend() != "cpu" or mapping == "loop" or not convolves(round_):
        return 1
    n, free = problem.n, free_bytes()
    fits = lambda count: free is None or memory_bytes(problem, data_copies=count) <= free
    shares = [count for count in range(1, placement.cores() + 1) if n % count == 0 and (count == 1 or fits(count))]
    if shares[-1] > len(jax.devices()) and not xla.is_split():
        checks.note(
            f"XLA computes a convolution on one core, and {shares[-1]} cores could share the {n:,} nodes; call "
            "jdl.use_cores() below the imports, in a notebook after a restart"
        )
    return max(count for count in shares if count <= len(jax.devices()))
