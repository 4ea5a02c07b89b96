"""Slices of messages that fail alone."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.exchange.apart import apart, begun_apart
from jdl.exchange.linear import Linear
from jdl.exchange.links import several_of_links
from jdl.types import Delivery, Exchange, ExchangeState, Groups, Key, Message, Wire, number, static

__all__ = ["SliceLoss"]


@struct.dataclass
class SliceLoss:
    """Slices that fail: the numbers of a message are cut into slices, and each is lost with a probability by itself.

    A slice is averaged over the messages in which it arrives, and the weight of a lost one goes home, as in `Lossy`;
    one slice is `Lossy` with other draws. An undirected link loses a slice both ways. In an all-reduce by parts, one
    peer of a group adds up one slice for all: with `together`, a slice is lost on all links at once (among groups, as
    in Moshpit all-reduce, on those of one group), and there all nodes keep their own.

    Sends:
      the message, unchanged; lost slices are counted.

    Args:
      slices: slices of a message, of one size.
      probability: probability that a slice is lost in a round, 0 to 1.
      together: whether a slice is lost for all nodes, or all of a group, at once.
      inner: the exchange that receives each slice next.

    References:
      Ryabinin, Gorbunov, Plokhotnyuk, Pekhimenko 2021, Moshpit SGD (all-reduce in groups whose members drop out).
    """

    slices: int = static(4, minimum=1)
    probability: float = number(0.1, minimum=0, maximum=1)
    together: bool = static(False)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"at_once"})
    # Numbers of one message are mixed by different matrices: x / w of push-sum would mean nothing.
    breaks: ClassVar[frozenset[str]] = frozenset({"reliable", "column_stochastic", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        return begun_apart(self.inner, self.slices, message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        here, inside = jax.random.split(key)
        before, plan = wire.plan, plans.one_by_one(wire.plan)
        wire = wire.replace(plan=plan)
        draw = lambda key: jax.random.uniform(key, (self.slices,)) >= self.probability
        if not self.together:
            keep = several_of_links(wire, here, draw, self.slices)
        elif isinstance(before.links, Groups):
            # By the least id of its members, and not by the place of the group in the plan.
            members = jnp.where(before.links.used, plans.ids(plan)[before.links.members], jnp.iinfo(jnp.int32).max)
            names = jnp.min(members, axis=1)[before.links.group][plans.receivers(plan.links)]
            keep = jnp.vectorize(lambda i: draw(jax.random.fold_in(here, i)), signature="()->(k)")(names)
        else:
            keep = jnp.broadcast_to(draw(here), (*plan.links.used.shape, self.slices))
        return apart(self.inner, self.slices, state, wire, inside, lambda s: plans.lose(plan, keep[..., s]))
