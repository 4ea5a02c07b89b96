"""Work-arounds for XLA on a CPU, each named by its effect. Delete one when its benchmark says so.

XLA fuses a computation into everything that reads its result, and computes it anew for each reader. A loop is a fence
that it does not look through; an `optimization_barrier` is none.

| function | effect | benchmark that says when it may go |
|---|---|---|
| `written_once` | a message is computed once and stored before neighbours read it | `benchmarks/round.py` |
| `accumulate` | a long chain of gathers and sums is not computed anew for each row | `benchmarks/mixing.py` |
| `in_parts` | a result is stored before the gradient reads it at several places | `benchmarks/models.py` |
| `few_parts` | the number of turns of such a loop | - |

This module imports nothing of jdl, so that layers, exchanges and the engine can use it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

__all__ = ["accumulate", "few_parts", "in_parts", "written_once"]

T = TypeVar("T")

# Smaller arrays stay in the cache, whatever XLA does with them.
FENCED_BYTES = 1024**2


def written_once(t: jax.Array, message: T) -> T:
    """The same arrays, stored in memory before they are read.

    Without it, what a row sends would be computed again for every row that reads it, and a fused gradient in the order
    of a sum over nodes. The price is a copy. Measured on two cores, 1,024 nodes, 64-32-10, batch 16: a round of D-PSGD
    over a random 4-regular graph takes 7.6 ms in place of 13.5, of FedAvg with 256 clients 1.4 in place of 2.4; a round
    of D2, which stores what it sends anyway, 8.8 in place of 6.7.

    Args:
      t: i32[], the round. It is never negative, which XLA does not know, so that it cannot simplify the loop away.
      message: arrays with a leading axis. Those that are small, not of floating point, of a prime number of rows above
        seven, or not on a CPU are returned as they are.
    """

    def written(x):
        parts = few_parts(x.shape[0])
        small = x.size * x.dtype.itemsize < FENCED_BYTES or not jnp.issubdtype(x.dtype, jnp.floating)
        if not 1 < parts <= 7 or small or jax.default_backend() != "cpu":
            return x
        rows = x.reshape(parts, x.shape[0] // parts, *x.shape[1:])
        return jax.lax.map(lambda part: part * (t >= 0).astype(part.dtype), rows).reshape(x.shape)

    return jax.tree.map(written, message)


def accumulate(times: int, body: Callable[..., jax.Array], start: jax.Array, unrolled: int = 0) -> jax.Array:
    """Apply `x = body(i, x)` for i < times, as one fused pass or as a loop.

    Measured on two cores, sums over groups of rows: groups of 32 take 11 copies of the array unrolled and 1.2 as a
    loop; groups of 2 take 1.2 unrolled and 10 as a loop.

    Args:
      times: the number of steps.
      body: maps the step, an int or i32[], and the array so far to the next array.
      start: the array before the first step.
      unrolled: the largest number of steps that are written out, for XLA to fuse into one pass.
    """
    if times > unrolled:
        return jax.lax.fori_loop(jnp.int32(0), jnp.int32(times), body, start)
    for i in range(times):
        start = body(i, start)
    return start


def in_parts(function: Callable[[jax.Array], Any], x: jax.Array) -> Any:
    """`function(x)` in a few equal parts of the leading axis, so that its results are stored in memory.

    Without it, XLA would compute the result again at each place where a gradient reads it. Measured on one core, the
    winners of max pooling, forward and backward: f[32, 32, 32, 32] takes 2.1 ms in place of 4.3, f[32, 28, 28, 16] 0.8
    in place of 1.4.

    Args:
      function: acts on each entry of the leading axis by itself, and returns arrays with that axis.
      x: f[B, ...].
    """
    batch = x.shape[0]
    parts = few_parts(batch)
    if parts <= 1:
        return function(x)
    out = jax.lax.map(function, x.reshape(parts, batch // parts, *x.shape[1:]))
    return jax.tree.map(lambda one: one.reshape(batch, *one.shape[2:]), out)


def few_parts(size: int) -> int:
    """A small number of equal parts of `size`, more than one where possible: 2, 3, 5 or 7, else `size` parts of one.

    >>> [few_parts(size) for size in (32, 27, 35, 11, 1)]
    [2, 3, 5, 11, 1]
    """
    return next((parts for parts in (2, 3, 5, 7) if size % parts == 0), size)
