"""Privacy of clients over all rounds together: noise of a binary tree."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.linear import Linear
from jdl.exchange.private import aggregate
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number, static

__all__ = ["TreeNoise"]


class State(NamedTuple):
    t: jax.Array  # i32[], rounds before this one
    nodes: list[jax.Array]  # f[levels, ...], the noise of the tree's node that is open on each level
    inner: ExchangeState


@struct.dataclass
class TreeNoise:
    """DP-FTRL: noise of a binary tree, so that the sum of t rounds has noise of at most log2(t) + 1 draws and not of t.

    aggregate_t = sum_k clip(Delta_k) / E + (z S / E) (N_t - N_{t-1}), where N_t adds a draw for each node of the tree
    that covers rounds 1 .. t: one for each 1 in the binary number t. It needs no sampling of clients: one that takes
    part once in `2^levels - 1` rounds spends what `jdl.privacy.epsilon(..., steps=rounds, sampling="tree")` says; one
    that returns spends this every time (so the order of clients is what to restrict, as `CyclicSampling` does).

    Sends:
      the message, as it is.

    Memory:
      `levels` aggregates.

    Args:
      clip: S, the largest norm of a client's message, above 0.
      noise_multiplier: z, at least 0.
      expected: E, as in `ClientPrivacy`.
      levels: number of levels of the tree, 1 to 30; it covers 2^levels - 1 rounds, after which a new tree begins.
      inner: the exchange that averages.

    References:
      Kairouz, McMahan, Song, Thakkar, Thakurta, Xu 2021, Practical and Private (Deep) Learning without Sampling or
      Shuffling, Algorithm 1.
    """

    clip: float = number(1.0, minimum=0)
    noise_multiplier: float = number(1.0, minimum=0)
    expected: float | None = number(None, minimum=0)
    levels: int = static(10, minimum=1, maximum=30)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"server"})
    breaks: ClassVar[frozenset[str]] = frozenset({"exact"})
    noisy: ClassVar[bool] = True  # parts of a message draw apart, see `jdl.exchange.apart.key_of_part`

    def init(self, message: Message) -> ExchangeState:
        nodes = [jnp.zeros((self.levels, *x.shape[1:]), x.dtype) for x in aggregate.plain(message)]
        return State(jnp.int32(0), nodes, self.inner.init(message))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        here, inside = jax.random.split(key)
        expected, clip = aggregate.expected_of(wire, self.expected), jnp.asarray(self.clip, jnp.result_type(float))
        sigma = jnp.where(jnp.asarray(self.noise_multiplier) > 0, self.noise_multiplier * clip, 0)
        how = {"clip": clip, "sigma": sigma, "expected": expected}
        inbox, inner, deliveries = aggregate.clipped_sum(self.inner, state.inner, wire, inside, **how)
        # Round t opens the node on the level of the lowest 1 of t, and closes those below it, of which t - 1 has all.
        t = state.t % (2**self.levels - 1) + 1
        levels = jnp.arange(self.levels, dtype=jnp.int32)
        opened = jax.lax.population_count((t & -t) - 1)
        keys = jax.random.split(here, max(len(state.nodes), 1))
        moved, nodes = [], []
        for old, one in zip(state.nodes, keys, strict=False):
            fresh = jax.random.normal(one, old.shape[1:], old.dtype)
            column = levels.reshape(-1, *(1,) * (old.ndim - 1))
            old = jnp.where(t == 1, 0, old)
            moved.append(fresh - jnp.sum(jnp.where(column < opened, old, 0), axis=0))
            nodes.append(jnp.where(column < opened, 0, jnp.where(column == opened, fresh[None], old)))
        inbox = aggregate.on_plain(lambda x, z: x + (sigma / expected).astype(x.dtype) * z, inbox, moved)
        return inbox, State(state.t + 1, nodes, inner), deliveries
