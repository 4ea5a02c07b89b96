"""Sums over a run: the traffic so far, and whether all numbers are still finite."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jdl.types import PyTree, Traffic

__all__ = ["added", "all_finite", "exact", "tally"]


def all_finite(state: PyTree, active: jax.Array | None = None) -> jax.Array:
    """Whether all floating-point numbers of a state are finite: bool[]; only those of the rows `active` if it is given.

    Sums of 0 x are computed, since 0 x is 0 or NaN and cannot overflow. They are written as products of the rows with
    zeros: on a CPU XLA computes those on all cores, and a sum over all of `0 * x` on one, from a copy of x. Measured in
    rounds of D-PSGD, 64-32-10, n = 1,024, two cores: 1 % of the round in place of 20 to 25 %.
    """
    leaves = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating) and x.size]
    sums = [_zero_or_nan(x, active) for x in leaves]
    return jnp.isfinite(sum(sums, start=jnp.zeros((), jnp.float32)))


def _zero_or_nan(x: jax.Array, active: jax.Array | None) -> jax.Array:
    rows = x.reshape(x.shape[0] if x.ndim else 1, -1)
    sums = rows @ jnp.zeros(rows.shape[1], x.dtype)
    return jnp.sum(sums if active is None else jnp.where(active, sums, 0)).astype(jnp.float32)


def exact(total: jax.Array | np.ndarray) -> np.ndarray:
    """The running total of each sender without the rounding of its float32 sum, f64[..., n], on the host.

    Args:
      total: f[..., 2, n], the sums and their excess, see `tally`.

    >>> exact(np.array([[2.0**25], [-1.0]], np.float32))
    array([33554433.])
    """
    total = np.asarray(total, np.float64)
    return total[..., 0, :] - total[..., 1, :]


def tally(total: Traffic, new: Traffic, rows: jax.Array | None) -> Traffic:
    """Add the traffic of a round to the running totals.

    A total is kept as a float32 sum and the excess of this sum over the truth, since float32 alone loses bits after
    2^24.

    Args:
      total: f[2, n] each, the sums and their excess.
      new: f[m] each, the traffic of the rows of this round.
      rows: i32[m], the ids of these rows, or None if they are all n in order.
    """
    return jax.tree.map(lambda total, new: added(total, new, rows), total, new)


def added(total: jax.Array, new: jax.Array, rows: jax.Array | None = None) -> jax.Array:
    """A running total after one more number, f[2, ...]: a sum, and its excess over the truth.

    Args:
      total: f[2, ...], before it.
      new: f[...].
      rows: i32[m], the columns of the total to which `new`, f[m], is added; None for all in order.
    """
    high, excess = total
    if rows is not None:  # each by itself: XLA puts columns into a matrix one by one, and copies all of it each time
        of_rows = added(jnp.stack([high[rows], excess[rows]]), new)
        return jnp.stack([old.at[rows].set(now) for old, now in zip(total, of_rows, strict=True)])
    # Knuth's two-sum: `bigger` is rounded, and `lost` is exactly what rounding took.
    bigger = high + new
    back = bigger - high
    lost = (high - (bigger - back)) + (new - back)
    rest = lost - excess
    settled = bigger + rest
    return jnp.stack([settled, (settled - bigger) - rest])
