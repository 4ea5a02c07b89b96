"""Lies within the spread of the honest messages."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct
from jax.scipy.special import ndtri

from jdl import tree
from jdl.exchange.attacks.liars import Attack, deviation, lying, mean, seen, some_of, travelling
from jdl.exchange.linear import Linear
from jdl.types import Exchange, Key, Message, PyTree, Wire, number, static

__all__ = ["ALIE", "largest_z"]


@struct.dataclass
class ALIE(Attack):
    """A little is enough (ALIE): liars send mu + sign z sd, with mean and deviation of the honest in each coordinate.

    Without `z`, the paper's is taken: with n senders in the round, f of them liars, s = floor(n / 2 + 1) - f honest
    ones are needed for a majority, and z = Phi^-1((n - f - s) / (n - f)). It is negative where f is small. The honest
    are those that send in this round.

    Sends:
      one false message, the same at all liars, of the same size as the true one.

    Args:
      z: the number of standard deviations; None for the paper's.
      sign: -1 or 1, the side of the mean. Public code has both (the paper's authors subtract).
      share: probability with which a coordinate is lied about, 0 to 1, for a sparse attack that sends the honest mean
        elsewhere; None for a lie about all coordinates.
      attack_seed: seed of the coordinates of a sparse attack, the same ones in all rounds; None for others in every
        round.
      ddof: the variance is divided by the number of honest messages less this one.
      inner: the exchange that receives the messages next.

    References:
      Baruch, Baruch, Goldberg 2019, A Little Is Enough: Circumventing Defenses for Distributed Learning, algorithm 3
      (the formula of z as in the public code of He, Karimireddy, Jaggi 2022, which subtracts, with ddof 1; ByzFL adds).
    """

    z: float | None = number(None)
    sign: float = number(-1.0, minimum=-1, maximum=1)
    share: float | None = number(None, minimum=0, maximum=1)
    attack_seed: int | None = static(0, minimum=0)
    ddof: int = static(1, minimum=0)
    inner: Exchange = Linear()

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        honest = seen(wire)
        z = largest_z(honest, lying(wire) & travelling(wire)) if self.z is None else self.z
        centre = mean(honest, wire.sent)
        shift = deviation(honest, wire.sent, centre, self.ddof)
        lie = tree.axpy(self.sign * z, shift, centre)
        return some_of(self.share, key, self.attack_seed, lie, centre), memory


def largest_z(honest: jax.Array, liars: jax.Array) -> jax.Array:
    """The paper's z, f[], finite also where the liars alone are a majority.

    Args:
      honest: bool[s], which messages are honest.
      liars: bool[s], which are of liars.
    """
    f, h = (jnp.sum(rows, dtype=jnp.int32) for rows in (liars, honest))
    others = h - ((f + h) // 2 + 1 - f)
    h = jnp.maximum(h, 1).astype(jnp.result_type(float))
    # Of h honest messages, none or all would be at an infinite distance.
    return ndtri(jnp.clip(others.astype(h.dtype) / h, 0.5 / h, 1 - 0.5 / h))
