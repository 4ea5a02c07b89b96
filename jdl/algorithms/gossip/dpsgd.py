"""Decentralized SGD, adapt then combine."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import local
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["DPSGD"]


class State(NamedTuple):
    x: PyTree  # the model
    opt: PyTree  # state of the local optimizer; its moments are sent if they are shared


@struct.dataclass
class DPSGD:
    """D-PSGD, adapt then combine: x_i <- sum_j W_ij (x_j - lr g_j(x_j)).

    This is D-PSGD as deep learning usually implements it. On the complete graph it is large-batch gradient descent. On
    other graphs its fixed point is biased by O(lr) where data differ. `DGD` takes the gradient at the same point but
    does not mix it.

    With `share_moments` the moments of the local optimizer are averaged as the models are, m_i <- sum_j W_ij m_j, so
    that nodes agree on a direction as well; with the heavy ball and one local step it is `DmSGD`. Compression can
    make a second moment negative, of which Adam takes the root.

    Sends:
      the model after the local steps, once a round; if they are shared, the optimizer's moments beside it.

    Memory:
      1 model per node, and the optimizer's state.

    Args:
      lr: step size of the local steps.
      local_steps: number H of gradient steps before each exchange.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.
      share_moments: whether peers average the moments of their local optimizers too, which plain SGD has none of.

    References:
      Cattivelli, Sayed 2010, Diffusion LMS Strategies for Distributed Estimation (ATC). Lian et al. 2017 use the name
      D-PSGD for the order that combines with the unmixed gradient (here `DGD`).
      Yu, Jin, Yang 2019, On the Linear Speedup Analysis of Communication Efficient Momentum SGD for Distributed
      Non-Convex Optimization (averaged momentum).
    """

    lr: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)
    optimizer: local.Optimizer = static("sgd")
    decay: local.Decay | None = static(None)
    share_moments: bool = static(False)

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
        return (x, local.moments(opt)) if self.share_moments else x, state._replace(opt=opt)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        if not self.share_moments:
            return state._replace(x=inbox), {}
        x, moments = inbox
        return State(x, local.with_moments(state.opt, moments)), {}

    def model(self, state: State) -> PyTree:
        return state.x
