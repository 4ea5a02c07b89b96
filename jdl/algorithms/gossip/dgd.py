"""Decentralized gradient descent, combine with the gradient at the unmixed point."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["DGD"]


class State(NamedTuple):
    x: PyTree  # the model
    opt: PyTree  # state of the local optimizer, never sent


@struct.dataclass
class DGD:
    """DGD, D-PSGD in the order of Lian et al.: x_i <- sum_j W_ij x_j - lr g_i(x_i).

    The gradient is taken at the unmixed model and applied after mixing, so communication and computation overlap. On
    the complete graph this is NOT gradient descent. It is gradient descent with step lr on sum_i f_i(x_i) + tr(X^T (I -
    W) X) / (2 lr), which explains its O(lr) bias. With H local steps, the change x_i^H - x_i is added after mixing.

    Sends:
      the model before the local steps, once a round.

    Memory:
      1 model per node, and the optimizer's state.

    Args:
      lr: step size of the local steps.
      local_steps: number H of gradient steps that start at the unmixed model.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Nedic, Ozdaglar 2009, Distributed Subgradient Methods for Multi-Agent Optimization; Lian et al. 2017, Can
      Decentralized Algorithms Outperform Centralized Algorithms?, Algorithm 1.
    """

    lr: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)
    optimizer: local.Optimizer = static("sgd")
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, local.transform(self.optimizer).init(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        return state.x, state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        lr = local.rate(self.lr, self.decay, node.t)
        x, opt = local.local_steps(state.x, state.opt, node, lr, self.local_steps, self.optimizer)
        return State(tree.add(inbox, tree.sub(x, state.x)), opt), {}

    def model(self, state: State) -> PyTree:
        return state.x
