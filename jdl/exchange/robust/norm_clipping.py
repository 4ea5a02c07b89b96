"""The weighted mean of clients' changes that are clipped in norm."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.robust.near import Near, clipping, usable
from jdl.exchange.robust.rule import ByDistance
from jdl.types import number

__all__ = ["NormClipping"]


@struct.dataclass
class NormClipping(ByDistance):
    """Norm clipping: a server's weighted mean of changes, each scaled down to a norm of at most `limit`.

    sum_j w_j x_j min(1, limit / ||x_j||). All arrays of a message are one vector. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none.

    Args:
      limit: the largest norm of a change; None for the median of the norms of the changes that arrived.

    References:
      Sun, Kairouz, Suresh, McMahan 2019, Can You Really Backdoor Federated Learning?, section on norm thresholding.
    """

    limit: float | None = number(None, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "server"})
    pairs: ClassVar[bool] = False
    centred: ClassVar[bool] = True

    def chosen(self, near: Near) -> jax.Array:
        if self.limit is not None:
            return near.weights * clipping(near.base, jnp.asarray(self.limit, near.base.dtype))
        norms = jnp.sort(jnp.where(usable(near), jnp.sqrt(near.base), jnp.inf))
        count = jnp.sum(usable(near), dtype=jnp.int32)
        middle = (norms[jnp.maximum(count - 1, 0) // 2] + norms[count // 2]) / 2
        return near.weights * clipping(near.base, jnp.where(count > 0, middle, 0))
