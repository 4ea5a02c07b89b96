"""Sorting networks: the numbers of a few slots in ascending order, for each coordinate by itself.

XLA's own sort along a short axis takes over two hundred times as long on a CPU (`benchmarks/robust.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["WRITTEN_OUT", "in_order", "network"]

# Up to this many slots the network is one fused pass over the coordinates, which reads each message once and writes
# none. As a program it has about k (log k)^2 / 2 operations: 1,100 for 64 slots, which compile in a second.
WRITTEN_OUT = 64


def in_order(slots: Sequence[jax.Array]) -> Sequence[jax.Array]:
    """The slots in ascending order, coordinate by coordinate.

    Args:
      slots: k arrays of one shape without NaN, or f[k, ...]; an array if there are more than `WRITTEN_OUT`.

    Returns:
      k arrays, or f[k, ...]. Of a list, what is not used is not computed, nor are the comparisons only it needs.
    """
    return _by_list(slots) if len(slots) <= WRITTEN_OUT else _by_loop(slots)


def network(k: int) -> Iterator[list[tuple[int, int]]]:
    """The stages of Batcher's odd-even merge sort: pairs `(i, j)` with i < j, all distinct within a stage.

    After each pair is put into ascending order, stage after stage, all k slots are.

    References:
      Batcher 1968, "Sorting networks and their applications", in the form of Knuth, The Art of Computer Programming,
      volume 3, algorithm 5.2.2M.

    >>> list(network(4))
    [[(0, 1), (2, 3)], [(0, 2), (1, 3)], [(1, 2)]]
    """
    length = 1  # of the runs that are sorted
    while length < k:
        step = length
        while step:
            low = [i for i in range(step % length, k - step) if (i - step % length) // step % 2 == 0]
            yield [(i, i + step) for i in low if i // (2 * length) == (i + step) // (2 * length)]
            step //= 2
        length *= 2


def _by_list(slots: Sequence[jax.Array]) -> list[jax.Array]:
    slots = list(slots)
    for stage in network(len(slots)):
        for i, j in stage:
            a, b = slots[i], slots[j]
            less = a < b  # one instruction each, unlike minimum and maximum, which look for NaN
            slots[i], slots[j] = jnp.where(less, a, b), jnp.where(less, b, a)
    return slots


def _by_loop(slots: jax.Array) -> jax.Array:
    partners = []
    for stage in network(len(slots)):
        partner = np.arange(len(slots), dtype=np.int32)
        for i, j in stage:
            partner[i], partner[j] = j, i
        partners.append(partner)
    partners, own = jnp.asarray(np.stack(partners)), jnp.arange(len(slots), dtype=jnp.int32)
    own = own.reshape(-1, *(1,) * (slots.ndim - 1))

    def compare(i, slots):
        other = slots.at[partners[i]].get(mode="promise_in_bounds")
        partner = partners[i].reshape(own.shape)
        # Of two equal numbers (0 and -0) neither is lost: one takes its own, the other its partner's.
        return jnp.where(jnp.where(own < partner, slots < other, other < slots), slots, other)

    return jax.lax.fori_loop(np.int32(0), np.int32(len(partners)), compare, slots)
