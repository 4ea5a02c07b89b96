"""The seconds of a step of a problem: measured on this machine, or from the operations that a step needs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl.types import BatchId, Problem, PyTree

__all__ = ["from_flops", "measured"]

LONG_ENOUGH = 0.02  # seconds of a measurement, against which the clock and the start of a program are small
SMALL = 1e-12  # a step so small that models stay what they are, and that no compiler leaves out


def measured(problem: Problem, factor: Any = 1.0, repeats: int = 9) -> Any:
    """The seconds of one step of one node, a gradient of one minibatch, measured on this machine.

    The program is compiled first, and takes as many steps in turn as fill 20 ms; the result is the median of
    `repeats` such measurements, for a step. It is the time of a node that has the machine for itself: a simulation,
    which computes many nodes at once, needs less. What else runs on the machine is measured as well. On two cores with
    five times as many busy programs, ten calls for a network of 64-32-10 on 180 examples gave 88 to 162 us.

    Args:
      problem: the data and the model; a step takes a minibatch of node 0.
      factor: how many times longer the device takes than this machine, f[] or f[n].
      repeats: the number of measurements.

    Returns:
      Seconds, a number or f[n], for `Clock(step=...)`.

    >>> import jdl
    >>> 0 < measured(jdl.problems.quadratic(4, dim=2), repeats=3) < 1
    True
    """
    _check(problem)
    factor, repeats = _positive("factor", factor), checks.whole("repeats", repeats, 1)
    params = jax.jit(problem.init)(jax.random.key(0))
    steps = jax.jit(_steps)
    jax.block_until_ready(steps(problem, params, 1))
    count, taken = 1, _seconds(steps, problem, params, 1)
    while taken < LONG_ENOUGH:
        count = max(2 * count, math.ceil(1.2 * count * LONG_ENOUGH / max(taken, 1e-6)))
        taken = _seconds(steps, problem, params, count)
    of_step = float(np.median([_seconds(steps, problem, params, count) for _ in range(repeats)])) / count
    return factor * of_step


def from_flops(problem: Problem, flops_per_second: Any) -> Any:
    """The seconds of one step of one node, from the floating-point operations of a gradient of one minibatch.

    XLA counts them in the program before it is optimised; the body of a loop may be counted once. A product of matrices
    counts a multiplication and an addition for each pair of numbers, and the rest of the program is counted too, so
    that the number is an estimate. Devices seldom reach the rate of their data sheet: with small models and batches, a
    tenth of it is usual, and memory decides, which this does not know. `measured` is to be preferred where there is a
    device.

    Args:
      problem: the data and the model.
      flops_per_second: operations a second that the device reaches, f[] or f[n].

    Returns:
      Seconds, a number or f[n], for `Clock(step=...)`.

    >>> import jdl
    >>> 0 < from_flops(jdl.problems.quadratic(4, dim=2), 1e9) < 1e-6
    True
    """
    _check(problem)
    rate = _positive("flops_per_second", flops_per_second)
    params = jax.eval_shape(problem.init, jax.random.key(0))
    counted = jax.jit(_gradient).lower(problem, params, jax.ShapeDtypeStruct((), jnp.int32)).cost_analysis() or {}
    name = type(problem).__name__
    checks.require(
        counted.get("flops", 0) > 0, f"got {name}, whose operations XLA does not count; use jdl.clock.measured"
    )
    return float(counted["flops"]) / rate


def _check(problem: Any) -> None:
    need = "need a problem; make one, e.g. jdl.problems.digits(nodes=16)"
    checks.require(isinstance(problem, Problem), f"got problem={problem!r}, {need}")


def _gradient(problem: Problem, params: PyTree, k: jax.Array) -> PyTree:
    """The gradient of node 0 on its minibatch k, as the oracle of a run takes it."""
    key, zero = jax.random.key(0), jnp.zeros((), jnp.int32)
    batch = problem.batch(zero, BatchId(jax.random.fold_in(key, k), key, zero, zero, jnp.asarray(k, jnp.int32)))
    return jax.grad(problem.loss, has_aux=True)(params, batch)[0]


def _steps(problem: Problem, params: PyTree, count: jax.Array) -> PyTree:
    def body(k, params):
        gradient = _gradient(problem, params, k)
        return jax.tree.map(lambda x, g: x - jnp.asarray(SMALL, x.dtype) * g.astype(x.dtype), params, gradient)

    return jax.lax.fori_loop(0, count, body, params)


def _seconds(steps: Callable, *args: Any) -> float:
    start = time.perf_counter()
    jax.block_until_ready(steps(*args))
    return time.perf_counter() - start


def _positive(name: str, given: Any) -> Any:
    """A number, or numbers of nodes, above 0."""
    numbers = np.asarray(given)
    good = numbers.dtype.kind in "iuf" and numbers.ndim <= 1 and bool(np.all((numbers > 0) & (numbers < np.inf)))
    checks.require(good, f"got {name}={given!r}, need a number above 0, or one for each node; try {name}=1.0")
    return numbers.astype(float) if numbers.ndim else float(numbers)
