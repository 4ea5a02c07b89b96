"""The largest number that messages in half precision can hold."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl.compressors import HalfPrecision
from jdl.engine.state import Simulation
from jdl.exchange import Compressed
from jdl.exchange.stack import layers
from jdl.runs import refuse
from jdl.types import PyTree

__all__ = ["check_start", "smallest_range"]


def smallest_range(simulation: Simulation) -> tuple[str, float] | None:
    """The half-precision type with the smallest range among those that the network sends messages in.

    Args:
      simulation: the composed simulation.

    Returns:
      The name of the type and its largest number, or None if no exchange sends messages in half precision.
    """
    compressors = [layer.compressor for layer in layers(simulation.exchange) if isinstance(layer, Compressed)]
    types = [compressor.dtype for compressor in compressors if isinstance(compressor, HalfPrecision)]
    ranges = [(name, float(jnp.finfo(name).max)) for name in types]
    return min(ranges, key=lambda pair: pair[1], default=None)


def check_start(simulation: Simulation, params: PyTree) -> None:
    """Check that the initial models are finite, and that messages can hold their numbers.

    Args:
      simulation: the composed simulation.
      params: the initial model of all nodes, or one model for each node.

    Raises:
      InputError: if a number is not finite, or is larger than the type of the messages allows.
    """
    refuse.finite("params", params)
    smallest = smallest_range(simulation)
    if smallest is not None:
        name, limit = smallest
        largest = max((float(np.max(np.abs(leaf), initial=0)) for leaf in jax.tree.leaves(params)), default=0.0)
        need = f"need numbers up to {limit:,.0f} for messages in {name}"
        checks.require(largest <= limit, f"got params up to {largest:.3g}, {need}; use HalfPrecision('bfloat16')")
