"""Changes that are boosted, so that they survive the mean."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.attacks.liars import Attack, lying, mean, same_for_all, seen, travelling, wide
from jdl.exchange.linear import Linear
from jdl.types import Exchange, Key, Message, PyTree, Server, Wire, number

__all__ = ["ModelReplacement"]


@struct.dataclass
class ModelReplacement(Attack):
    """Model replacement: liars send x + boost (x_bad - x), so that the mean becomes their own model x_bad.

    x_bad is what a liar has learnt itself, usually from poisoned data (`jdl.oracle.Backdoor`, `LabelFlip`). To a
    server, messages are changes, x_bad - x, and a liar sends boost times its own. Among peers, x is the mean of the
    honest messages of the round. If all others agree on x, the plain mean of all is the mean x_bad of the liars.

    Sends:
      a false message of the same size as the true one.

    Args:
      boost: factor on the change, at least 0. None for n / f, the number of all messages over that of the liars; to a
        server the sum of their weights.
      norm: largest Euclidean norm of the boosted change, at least 0, to pass under a defence that clips norms; None for
        no limit.
      inner: the exchange that receives the messages next.

    References:
      Bagdasaryan, Veit, Hua, Estrin, Shmatikov 2020, How To Backdoor Federated Learning (model replacement).
      Bhagoji, Chakraborty, Mittal, Calo 2019, Analyzing Federated Learning through an Adversarial Lens (boosting).
      Sun, Kairouz, Suresh, McMahan 2019, Can You Really Backdoor Federated Learning? (with a bound on the norm).
    """

    boost: float | None = number(None, minimum=0)
    norm: float | None = number(None, minimum=0)
    inner: Exchange = Linear()

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        changes = isinstance(wire.plan.links, Server)
        centre = same_for_all(wire.sent, 0.0) if changes else mean(seen(wire), wire.sent)
        boost = _of_all(wire) if self.boost is None else self.boost
        change = [jnp.asarray(boost, c.dtype) * (wide(x) - c) for x, c in zip(wire.sent, centre, strict=True)]
        if self.norm is not None:
            length = jnp.sqrt(jax.vmap(tree.norm_squared)(change))
            fits = jnp.minimum(1, jnp.asarray(self.norm, length.dtype) / jnp.where(length > 0, length, 1))
            change = [tree.column(fits.astype(x.dtype), x) * x for x in change]
        return tree.add(centre, change), memory


def _of_all(wire: Wire) -> jax.Array:
    """The weight of all messages over that of the liars, f[]; 1 if no liar sends."""
    links, travels = wire.plan.links, travelling(wire)
    weights = links.weights if isinstance(links, Server) else jnp.ones(travels.shape, jnp.result_type(float))
    total, liars = (jnp.sum(jnp.where(rows, weights, 0)) for rows in (travels, travels & lying(wire)))
    return jnp.where(liars > 0, total / jnp.where(liars > 0, liars, 1), 1)
