"""Decentralized SGD, adapt then combine."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import local
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["DPSGD"]


class State(NamedTuple):
    x: PyTree  # the model
    opt: PyTree  # state of the optimizer, local


@struct.dataclass
class DPSGD:
    """D-PSGD, adapt then combine: x_i <- sum_j W_ij (x_j - lr g_j(x_j)).

    The usual D-PSGD of deep learning. On the complete graph it is large-batch gradient descent; on others its fixed
    point is biased by O(lr) where data differ. `DGD` takes the gradient at the same point but does not mix it.

    Sends:
      the model after the local steps, once a round.

    Memory:
      1 model per node, and the optimizer's state.

    Args:
      lr: rate.
      local_steps: gradient steps before each exchange, H.
      optimizer: a name in `jdl.local.OPTIMIZERS` or an optax transform without its rate.
      decay: t -> factor on lr, or None.

    References:
      Cattivelli, Sayed 2010, Diffusion LMS Strategies for Distributed Estimation (ATC); Lian et al. 2017 call the
      combine-with-unmixed-gradient order D-PSGD (here `DGD`).
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
        lr = local.rate(self.lr, self.decay, node.t)
        x, opt = local.local_steps(state.x, state.opt, node, lr, self.local_steps, self.optimizer)
        return x, state._replace(opt=opt)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(x=inbox), {}

    def model(self, state: State) -> PyTree:
        return state.x
