"""Rules that mix the messages of a row before another rule is given them."""

from __future__ import annotations

import abc
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdl import checks
from jdl import plan as plans
from jdl.exchange.robust.combine import combined
from jdl.exchange.robust.distances import each_row, heard, in_turns, rows_together
from jdl.exchange.robust.near import Near, mean_of, of_mixtures, usable
from jdl.exchange.robust.rule import ByCoordinate, ByDistance, Rule, inbox
from jdl.types import Key, Plan, Server

__all__ = ["Mixed", "PreAggregation"]


class Mixed(NamedTuple):
    """Mixtures of the messages at one row.

    Attributes:
      mixtures: f[q, k], the coefficients of each; rows sum to one, or are zero where there is no mixture.
      there: bool[q], which mixtures there are.
      finite: bool[q], which of them have no part of a message that is not finite.
    """

    mixtures: jax.Array
    there: jax.Array
    finite: jax.Array


class PreAggregation(Rule):
    """A rule with a field `rule`, which is given mixtures in place of messages."""

    draws: bool = False  # whether it asks for random numbers

    @abc.abstractmethod
    def mixed(self, squared: jax.Array, there: jax.Array, drawn: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The mixtures f[q, k], and which of them there are, bool[q].

        Args:
          squared: f[k, k], squared distances.
          there: bool[k], which messages there are.
          drawn: f[k], for each a random number that belongs to its sender and receiver.
        """

    def received(self, plan: Plan, own: list[jax.Array], sent: list[jax.Array], key: Key) -> list[jax.Array]:
        last = self._chain()[-1]
        drawn = self._drawn(plan, own, key)
        if isinstance(last, ByDistance):
            at = lambda near: jnp.where(near.arrived, self._chosen(near), 0)
            return combined(plan, own, sent, each_row(at, plan, own, sent, extra=drawn))
        mixed = each_row(self._mixed, plan, own, sent, extra=drawn)
        return [_by_coordinate(last, plan, *pair, mixed) for pair in zip(own, sent, strict=True)]

    def _chain(self) -> list[Rule]:
        """This rule, those that mix what it mixes, and the rule at the end."""
        chain: list[Rule] = [self]
        while isinstance(chain[-1], PreAggregation):
            chain.append(chain[-1].rule)
        last = chain[-1]
        good = isinstance(last, ByCoordinate) or (isinstance(last, ByDistance) and not last.centred)
        got = f"got {type(self).__name__} before {type(last).__name__}"
        need = "need a rule of which all messages are alike, without memory; try TrimmedMean() or GeometricMedian()"
        checks.require(good, f"{got}, {need}")
        return chain

    def _drawn(self, plan: Plan, own: list[jax.Array], key: Key) -> jax.Array:
        """f[m, k, r], random numbers for each of the rules that draw, by receiver and sender, whatever the form."""
        layers = [layer for layer in self._chain()[:-1] if layer.draws]
        ids = plans.ids(plan)
        if isinstance(plan.links, Server):
            receivers, senders = jnp.zeros(1, jnp.int32), jnp.arange(own[0].shape[0], dtype=jnp.int32)[None]
            senders = ids[senders] if ids.shape[0] == own[0].shape[0] else senders
        else:
            receivers, senders = ids, heard(plan).who
            senders = ids[senders] if own[0].shape[0] == ids.shape[0] else senders

        def draw(key):
            of = lambda i, j: jax.random.uniform(jax.random.fold_in(jax.random.fold_in(key, i), j))
            return jax.vmap(lambda i, row: jax.vmap(lambda j: of(i, j))(row))(receivers, senders)

        numbers = [draw(jax.random.fold_in(key, place)) for place in range(len(layers))]
        return jnp.stack(numbers, axis=2) if numbers else jnp.zeros((*senders.shape, 0), jnp.float32)

    def _mixed(self, near: Near) -> Mixed:
        """All mixtures of the chain, as mixtures of the messages."""
        squared, there, number, mixtures = near.squared, near.arrived, 0, None
        for layer in self._chain()[:-1]:
            drawn = near.extra[: len(there), number] if layer.draws else None
            number += layer.draws
            step, there = layer.mixed(squared, there, drawn)
            squared = of_mixtures(squared, step)
            mixtures = step if mixtures is None else jnp.matmul(step, mixtures, precision="highest")
        infinite = near.arrived & ~usable(near)
        return Mixed(mixtures, there, ~jnp.any((mixtures != 0) & infinite[None, :], axis=1))

    def _chosen(self, near: Near) -> jax.Array:
        mixed = self._mixed(near)
        squared = of_mixtures(near.squared, mixed.mixtures)
        base = jnp.where(mixed.finite, 0, jnp.inf).astype(squared.dtype)  # no rule of the chain measures from it
        inner = Near(base, squared, mixed.there, mean_of(mixed.there, squared))
        chosen = jnp.where(mixed.there, self._chain()[-1].chosen(inner), 0)
        return jnp.sum(jnp.where(chosen[:, None] != 0, chosen[:, None] * mixed.mixtures, 0), axis=0)


def _by_coordinate(rule: ByCoordinate, plan: Plan, own: jax.Array, sent: jax.Array, mixed: Mixed) -> jax.Array:
    """The rule of mixtures, which are made for a few rows at a time."""
    shape, own = own.shape, own.reshape(own.shape[0], -1)
    sent = sent.reshape(sent.shape[0], -1).astype(own.dtype)

    def of(mixtures, there, finite, base, gap):
        """Rows whose gaps f[c, k, d] are the messages relative to the base f[c, 1, d]."""
        used = jnp.any((mixtures != 0) & finite[:, :, None], axis=1)
        gap = jnp.where(used[:, :, None], gap, 0)  # what is in no finite mixture may be NaN
        values = base + jnp.einsum("cqk,ckd->qcd", mixtures.astype(gap.dtype), gap, precision="highest")
        values = jnp.where(finite.T[:, :, None], values, jnp.nan)
        return rule.of([*values], there)

    if isinstance(plan.links, Server):
        result = of(*mixed, jnp.zeros((1, 1, 1), own.dtype), sent[None])
        return inbox(plan, result, mixed.there).reshape(shape[1:])
    who = heard(plan).who

    def turn(rows):
        mine = own[rows]
        gap = sent.at[who[rows, 1:]].get(mode="promise_in_bounds") - mine[:, None]
        gap = jnp.concatenate([jnp.zeros_like(mine)[:, None], gap], axis=1)
        return of(*(x[rows] for x in mixed), mine[None], gap)

    return in_turns(turn, own.shape[0], rows_together(who.shape[1] * own.shape[1])).reshape(shape)
