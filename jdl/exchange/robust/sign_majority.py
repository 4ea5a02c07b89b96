"""A vote of signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.robust.rule import ByCoordinate

__all__ = ["SignMajority"]


@struct.dataclass
class SignMajority(ByCoordinate):
    """Majority vote: for each coordinate the sign that most clients send, +1 or -1, and 0 at a tie.

    Every client has one vote, whatever its weight; the step is the server's. It stands last in the network.

    Sends:
      the message, as it is. A compressor before it may send signs alone.

    Memory:
      none.

    References:
      Bernstein, Zhao, Azizzadenesheli, Anandkumar 2019, signSGD with Majority Vote is Communication Efficient and Fault
      Tolerant, algorithm 1.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "server"})

    def of(self, messages: Sequence[jax.Array], arrived: jax.Array) -> jax.Array:
        def votes(message, arrived):
            there = arrived.reshape(arrived.shape + (1,) * (message.ndim - 1)) & ~jnp.isnan(message)
            return jnp.where(there, jnp.sign(message), 0)

        counted = [votes(message, arrived[:, i]) for i, message in enumerate(messages)]
        return jnp.sign(sum(counted[1:], start=counted[0]))
