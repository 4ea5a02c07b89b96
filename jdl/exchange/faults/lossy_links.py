"""Links that fail, each with a probability of its own."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.exchange.links import ends, uniform_of_links
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Server, Wire, number

__all__ = ["LossyLinks"]


@struct.dataclass
class LossyLinks:
    """Lossy links of different quality: each link fails with its own probability, independently in every round.

    As `Lossy`, which is the same where all rates are equal, to the last bit. An undirected link fails both ways, with
    the larger of its two rates. `LossyLinks.of` makes one from a matrix.

    Sends:
      the message, unchanged; it is counted whether it arrives or not.

    Args:
      rates: f[n, n], the probability that a message to node i from node j is lost, 0 to 1; with a server f[n], that a
        message of client i, or to it, is lost.
      inner: the exchange that receives the messages next.

    Raises:
      InputError: if `rates` is a matrix and there is a server, or the other way round.
    """

    rates: jax.Array = number(minimum=0, maximum=1)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset()
    breaks: ClassVar[frozenset[str]] = frozenset({"reliable"})

    @classmethod
    def of(cls, rates: Any) -> Self:
        """Links that fail with these rates: see `LossyLinks`.

        Args:
          rates: f[n, n], by receiver and sender, or f[n] for the clients of a server; 0 to 1.

        Raises:
          InputError: if it has another shape, or if a rate is not between 0 and 1.

        >>> LossyLinks.of([[0.0, 0.5], [0.5, 0.0]]).rates.shape
        (2, 2)
        """
        array = np.asarray(rates, float)
        good = array.ndim in (1, 2) and array.size > 0 and array.shape[0] == array.shape[-1]
        need = "need [n, n] by receiver and sender, or [n] for the clients of a server"
        checks.require(good, f"got rates of shape {array.shape}, {need}; try rates=np.full((n, n), 0.1)")
        checks.bounded("rates", array, 0, 1, 0.1)
        return cls(rates=jnp.asarray(array, jnp.result_type(float)))

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        here, inside = jax.random.split(key)
        plan = plans.one_by_one(wire.plan)
        wire = wire.replace(plan=plan)
        keep = uniform_of_links(wire, here) >= self._of_links(wire)
        return self.inner.apply(state, wire.replace(plan=plans.lose(plan, keep)), inside)

    def _of_links(self, wire: Wire) -> jax.Array:
        """The rate of each link, in the shape of the links."""
        receiver, sender = ends(wire)
        # On the way down the server is the one sender, in the only row.
        m = plans.rows(wire.plan)
        down = wire.bits.shape[0] < m or (m == 1 and self.rates.ndim == 1)
        served = isinstance(wire.plan.links, Server) or down
        got, need = f"got rates of shape {self.rates.shape}", "[n], one for each client" if served else "[n, n]"
        checks.require(self.rates.ndim == (1 if served else 2), f"{got}, need {need}; see jdl.exchange.LossyLinks")
        if served:
            return self.rates[jnp.maximum(receiver, sender)]
        rate = self.rates[receiver, sender]
        return jnp.maximum(rate, self.rates[sender, receiver]) if wire.plan.symmetric else rate
