"""The noisy sum of a server, common to the ways of making it private."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jdl import checks
from jdl import plan as plans
from jdl.exchange.private import clipping
from jdl.types import Each, Exchange, ExchangeState, Key, Message, Server, Wire

__all__ = ["arrived_weight", "clipped_sum", "expected_of", "on_plain", "plain", "with_noise"]


def expected_of(wire: Wire, expected: float | jax.Array | None) -> jax.Array:
    """The number of clients that the sum is divided by, f[]: the given one, or the number of rows of a round."""
    return jnp.asarray(plans.rows(wire.plan) if expected is None else expected, jnp.result_type(float))


def clipped_sum(
    inner: Exchange,
    state: ExchangeState,
    wire: Wire,
    key: Key,
    *,
    clip: jax.Array,
    sigma: jax.Array,
    expected: jax.Array,
    per_array: bool = False,
) -> tuple:
    """Clip the clients' messages, and sum them with one weight for all, divided by a number that is not secret.

    Args:
      inner: the exchange that averages.
      state: its state.
      wire: the messages to a server.
      key: a key of this exchange in this round.
      clip: the largest norm of a client's message.
      sigma: the standard deviation of the noise of what arrives one by one.
      expected: what the sum is divided by.
      per_array: whether arrays are clipped one by one.

    Returns:
      The aggregate, of which plain parts have no noise yet; the state of `inner`; and the deliveries.

    Raises:
      InputError: if the messages do not go to a server.
    """
    is_up = isinstance(wire.plan.links, Server)
    checks.require(is_up, "got privacy of clients on the way down, need their messages to a server; put it in network")
    here, inside = jax.random.split(key)
    sent = clipping.clipped(wire.sent, clip, per_array)
    sent = jax.tree.map(
        lambda x: _with_noise(x, sigma, clipping.keys_of(here, wire.origin)) if isinstance(x, Each) else x,
        sent,
        is_leaf=lambda x: isinstance(x, Each),
    )
    links = wire.plan.links
    plan = wire.plan.replace(links=links.replace(weights=links.used.astype(links.weights.dtype)))
    inbox, state, deliveries = inner.apply(state, wire.replace(sent=sent, plan=plan), inside)
    share = jnp.sum(arrived_weight(deliveries)) / expected
    return on_plain(lambda x: share.astype(x.dtype) * x, inbox), state, deliveries


def arrived_weight(deliveries: tuple) -> jax.Array:
    """The weight of each row in the sum, f[s]: one where it arrived, and else zero."""
    links = deliveries[0].plan.links
    return jnp.where(plans.arrived(links), links.weights, 0)


def plain(message: Message) -> list[Any]:
    """The real arrays that a server averages: those in no `Each` part."""
    parts = jax.tree.leaves(message, is_leaf=lambda x: isinstance(x, Each))
    return [x for x in parts if not isinstance(x, Each) and jnp.issubdtype(x.dtype, jnp.floating)]


def on_plain(function: Any, inbox: Message, *others: list[jax.Array]) -> Message:
    """Apply a function to each plain part of an aggregate, and to the arrays of some lists that belong to it."""
    parts, structure = jax.tree.flatten(inbox, is_leaf=lambda x: isinstance(x, Each))
    rest = iter(zip(*others, strict=True)) if others else iter(())
    is_plain = [not isinstance(x, Each) and jnp.issubdtype(x.dtype, jnp.floating) for x in parts]
    made = [function(x, *(next(rest) if others else ())) if one else x for x, one in zip(parts, is_plain, strict=True)]
    return structure.unflatten(made)


def _with_noise(part: Each, sigma: jax.Array, keys: jax.Array) -> Each:
    return part.replace(content=clipping.added(part.content, sigma, clipping.noise_like(part.content, keys)))


def _noise_of(inbox: Message, key: Key) -> list[jax.Array]:
    """A standard normal number for each number of the plain parts of an aggregate."""
    leaves = plain(inbox)
    keys = jax.random.split(key, max(len(leaves), 1))
    return [jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=False)]


def with_noise(inbox: Message, sigma: jax.Array, key: Key) -> Message:
    """The aggregate with noise on its plain parts, once."""
    return on_plain(lambda x, z: x + sigma.astype(x.dtype) * z, inbox, _noise_of(inbox, key))
