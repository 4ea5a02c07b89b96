"""Decentralized momentum SGD whose momentum is mixed, too."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["DmSGD"]


class State(NamedTuple):
    x: PyTree  # the model
    m: PyTree  # the momentum after the last mixing; zero at the start


@struct.dataclass
class DmSGD:
    """D-SGD with mixed momentum: m' = momentum m + g(x);  x <- W (x - lr m');  m <- W m'.

    Mixing brings the momentum closer to that of the mean gradient than in `DSGDm`; a message is twice as long. With
    momentum 0 it is `DPSGD`; on the complete graph, from equal models, it is heavy-ball gradient descent. With `old`,
    the step is along the momentum of the previous round, x <- W (x - lr m), so that the first round only mixes.

    Sends:
      model and momentum, together, once a round.

    Memory:
      2 models per node.

    Args:
      lr: step size; in the long run a gradient moves the model by up to lr / (1 - momentum) times itself.
      momentum: decay of the momentum m.
      old: whether the step is along the momentum before this round's gradient is added to it.

    References:
      Yu, Jin, Yang 2019, On the Linear Speedup Analysis of Communication Efficient Momentum SGD, Algorithm 2; Ying,
      Yuan, Chen, Hu, Pan, Yin 2021, Exponential Graph is Provably Efficient for Decentralized Deep Training, Algorithm
      1 (`old`). Both orders are given from memory: neither listing was at hand.
    """

    lr: float = number(0.02, minimum=0)
    momentum: float = number(0.9, minimum=0, maximum=1)
    old: bool = static(False)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, tree.zeros_like(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        m = tree.axpy(self.momentum, state.m, g)
        return {"x": tree.axpy(-self.lr, state.m if self.old else m, state.x), "m": m}, state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return State(inbox["x"], inbox["m"]), {}

    def model(self, state: State) -> PyTree:
        return state.x
