"""Messages in fragments, of which each link carries a few."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.exchange.apart import apart, begun_apart
from jdl.exchange.linear import Linear
from jdl.exchange.links import several_of_links
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, static

__all__ = ["Fragments"]


@struct.dataclass
class Fragments:
    """Fragments of models over different links: in a round, each link carries a few of the fragments, drawn at random.

    The numbers of a message, in the order of its arrays, are cut into `count` fragments of one size. Fragment f is
    mixed over the links that carry it: W_f is W without the other links, whose weight goes home as if a message was
    lost. Over an undirected link both ends send the same fragments, so each W_f is symmetric and the mean is kept. If
    all links carry all fragments, this is plain gossip. It needs fewer bits, and no neighbour is shown a whole model.

    Sends:
      on each link `per_link` of the `count` fragments, as one message.

    Args:
      count: fragments of a message.
      per_link: fragments on each link in a round, at most `count`.
      inner: the exchange that mixes each fragment. A link that fails there fails for all that it carries.

    Raises:
      InputError: if a link is to carry more fragments than there are.

    References:
      Biswas, Kermarrec, Marouani, Pires, Sharma, de Vos 2024, DivShare: fragments to peers drawn at random (code read;
      there a receiver averages all copies with equal weights).
      Biswas, Even, Kermarrec, Massoulie, Pires, Sharma, de Vos 2024, Shatter: virtual nodes, each of which gossips with
      one fragment (code read).
    """

    count: int = static(4, minimum=1)
    per_link: int = static(1, minimum=1)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "at_once"})
    # Numbers of one message are mixed by different matrices: x / w of push-sum would mean nothing.
    breaks: ClassVar[frozenset[str]] = frozenset({"reliable", "column_stochastic", "per_link", "each", "push"})

    def __post_init__(self) -> None:
        got = f"got per_link={self.per_link} of count={self.count} fragments"
        checks.require(self.per_link <= self.count, f"{got}, need at most all of them; give per_link <= count")

    def init(self, message: Message) -> ExchangeState:
        return begun_apart(self.inner, self._cuts, message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        if self._cuts == 1:
            return apart(self.inner, 1, state, wire, key, lambda f: wire.plan)
        here, inside = jax.random.split(key)
        wire = wire.replace(plan=plans.one_by_one(wire.plan))
        carried = several_of_links(wire, here, self._drawn, self.count)
        plan_of = lambda f: plans.silence(wire.plan, carried[..., f])
        return apart(self.inner, self.count, state, wire, inside, plan_of)

    def _drawn(self, key: Key) -> jax.Array:
        """Which fragments a link carries, bool[count]: those with the smallest of random numbers. A sort costs more."""
        x = jax.random.uniform(key, (self.count,))
        return jnp.sum(x[None, :] < x[:, None], axis=1) < self.per_link

    @property
    def _cuts(self) -> int:
        """Where all links carry everything, nothing is cut."""
        return 1 if self.per_link == self.count else self.count
