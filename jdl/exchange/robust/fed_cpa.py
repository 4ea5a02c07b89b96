"""FedCPA: clients whose critical parameters are unlike those of the others count less."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.exchange import mixing
from jdl.exchange.robust.combine import combined
from jdl.exchange.robust.critical import likeness, of_change
from jdl.exchange.robust.memory import plain_parts
from jdl.types import Delivery, ExchangeState, Key, Message, Plan, Wire, static

__all__ = ["FedCPA", "counted"]


class State(NamedTuple):
    before: list[jax.Array]  # the server's model of the round before
    known: jax.Array  # bool[], whether there was one


def counted(scores: jax.Array, there: jax.Array) -> jax.Array:
    """f[m], how much each client counts, 0 to 1; ones if all scores are the same, zeros for who is not there.

    Args:
      scores: f[m].
      there: bool[m].

    >>> counted(jnp.array([1.0, 2.0, 3.0]), jnp.ones(3, bool)).tolist()
    [0.0, 0.5, 1.0]
    """
    low, high = (f(jnp.where(there, scores, other)) for f, other in ((jnp.min, jnp.inf), (jnp.max, -jnp.inf)))
    spread = high - low > 1e-6 * jnp.maximum(high, 1)  # not by rounding alone
    share = jnp.clip((scores - low) / jnp.where(spread, high - low, 1), 0.01, 0.99)
    logits = jnp.clip(jnp.log(share / (1 - share)) + 0.5, 0, 1)
    return jnp.where(there, jnp.where(spread, logits, 1), 0)


@struct.dataclass
class FedCPA:
    """FedCPA: a server gives less weight to clients whose most and least critical parameters are unlike the others'.

    The criticality of a parameter is |change * model|, of a client's change and of the model that it trained. The
    likeness of two clients is (Jaccard index + (1 + r) / 2) / 2 of their most critical parameters, plus the same of
    their least critical ones, where r is the correlation of the two criticalities over the parameters that both sets
    hold; 0 where there are none, or where one of them is constant. A client's score is the mean of its likeness to all
    clients, itself counted as 1, plus its likeness to the change that the server's model made in the round before. A
    client counts by v = ln(s / (1 - s)) + 1/2, clipped to 0 to 1, where s is its score between the lowest, 0, and the
    highest, 1. The result is the weighted mean of v_j x_j over clients with v_j > 0. Parameters are those in arrays of
    two or more dimensions, not biases; all, if there are no such arrays. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      one model; within a round the criticalities of all messages.

    Args:
      share: share of the parameters that are the most, and the least critical, 0 to 1/2; at least one each.

    Raises:
      InputError: if messages are not whole changes of the server's model.

    References:
      Han, Park, Wu, Kim, Zhu, Xie, Cha 2023, Towards Attack-tolerant Federated Learning via Critical Parameter
      Analysis, read in the authors' code (`defense_utils.py` of Sungwon-Han/FEDCPA). Equal scores, sets without common
      parameters and the first round, which leave it without a number, are as above; and it counts clients alike, where
      here each has its weight.
    """

    share: float = static(0.01, minimum=0, maximum=0.5)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "server", "reference"})
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        return State([jnp.zeros(x.shape[1:], x.dtype) for x in plain_parts(message)], jnp.bool_(False))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        after = state

        def rule(plan: Plan, own: Message, sent: Message) -> Message:
            nonlocal after
            mixing.require_real(own)
            model = plain_parts(wire.reference)
            got, need = [x.shape[1:] for x in sent], [x.shape for x in model]
            do = "leave out what cuts messages in parts"
            checks.require(got == need, f"got messages {got} for FedCPA, need changes of a model {need}; {do}")
            weights = plan.links.weights
            finite = [jnp.all(jnp.isfinite(x.reshape(x.shape[0], -1)), axis=1) for x in sent]
            there = jnp.all(jnp.stack([weights != 0, *finite]), axis=0)
            clients = of_change(sent, model, there)
            between = likeness(clients, clients, self.share)
            itself = jnp.eye(len(there), dtype=bool)
            between = jnp.where(there[None, :], jnp.where(itself, 1, between), 0)
            scores = jnp.sum(between, axis=1) / jnp.maximum(jnp.sum(there, dtype=between.dtype), 1)
            change = [(x - y.astype(x.dtype))[None] for x, y in zip(model, state.before, strict=True)]
            server = of_change(change, state.before, state.known[None])
            moved = jnp.any(server != 0)
            scores = scores + jnp.where(moved, likeness(server, clients, self.share)[0], 0)
            v = counted(scores, there).astype(weights.dtype)
            total = jnp.sum(jnp.where(v > 0, weights, 0))
            chosen = jnp.where(there, weights * v / jnp.where(total > 0, total, 1), 0)
            known = [x.astype(y.dtype) for x, y in zip(model, state.before, strict=True)]
            after = State(known, jnp.bool_(True))
            return combined(plans.one_by_one(plan), own, sent, chosen[None])

        return mixing.inboxes(wire, rule), after, mixing.delivered(wire)
