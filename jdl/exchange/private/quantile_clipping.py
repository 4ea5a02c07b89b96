"""Privacy of clients with a clipping norm that follows a quantile of their norms."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.linear import Linear
from jdl.exchange.private import aggregate, clipping
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number

__all__ = ["QuantileClipping"]


class State(NamedTuple):
    clip: jax.Array  # f[], S of the next round
    inner: ExchangeState


@struct.dataclass
class QuantileClipping:
    """Adaptive clipping: `ClientPrivacy` whose norm S follows a quantile of the clients' norms, from a noisy bit each.

    b = (sum_k 1[||Delta_k|| <= S] + s N(0, 1)) / E;  S <- S exp(-rate (b - quantile)). The bits cost privacy: a
    client's bit, taken around one half, moves their sum by 1/2, so changes get noise of the larger multiplier
    (z^-2 - (2 s)^-2)^(-1/2), and both together are one Gaussian mechanism of multiplier z.

    Sends:
      the message, as it is, and one bit.

    Memory:
      the norm S.

    Args:
      clip: S of the first round, above 0.
      quantile: the share of clients that are not to be clipped, 0 to 1.
      rate: by how much S follows, at least 0; with 0 it stays.
      noise_multiplier: z of both together, at least 0.
      bit_noise: s, more than z / 2; None: E / 20, but at least z.
      expected: E, as in `ClientPrivacy`.
      inner: the exchange that averages.

    References:
      Andrew, Thakkar, McMahan, Ramaswamy 2021, Differentially Private Learning with Adaptive Clipping, Algorithm 1.
    """

    clip: float = number(0.1, minimum=0)
    quantile: float = number(0.5, minimum=0, maximum=1)
    rate: float = number(0.2, minimum=0)
    noise_multiplier: float = number(1.0, minimum=0)
    bit_noise: float | None = number(None, minimum=0)
    expected: float | None = number(None, minimum=0)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"server"})
    breaks: ClassVar[frozenset[str]] = frozenset({"exact"})
    noisy: ClassVar[bool] = True  # parts of a message draw apart, see `jdl.exchange.apart.key_of_part`

    def init(self, message: Message) -> ExchangeState:
        return State(jnp.asarray(self.clip, jnp.result_type(float)), self.inner.init(message))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        noise, bit, inside = jax.random.split(key, 3)
        expected, z = aggregate.expected_of(wire, self.expected), jnp.asarray(self.noise_multiplier)
        s = jnp.maximum(expected / 20, z) if self.bit_noise is None else jnp.asarray(self.bit_noise)
        sigma = jnp.where(z > 0, state.clip * _multiplier(z, s), 0)
        within = clipping.norms(wire.sent) <= state.clip
        counted = wire.replace(bits=jnp.where(wire.bits > 0, wire.bits + 1, 0))
        how = {"clip": state.clip, "sigma": sigma, "expected": expected}
        inbox, inner, deliveries = aggregate.clipped_sum(self.inner, state.inner, counted, inside, **how)
        count = jnp.sum(jnp.where(within, aggregate.arrived_weight(deliveries), 0))
        share = (count + jnp.where(z > 0, s, 0) * jax.random.normal(bit, (), count.dtype)) / expected
        clip = state.clip * jnp.exp(-self.rate * (share - self.quantile)).astype(state.clip.dtype)
        return aggregate.with_noise(inbox, sigma / expected, noise), State(clip, inner), deliveries


def _multiplier(z: jax.Array, s: jax.Array) -> jax.Array:
    """The multiplier of the noise of changes that leaves z for them and the bits together."""
    left = jnp.where(z > 0, z, 1) ** -2 - jnp.where(s > 0, 2 * s, jnp.inf) ** -2
    return jnp.maximum(left, 0) ** -0.5
