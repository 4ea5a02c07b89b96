"""FLTrust: clients count by how well their changes agree with one that the server makes itself."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl import plan as plans
from jdl.exchange import mixing
from jdl.exchange.robust.combine import combined
from jdl.exchange.robust.memory import plain_parts
from jdl.types import Delivery, ExchangeState, Key, Message, Plan, Wire, number, static

__all__ = ["FLTrust"]


@struct.dataclass
class FLTrust:
    """FLTrust: a server trains on public data, and takes from clients what points the way of its own change.

    sum_j a_j v_j (|g| / |x_j|) x_j / sum_j a_j v_j, with the clients' weights a_j. g is the change of the server's
    model by `steps` steps of gradient descent on public minibatch 0 of the round, and v_j = max(0, cos(g, x_j)). Where
    no client agrees with it, the result is zero. All arrays of a message are one vector. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round two models, and the gradient.

    Args:
      lr: rate of the server's steps, which sets the length of all changes; that of the clients.
      steps: the server's steps; as many as the clients take.

    Raises:
      InputError: if messages are not whole changes of the server's model, or if public data have no targets.

    References:
      Cao, Fang, Liu, Gong 2021, FLTrust: Byzantine-robust Federated Learning via Trust Bootstrapping, read in public
      copies of the rule, such as `fltrust` beside that of SkyMask; they count clients alike, where here each has its
      weight. The server's steps of a round all take one minibatch.
    """

    lr: float = number(0.1, minimum=0)
    steps: int = static(1, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "server", "reference", "public"})
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        return ()

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        def rule(plan: Plan, own: Message, sent: Message) -> Message:
            mixing.require_real(own)
            model = plain_parts(wire.reference)
            got, need = [x.shape[1:] for x in sent], [x.shape for x in model]
            do = "leave out what cuts messages in parts"
            checks.require(got == need, f"got messages {got} for FLTrust, need changes of a model {need}; {do}")
            change = self._own(wire, model)
            weights = plan.links.weights
            norms, products = jnp.zeros(weights.shape, jnp.float32), jnp.zeros(weights.shape, jnp.float32)
            for x, g in zip(sent, change, strict=True):
                x, g = x.reshape(x.shape[0], -1).astype(jnp.float32), g.ravel().astype(jnp.float32)
                norms = norms + jnp.sum(x * x, axis=1)
                products = products + jnp.einsum("id,d->i", x, g, precision="highest")
            good = (weights != 0) & jnp.isfinite(norms) & (norms > 0)
            norms = jnp.sqrt(jnp.where(good, norms, 1))
            length = jnp.sqrt(tree.norm_squared([g.astype(jnp.float32) for g in change]))
            trust = jnp.maximum(jnp.where(good, products / norms, 0), 0)  # times |g|, which the quotient does not see
            trust = trust * weights.astype(trust.dtype)
            total = jnp.sum(trust)
            chosen = trust / jnp.where(total > 0, total, 1) * length / norms
            return combined(plans.one_by_one(plan), own, sent, chosen[None])

        return mixing.inboxes(wire, rule), state, mixing.delivered(wire)

    def _own(self, wire: Wire, model: list[jax.Array]) -> list[jax.Array]:
        """The change that the server makes itself."""
        gradient = jax.grad(lambda x: wire.losses([leaf[None] for leaf in x])[0])
        after = jax.lax.fori_loop(0, self.steps, lambda _, x: tree.axpy(-self.lr, gradient(x), x), model)
        return [x - y for x, y in zip(after, model, strict=True)]
