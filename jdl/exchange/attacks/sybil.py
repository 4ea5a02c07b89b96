"""One liar under several names."""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.attacks.gaussian import normal
from jdl.exchange.attacks.liars import Attack, lying, travelling
from jdl.exchange.linear import Linear
from jdl.types import Exchange, Key, Message, PyTree, Wire, number

__all__ = ["Sybil"]


@struct.dataclass
class Sybil(Attack):
    """Sybils: all liars of one group of the roles are one mind, and send the message of the first of them.

    `jdl.roles.sybils` makes such groups. The first of a group is that of the lowest id which sends in the round. What
    it says is settled by what stands before: `network=[SignFlip(), Sybil()]` has every sybil of a group tell one lie,
    and `oracle=[Backdoor()]` with `Sybil()` sends one poisoned model under many names.

    Sends:
      the message of another liar, plus sigma N(0, I).

    Args:
      sigma: standard deviation of noise by which the sybils of a group differ, at least 0.
      inner: the exchange that receives the messages next.

    References:
      Douceur 2002, The Sybil Attack (identities of one mind).
      Fung, Yoon, Beschastnikh 2020, The Limitations of Federated Learning in Sybil Settings (the same poison of all
      sybils, which FoolsGold gives no weight).
    """

    sigma: float = number(0.0, minimum=0)
    inner: Exchange = Linear()

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        rows, group = lying(wire) & travelling(wire), wire.roles.group[wire.origin]
        of_mine = rows[None, :] & (group[:, None] == group[None, :])
        first = jnp.argmin(jnp.where(of_mine, wire.origin[None, :], jnp.iinfo(jnp.int32).max), axis=1)
        told = tree.take_rows(wire.sent, first)
        return tree.axpy(self.sigma, normal(key, wire), told), memory
