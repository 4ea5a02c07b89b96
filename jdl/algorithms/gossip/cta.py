"""Decentralized SGD, combine then adapt."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import local
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["CTA"]


class State(NamedTuple):
    x: PyTree  # the model
    opt: PyTree  # state of the local optimizer, never sent


@struct.dataclass
class CTA:
    """Combine then adapt: p_i = sum_j W_ij x_j;  x_i <- p_i - lr g_i(p_i).

    This is diffusion in the opposite order to `DPSGD`, and the same method seen half a round later: `DPSGD` started at
    W X_0 equals W times CTA started at X_0. `DGD` combines in the same way, but takes the gradient at the model before
    combining. On the complete graph the mean over nodes follows gradient descent; the nodes' models differ by their
    last step.

    Sends:
      the model, once a round, before the local steps.

    Memory:
      1 model per node, and the optimizer's state.

    Args:
      lr: step size of the local steps.
      local_steps: number H of gradient steps after each exchange.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Cattivelli, Sayed 2010, Diffusion LMS Strategies for Distributed Estimation (CTA).
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
        # The gradient is taken here because the combined model is known only after the exchange.
        lr = local.rate(self.lr, self.decay, node.t)
        x, opt = local.local_steps(inbox, state.opt, node, lr, self.local_steps, self.optimizer)
        return State(x, opt), {}

    def model(self, state: State) -> PyTree:
        return state.x
