"""Privacy of clients: what a server learns of its clients is a clipped sum with noise."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.linear import Linear
from jdl.exchange.private import aggregate, clipping
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number, static

__all__ = ["ClientPrivacy"]


@struct.dataclass
class ClientPrivacy:
    """DP-FedAvg: the server clips each client's message to S, and adds noise to their sum, once.

    aggregate = (sum_k Delta_k min(1, S / ||Delta_k||) + z S N(0, I)) / E, with E the expected number of clients of a
    round, which is not secret: all clients have one weight, whatever the method says, and E does not change with how
    many arrive. With the clients of a round drawn by `PoissonSampling`, the account is that of `jdl.privacy.epsilon`
    with `sampling_rate` E / n and one step for each round; for `Sampling`, which draws without replacement, it is that
    of `sampling="fixed"`. What reaches the server one by one (`Each`, such as reports) is clipped with the rest and
    gets noise z S each; whole numbers stay as they are. Attackers and lossy links may stand before it.

    Sends:
      the message, as it is: the server is trusted with it.

    Args:
      clip: S, the largest norm of a client's message, above 0.
      noise_multiplier: z, at least 0; with 0 messages are only clipped.
      expected: E, the mean number of clients a round, above 0; None: the number of rows of a round, for `Sampling`.
      per_array: whether each of L arrays is clipped by itself, to S / sqrt(L).
      median: whether S is the median of the norms of a round's clients in place of `clip`, as Geyer et al. take it; no
        account here includes what this tells of them.
      inner: the exchange that averages.

    Raises:
      InputError: in `network_down`, where a server sends.

    References:
      McMahan, Ramage, Talwar, Zhang 2018, Learning Differentially Private Recurrent Language Models, Algorithm 1.
      Geyer, Klein, Nabi 2017, Differentially Private Federated Learning: A Client Level Perspective (the median).
    """

    clip: float = number(1.0, minimum=0)
    noise_multiplier: float = number(1.0, minimum=0)
    expected: float | None = number(None, minimum=0)
    per_array: bool = static(False)
    median: bool = static(False)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"server"})
    breaks: ClassVar[frozenset[str]] = frozenset({"exact"})
    noisy: ClassVar[bool] = True  # parts of a message draw apart, see `jdl.exchange.apart.key_of_part`

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        here, inside = jax.random.split(key)
        clip, expected = self._clip(wire), aggregate.expected_of(wire, self.expected)
        sigma = jnp.where(jnp.asarray(self.noise_multiplier) > 0, self.noise_multiplier * clip, 0)
        how = {"clip": clip, "sigma": sigma, "expected": expected, "per_array": self.per_array}
        inbox, state, deliveries = aggregate.clipped_sum(self.inner, state, wire, inside, **how)
        return aggregate.with_noise(inbox, sigma / expected, here), state, deliveries

    def _clip(self, wire: Wire) -> jax.Array:
        if not self.median:
            return jnp.asarray(self.clip, jnp.result_type(float))
        used = getattr(wire.plan.links, "used", True) & (wire.bits > 0)
        median = jnp.nanmedian(jnp.where(used, clipping.norms(wire.sent), jnp.nan))
        return jnp.where(jnp.isnan(median), 0, median)
