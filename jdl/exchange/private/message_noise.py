"""Local privacy: every sender clips its message and adds noise to it."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.exchange.private import clipping
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number, static

__all__ = ["MessageNoise"]


@struct.dataclass
class MessageNoise:
    """Local privacy: each message is clipped to a norm C and gets noise z C N(0, I) before it leaves its sender.

    sent_i = x_i min(1, C / ||x_i||) + z C N(0, I), once for all neighbours and anew in each exchange. One message is a
    Gaussian mechanism of multiplier z / 2 if one message takes the place of another, and z if it takes the place of
    none. It is NbAFL on the way up to a server, and on the way down in `network_down`.

    A node mixes its own message without noise, unless `own`. Before gossip of several steps, `[MessageNoise(own=True),
    Repeated(10)]`, own noise is needed, since later steps send what was mixed: this is Muffliato, whose pairwise losses
    `jdl.privacy.pairwise_mu` computes. Whole numbers in a message stay as they are, and are not private.

    Sends:
      the noisy message, in full even behind a codec, on every link of the plan.

    Args:
      clip: C, the largest norm of a message, over all of its arrays, above 0.
      noise_multiplier: z, at least 0; with 0 messages are only clipped.
      per_array: whether each of L arrays is clipped by itself, to C / sqrt(L).
      own: whether a node mixes its own message as its neighbours receive it.
      inner: the exchange that receives the messages next.

    Raises:
      InputError: before gossip of several steps a round, without `own`.

    References:
      Wei et al. 2020, Federated Learning with Differential Privacy: Algorithms and Performance Analysis (NbAFL).
      McMahan, Ramage, Talwar, Zhang 2018, Learning Differentially Private Recurrent Language Models (by array).
      Cyffers, Even, Bellet, Massoulie 2022, Muffliato: Peer-to-Peer Privacy Amplification for Decentralized
      Optimization and Averaging, Algorithm 1.
    """

    clip: float = number(1.0, minimum=0)
    noise_multiplier: float = number(1.0, minimum=0)
    per_array: bool = static(False)
    own: bool = static(False)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset()
    # The weight of push-sum is part of the message: with noise, x / w would mean nothing.
    breaks: ClassVar[frozenset[str]] = frozenset({"exact", "column_stochastic", "push", "per_link"})
    noisy: ClassVar[bool] = True  # parts of a message draw apart, see `jdl.exchange.apart.key_of_part`

    def init(self, message: Message) -> ExchangeState:
        inside = self.inner
        while not self.own and inside is not None:
            several = max(getattr(inside, "times", 1), getattr(inside, "most", 1)) > 1
            name = type(inside).__name__
            got = f"got MessageNoise before {name}, whose later steps send what a node mixed with its own exact message"
            checks.require(not several, f"{got}, need noise on this as well; give MessageNoise(own=True)")
            inside = getattr(inside, "inner", None)
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        here, inside = jax.random.split(key)
        # Without noise also where nothing is clipped, clip = inf.
        sigma = jnp.where(jnp.asarray(self.noise_multiplier) > 0, self.noise_multiplier * self.clip, 0)

        def noisy(message, ids, age=None):
            message = clipping.clipped(message, self.clip, self.per_array)
            return clipping.added(message, sigma, clipping.noise_like(message, clipping.keys_of(here, ids, age)))

        sent = noisy(wire.sent, wire.origin, wire.age)
        own = noisy(wire.own, plans.ids(wire.plan)) if self.own else wire.own
        return self.inner.apply(state, wire.replace(sent=sent, own=own, bits=clipping.full_bits(wire)), inside)
