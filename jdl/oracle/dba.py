"""Poisoned data: each group of liars learns a part of one trigger."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.oracle.backdoor import Backdoor
from jdl.types import Data, static

__all__ = ["DBA"]


@struct.dataclass
class DBA(Backdoor):
    """Distributed backdoor attack: dishonest nodes of group g learn part g modulo `parts` of the trigger of `Backdoor`.

    The coordinates of the trigger are divided in their order into parts of nearly equal size. No liar ever shows the
    whole trigger, which `jdl.metrics.attack_success` stamps on test inputs. With one part it is `Backdoor`.
    `jdl.roles.sybils(n, names, minds=4)` makes four groups of liars.

    Args:
      target: as in `Backdoor`.
      share: as in `Backdoor`.
      size: as in `Backdoor`.
      value: as in `Backdoor`.
      pattern: as in `Backdoor`.
      parts: number of parts of the trigger, at least 1.

    Raises:
      InputError: as `Backdoor`.

    References:
      Xie, Huang, Chen, Li 2020, DBA: Distributed Backdoor Attacks against Federated Learning (a summary was read: a
      global trigger is decomposed into local ones; how it is divided is the project's choice).
    """

    parts: int = static(4, minimum=1)

    def part(self, where: jax.Array) -> jax.Array:
        """The part to which each coordinate of the trigger belongs, i32[...], -1 outside of it.

        Args:
          where: bool[...], where the trigger lies.
        """
        place = jnp.cumsum(where.ravel(), dtype=jnp.int32).reshape(where.shape) - 1
        count = jnp.maximum(jnp.sum(where, dtype=jnp.int32), 1)
        return jnp.where(where, place * self.parts // count, -1)

    def _stamped(self, inputs: jax.Array, data: Data) -> jax.Array:
        where, values = self.trigger(inputs)
        return jnp.where((self.part(where) == data.group % self.parts)[None], values[None], inputs)
