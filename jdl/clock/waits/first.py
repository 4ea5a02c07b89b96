"""A server, or a peer, that goes on when enough messages have arrived."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.types import static

__all__ = ["First"]


@struct.dataclass
class First:
    """The server, or each peer, goes on with the first `count` messages, and drops those that come later.

    So one samples more clients than are needed, and does not wait for the slowest. If fewer are on their way, it waits
    for all of them. Messages that arrive at the same time as the last one that is needed are taken as well. A peer
    takes all that is there when it has ended its own steps, and waits if that is less than `count`: the others among
    its neighbours are its backups.

    Args:
      count: the number of messages that are needed.

    >>> keep, ends = First(1).until(0.0, jnp.array([3.0, 2.0]), jnp.array([True, True]))
    >>> keep.tolist(), float(ends)
    ([False, True], 2.0)

    References:
      Bonawitz et al., "Towards Federated Learning at Scale: System Design", MLSys 2019, section 4 (over-selection).
      Chen, Pan, Monga, Bengio, Jozefowicz, "Revisiting Distributed Synchronous SGD", 2016 (backup workers).
    """

    count: int = static(minimum=1)

    def until(self, began: jax.Array, arrivals: jax.Array, used: jax.Array) -> tuple[jax.Array, jax.Array]:
        there = jnp.where(used, arrivals, jnp.inf)
        order = jnp.sort(there)
        needed = jnp.clip(jnp.sum(used), 1, min(self.count, used.shape[0])) - 1
        last = order[needed]
        ends = jnp.where(jnp.isfinite(last), jnp.maximum(last, began), began)
        return used & (there <= ends), ends

    def until_each(
        self, began: jax.Array, arrivals: jax.Array, used: jax.Array, into: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The same of many that wait, by one sort; see `jdl.types.Wait`."""
        m, there = began.shape[0], jnp.where(used, arrivals, jnp.inf)
        order = jnp.lexsort((there, into))
        count = jnp.zeros(m, jnp.int32).at[into].add(used.astype(jnp.int32))
        first = jnp.searchsorted(into[order], jnp.arange(m, dtype=into.dtype)).astype(jnp.int32)
        last = there[order][jnp.minimum(first + jnp.clip(count, 1, self.count) - 1, there.shape[0] - 1)]
        ends = jnp.where(count > 0, jnp.maximum(last, began), began)
        return used & (there <= ends[into]), ends
