"""The two kinds of rules: those that look at distances between whole messages, and those of single coordinates."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl.exchange import mixing
from jdl.exchange.robust.combine import combined
from jdl.exchange.robust.distances import coefficients
from jdl.exchange.robust.near import Near
from jdl.types import Delivery, ExchangeState, Key, Message, Plan, Server, Wire

__all__ = ["ByCoordinate", "ByDistance", "Rule"]


class Rule(abc.ABC):
    """A rule without memory that takes the place of the weighted mean of plain parts of a message."""

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one"})
    # No rule keeps sums of messages, so that x / w of push-sum would mean nothing.
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        return ()

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        def rule(plan: Plan, own: Message, sent: Message) -> Message:
            mixing.require_real(own)
            return self.received(plans.one_by_one(plan), own, sent, key)

        return mixing.inboxes(wire, rule), state, mixing.delivered(wire)

    @abc.abstractmethod
    def received(self, plan: Plan, own: list[jax.Array], sent: list[jax.Array], key: Key) -> list[jax.Array]:
        """What each row receives, leaves `[m, ...]`; for a server, without an axis of rows.

        Args:
          plan: a plan whose links are listed one by one and settled.
          own: what the rows keep, leaves `[m, ...]`.
          sent: what was sent, leaves `[s, ...]`.
          key: a random key of this round.
        """


class ByDistance(Rule):
    """A rule that reads distances, all arrays of a message together, and gives coefficients of messages."""

    pairs: ClassVar[bool] = True  # whether it asks for distances between messages
    centred: ClassVar[bool] = False  # whether it measures from the node's own message, or from that of a server

    @abc.abstractmethod
    def chosen(self, near: Near) -> jax.Array:
        """f[k], the coefficient of each message; those of messages that did not arrive are not used."""

    def received(self, plan: Plan, own: list[jax.Array], sent: list[jax.Array], key: Key) -> list[jax.Array]:
        return combined(plan, own, sent, coefficients(self.chosen, plan, own, sent, pairs=self.pairs))


class ByCoordinate(Rule):
    """A rule that takes the values of each coordinate by themselves."""

    @abc.abstractmethod
    def of(self, messages: Sequence[jax.Array], arrived: jax.Array) -> jax.Array:
        """The result of each row, [m, ...], of one array of the messages.

        Args:
          messages: for each of k slots the message of every row, `[m, ...]`, or `[1, ...]` if it is the same for all.
          arrived: bool[m, k], which of them arrived.
        """

    def received(self, plan: Plan, own: list[jax.Array], sent: list[jax.Array], key: Key) -> list[jax.Array]:
        pairs = zip(own, sent, strict=True)
        return [inbox(plan, *self._one(plan, *pair)) for pair in pairs]

    def _one(self, plan: Plan, own: jax.Array, sent: jax.Array) -> tuple[jax.Array, jax.Array]:
        messages, arrived = mixing.neighbourhood(plan, own, sent)
        return self.of(messages, arrived), arrived


def inbox(plan: Plan, result: jax.Array, arrived: jax.Array) -> jax.Array:
    """A result of all rows; for a server that of its single row, which is zero if nothing arrived."""
    if isinstance(plan.links, Server):
        return jnp.where(jnp.any(arrived), result[0], 0)
    return result
