"""Stochastic gradient push."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, Push, PyTree, number, static

__all__ = ["PushSum"]


class State(NamedTuple):
    x: PyTree  # the numerator of z = x / w; a biased model
    w: jax.Array  # f[], the push-sum weight; sums to n over nodes
    opt: PyTree  # state of the local optimizer, never sent


@struct.dataclass
class PushSum:
    """Stochastic gradient push: x <- P (x - lr g(z));  w <- P w;  z = x / w,  w_0 = 1.

    It is made for directed graphs: P need only be column-stochastic, which every sender can ensure alone. Where P is
    doubly stochastic, w stays 1 and the method is `DPSGD`. With H local steps from z, the change z^H - z is added to x.

    Sends:
      the numerator and its weight, once a round.

    Memory:
      1 model per node, and the optimizer's state.

    Args:
      lr: step size of the local steps.
      local_steps: number H of gradient steps before each exchange.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Kempe, Dobra, Gehrke 2003, Gossip-Based Computation of Aggregate Information; Assran, Loizou, Ballas, Rabbat 2019,
      Stochastic Gradient Push for Distributed Deep Learning, Algorithm 1.
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
        return State(params, jnp.ones(()), local.transform(self.optimizer).init(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        lr = local.rate(self.lr, self.decay, node.t)
        z = self.model(state)
        stepped, opt = local.local_steps(z, state.opt, node, lr, self.local_steps, self.optimizer)
        x = tree.add(state.x, tree.sub(stepped, z))
        return Push({"x": x, "w": state.w}), state._replace(opt=opt)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(x=inbox["x"], w=inbox["w"]), {}

    def model(self, state: State) -> PyTree:
        return jax.tree.map(lambda x: x / state.w.astype(x.dtype), state.x)
