"""Stochastic gradient push that does not wait for its messages."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, Push, PyTree, number, static

__all__ = ["OverlapSGP"]


class State(NamedTuple):
    x: PyTree  # the numerator of z = x / w; a biased model
    w: jax.Array  # f[], the push-sum weight
    coming: PyTree  # numerators that were sent to this node in the last round and are not yet absorbed
    w_coming: jax.Array  # f[], their weight; w and w_coming together sum to n over nodes
    opt: PyTree  # state of the local optimizer, never sent


@struct.dataclass
class OverlapSGP:
    """Overlap SGP: x' = x - lr g(z);  x_i <- P_ii x'_i + sum_j P_ij x'_j of the round before;  w alike;  z = x / w.

    This is `PushSum` that computes while messages travel: a message is absorbed one round after it was sent, so a round
    lasts as long as the slower of computation and communication, not their sum. Weights travel with models, so nothing
    is lost: the sums of numerators and of weights, with those in flight, stay constant, and z still tends to the mean.
    P needs a positive diagonal; otherwise the weight of a node is zero while its first messages travel. Sleeping nodes
    keep the messages that are on their way to them. The share of a lost message is back at its sender a round later.

    Sends:
      the numerator and its weight, once a round.

    Memory:
      2 models per node, and the optimizer's state.

    Args:
      lr: step size of the local steps.
      local_steps: number H of gradient steps before each exchange.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Assran, Loizou, Ballas, Rabbat 2019, Stochastic Gradient Push for Distributed Deep Learning, Algorithm 2 (Overlap
      SGP, with a delay of one; number and order of steps from memory). The official code takes each gradient while its
      model is on the way, and so sends the model before the step.
    """

    lr: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)
    optimizer: local.Optimizer = static("sgd")
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "column_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        opt = local.transform(self.optimizer).init(params)
        return State(params, jnp.ones(()), tree.zeros_like(params), jnp.zeros(()), opt)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        lr = local.rate(self.lr, self.decay, node.t)
        z = self.model(state)
        stepped, opt = local.local_steps(z, state.opt, node, lr, self.local_steps, self.optimizer)
        x = tree.add(state.x, tree.sub(stepped, z))
        return Push({"x": x, "w": state.w}), state._replace(x=x, opt=opt)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        kept = tree.scale(node.self_weight, {"x": state.x, "w": state.w})
        coming = tree.sub(inbox, kept)  # what others sent; the node's own share arrives at once
        x, w = tree.add(kept["x"], state.coming), kept["w"] + state.w_coming
        return State(x, w, coming["x"], coming["w"], state.opt), {}

    def model(self, state: State) -> PyTree:
        return jax.tree.map(lambda x: x / state.w.astype(x.dtype), state.x)
