"""Arrays that stay private at random."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl import plan as plans
from jdl.exchange.apart import flat, is_kind, key_of_part
from jdl.exchange.linear import Linear
from jdl.exchange.per_module import paths, within
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Plan, Server, Wire, number, static

__all__ = ["RandomShare"]


@struct.dataclass
class RandomShare:
    """Random partial sharing: in each round every node keeps each of the named arrays private, or shares it, by chance.

    Among peers, an array is averaged between those that share it, with the weights of `PerModule`: a symmetric W stays
    doubly stochastic, over the complete graph the inbox is the mean of those who share, and a node that keeps an array
    private neither sends nor takes it. A server averages each array over the clients that sent it. Other arrays are
    sent as ever. If all share, this is plain gossip.

    With keys=("A", "B") for the two factors of low-rank adapters and probability=0.5, a node shares half of them, as in
    FedRand, which draws exactly one of the two; there, a client also goes on with its own private half, where here it
    begins with what its server sent.

    Sends:
      on each link the arrays that both ends share, to a server those that the client shares, as one message.

    Args:
      keys: names of arrays; one with any of them in its path is drawn. Without keys all arrays are.
      probability: probability that a node shares an array in a round, 0 to 1.
      inner: the exchange that averages.

    Raises:
      InputError: if no array of the message has one of the keys in its path.

    References:
      Park, Lee, Kim, Hwang 2025, FedRand: Enhancing Privacy in Federated Learning with Randomized LoRA Subparameter
      Updates (abstract and a summary of its algorithm read).
    """

    keys: tuple[str, ...] = static(())
    probability: float = number(0.5, minimum=0, maximum=1)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"at_once"})
    # Push-sum's weight would be mixed over other links than the model.
    breaks: ClassVar[frozenset[str]] = frozenset({"reliable", "column_stochastic", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        found, has = {key for path in paths(message, is_kind) for key in path}, ", ".join(self.keys)
        need = (
            f"got keys {has}, which are in the path of no array of the message; need some of {', '.join(sorted(found))}"
        )
        checks.require(not self.keys or not found.isdisjoint(self.keys), need)
        arrays = flat(message)[0]
        return tuple(self.inner.init([arrays[i] for i in part]) if part else () for part in self._parts(message))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        here, inside = jax.random.split(key)
        (own, structure), (sent, _) = flat(wire.own), flat(wire.sent)
        to_server = isinstance(wire.plan.links, Server)
        need = "got late messages among peers, need those of the round; put RandomShare before what delays them"
        checks.require(to_server or wire.age is None, need)
        ids = wire.origin if to_server else plans.ids(wire.plan)
        inbox, states, deliveries, total = list(own), list(state), [], max(tree.bits(wire.sent), 1)
        for g, part in enumerate(self._parts(wire.own)):
            if not part:
                continue
            plan = wire.plan
            if g:  # the first part is what all share
                draw = lambda i, g=g: jax.random.uniform(jax.random.fold_in(jax.random.fold_in(here, g), i))
                plan = _between(plan, jax.vmap(draw)(ids) < self.probability)
            given = wire.replace(own=[own[i] for i in part], sent=[sent[i] for i in part], plan=plan)
            given = given.replace(bits=tree.bits(given.sent) / total * wire.bits)
            key_here = key_of_part(self.inner, inside, g)
            mixed, states[g], delivered = self.inner.apply(state[g], given, key_here)
            deliveries += delivered
            for i, x in zip(part, mixed, strict=True):
                inbox[i] = x
        return structure.unflatten(inbox), tuple(states), tuple(deliveries)

    def _parts(self, message: Message) -> list[list[int]]:
        """The numbers of the parts of a message that all share, and then each array that is drawn."""
        arrays = flat(message)[0]
        named = [not self.keys or not set(self.keys).isdisjoint(path) for path in paths(message, is_kind)]
        drawn = [i for i, array in enumerate(arrays) if hasattr(array, "shape") and named[i]]
        return [[i for i in range(len(arrays)) if i not in drawn], *([i] for i in drawn)]


def _between(plan: Plan, shares: jax.Array) -> Plan:
    """The plan between the nodes that share, bool[m]."""
    if not isinstance(plan.links, Server):
        return within(plan, jnp.where(shares, 0, -1))
    links = plan.links
    arrived = None if links.arrived is None else links.arrived & shares
    weights = jnp.where(shares, links.weights, 0)
    return plan.replace(links=links.replace(weights=weights, used=links.used & shares, arrived=arrived))
