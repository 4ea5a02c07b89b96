"""Running sums: what was lost arrives with the next message."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks, tree
from jdl import plan as plans
from jdl.exchange import mixing
from jdl.topology import Topology
from jdl.types import Delivery, ExchangeState, Key, Message, Push, Wire, static

__all__ = ["RobustPushSum"]


class State(NamedTuple):
    under_way: Message  # leaves [n, degree, ...]: of each link, the sum of what its sender sent since the last arrival


@struct.dataclass
class RobustPushSum:
    """Push-sum by running sums: a lost message arrives with the next one, and no sum is lost for ever.

    Sender j keeps s_j, the sum of all contents so far, and sends W_ij s_j. Receiver i remembers the last running sum
    that it received on the link, and adds the difference to it: inbox_i = W_ii x_i + sum_j W_ij (s_j - last_ij). If the
    message is lost, `last_ij` stays, and what was lost is a part of the next difference. The sum of what the nodes hold
    and of what is under way is constant, whatever is lost, and nobody need know which messages arrived; over `Lossy`
    alone the share of a lost message stays with its sender, who would have to be told. The simulation keeps the
    differences s_j - last_ij in place of the running sums, which grow and would be rounded more.

    It acts on the `Push` parts of messages; other parts arrive as over plain gossip. It comes last, behind what loses
    messages: `[Lossy(0.2), RobustPushSum.of(topology)]`. Without losses it is plain gossip.

    Sends:
      the running sum, of the size of the message.

    Memory:
      one message for each link into a node. (Real nodes keep their running sum as well.)

    Args:
      degree: the largest number of links into one node.

    Raises:
      InputError: if a node has more links.

    References:
      Hadjicostis, Vaidya, Dominguez-Garcia 2016, Robust Distributed Average Consensus via Exchange of Running Sums
      (the recursion was read in the public code of a robust push averager, which sends running sums).
    """

    degree: int = static(minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "one_by_one", "fixed_links"})
    breaks: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def of(cls, topology: Topology) -> Self:
        """Running sums over the links of a topology.

        Args:
          topology: who talks.

        >>> from jdl.topology import ring
        >>> RobustPushSum.of(ring(5))
        RobustPushSum(degree=2)
        """
        plan = topology.plan("slots")
        return cls(degree=int(np.asarray(plan.links.used).sum(axis=1).max(initial=0)))

    def init(self, message: Message) -> ExchangeState:
        zeros = lambda x: jnp.zeros((x.shape[0], self.degree, *x.shape[1:]), x.dtype)
        return State([jax.tree.map(zeros, part.content) for part in _pushes(message)])

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        plan = plans.one_by_one(wire.plan)
        arrived = plans.arrived(plan.links)
        # The weights of what is sent, before any loss; its columns sum to one.
        whole = plans.pushed(plan.replace(links=plan.links.replace(arrived=None)))
        links, k = whole.links, whole.links.weights.shape[1]
        got = f"got degree={self.degree} and a plan with {k} links into a node"
        checks.require(k <= self.degree, f"{got}, need as many; try RobustPushSum.of(topology), over slots")
        who = plans.senders(links)

        def heard(own: jax.Array, sent: jax.Array, before: jax.Array) -> tuple[jax.Array, jax.Array]:
            def slot(s, carry):
                total, kept = carry
                waits = kept[:, s] + jnp.where(tree.column(links.used[:, s], own), sent[who[:, s]].astype(own.dtype), 0)
                comes = tree.column(arrived[:, s], own)
                weight = tree.column(links.weights[:, s].astype(own.dtype), own)
                total = total + jnp.where(comes, weight * waits, 0)
                return total, kept.at[:, s].set(jnp.where(comes, 0, waits))

            start = tree.column(whole.self_weights.astype(own.dtype), own) * own
            return jax.lax.fori_loop(0, k, slot, (start, before)) if k else (start, before)

        inboxes, after = [], []
        for own, sent, before in zip(_pushes(wire.own), _pushes(wire.sent), state.under_way, strict=True):
            leaves, structure = jax.tree.flatten(own.content)
            pairs = zip(leaves, structure.flatten_up_to(sent.content), structure.flatten_up_to(before), strict=True)
            both = [heard(*one) for one in pairs]
            inboxes.append(Push(structure.unflatten([total for total, _ in both])))
            after.append(structure.unflatten([kept for _, kept in both]))
        plain = iter(inboxes)
        inbox = jax.tree.map(lambda x: next(plain) if _is_push(x) else x, mixing.inboxes(wire), is_leaf=_is_push)
        return inbox, State(after), mixing.delivered(wire)


def _is_push(part: Message) -> bool:
    return isinstance(part, Push)


def _pushes(message: Message) -> list[Push]:
    return [part for part in jax.tree.leaves(message, is_leaf=_is_push) if _is_push(part)]
