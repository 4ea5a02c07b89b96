"""A ready-made metric of the energy that nodes have spent, for runs whose events were planned in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl.engine.metrics.counters import gradients
from jdl.types import PyTree

__all__ = ["energy"]


def energy(
    seconds_per_step: float | np.ndarray, watts: float | np.ndarray = 1.0, joules_per_bit: float | np.ndarray = 0.0
) -> Callable[..., jax.Array]:
    """The joules that all nodes have spent since the start, for computing gradients and for sending.

    A `Clock` has them in the column `joules`. A schedule that was planned in time, such as `jdl.schedule.Waves`, knows
    when something happens and not what it costs: `metrics={"energy": jdl.metrics.energy(0.1, watts=5.0)}`.

    Args:
      seconds_per_step: the seconds of a gradient, one number, or f[n].
      watts: what a node draws while it computes, one number, or f[n].
      joules_per_bit: what sending a bit costs, one number, or f[n]; a server sends for nothing.

    Raises:
      InputError: if a number is negative; when the metric is measured, as `jdl.metrics.gradients`.
    """
    parts = {"seconds_per_step": seconds_per_step, "watts": watts, "joules_per_bit": joules_per_bit}
    for name, value in parts.items():
        checks.bounded(name, value, 0, None)
    a_step, a_bit = np.asarray(seconds_per_step) * np.asarray(watts), np.asarray(joules_per_bit)

    def spent(models: PyTree, state: Any, simulation: Any) -> jax.Array:
        asked = gradients(models, state, simulation)
        n = asked.shape[0]
        need = f"got {', '.join(parts)} of shapes {a_step.shape} and {a_bit.shape}, need one number or one of {n} nodes"
        checks.require({a_step.shape, a_bit.shape} <= {(), (n,)}, f"{need}; give that")
        high, excess = state.traffic.bits[:, :n]
        bits = (high - excess).astype(asked.dtype)
        return jnp.sum(jnp.asarray(a_step, asked.dtype) * asked + jnp.asarray(a_bit, asked.dtype) * bits)

    return spent
