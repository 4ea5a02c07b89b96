"""Power-of-choice: a server asks, among a few random clients, those whose loss was highest when it last heard of them.

`candidates` clients are drawn without replacement, all with the same probability, and the `participants` of them with
the highest loss take part. The loss is a report of the engine, which every method makes, and which takes 32 bits of a
client's message: it is lost with the message. Clients of which nothing was ever heard come first.

Source: Cho, Wang, Joshi 2022, Towards Understanding Biased Client Selection in Federated Learning (rpow-d: from the
losses that were last heard).
"""

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.types import static


@struct.dataclass
class HighestLoss:
    n: int = static(minimum=1)
    participants: int = static(minimum=1)
    candidates: int = static(minimum=1)

    watches = frozenset({"loss"})

    def init(self, key):
        return jnp.zeros(self.n, bool)  # of which clients something was ever heard

    def __call__(self, ever, t, key, seen=None):
        losses = jnp.zeros(self.n)
        if seen is not None:
            ever, losses = ever | seen.heard, seen.values["loss"]
        drawn = jax.random.permutation(key, jnp.arange(self.n, dtype=jnp.int32))[: self.candidates]
        _, best = jax.lax.top_k(jnp.where(ever, losses, jnp.inf)[drawn], self.participants)
        return plans.clients(jnp.sort(drawn[best])), ever
