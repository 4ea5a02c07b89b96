"""AD-PSGD: pairs average when one of the two is done, and gradients are stale."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["ADPSGD"]


class State(NamedTuple):
    x: PyTree  # the model
    stale: PyTree  # the model after the node's own last update, at which its gradient is computed
    opt: PyTree  # state of the local optimizer
    changes: jax.Array  # how often others have changed the model since the node's own last update


@struct.dataclass
class ADPSGD:
    """AD-PSGD, average then apply a stale gradient: x_i, x_j <- (x_i + x_j) / 2, then x_i <- x_i - lr g_i(stale_i).

    A node computes its gradient at the model that it had after its own last update, `stale_i`. Until the gradient is
    done, others average with the node, so that the gradient is applied to a model that has changed `changes` times. The
    partner of an event goes on computing at its own stale model. Where W is doubly stochastic the mean of all models
    moves by -lr / n times each gradient that is applied, whatever the order of events.

    It is made for `jdl.schedule.Waves.pairs`, in which one node of a pair works. Where all nodes work in every round,
    nothing is stale, and it is `DGD`; a single node takes steps of SGD.

    Sends:
      the model, once an event.

    Memory:
      2 models per node, and the optimizer's state.

    Args:
      lr: step size of the local steps.
      local_steps: number H of gradient steps that start at the stale model, whose sum is applied; 1 in the paper.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Lian, Zhang, Zhang, Liu 2018, Asynchronous Decentralized Parallel Stochastic Gradient Descent.
    """

    lr: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)
    optimizer: local.Optimizer = static("sgd")
    decay: local.Decay | None = static(None)

    asynchronous: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, params, local.transform(self.optimizer).init(params), jnp.int32(0))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        return state.x, state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        lr = local.rate(self.lr, self.decay, node.t)
        # A node that only talks has a budget of no steps.
        new, opt = local.local_steps(state.stale, state.opt, node, lr, self.local_steps, self.optimizer)
        x = tree.add(inbox, tree.sub(new, state.stale))
        changes = jnp.where(node.works, 0, state.changes + (node.degree > 0).astype(jnp.int32))
        return State(x, tree.where(node.works, x, state.stale), opt, changes), {}

    def model(self, state: State) -> PyTree:
        return state.x
