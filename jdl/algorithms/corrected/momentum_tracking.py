"""Momentum tracking."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["MomentumTracking"]


class State(NamedTuple):
    x: PyTree  # the model
    y: PyTree  # the tracker after the last mixing, W y; between send and recv, with the new gradient; zero at the start
    u: PyTree  # the momentum of the node's own gradients that was used last; zero at the start


@struct.dataclass
class MomentumTracking:
    """Momentum tracking: u+ = momentum u + g(x);  y = W y- + u+ - u;  x <- W x - lr y,  u_0 = y_0 = 0.

    Each node tracks the average over all nodes of the heavy-ball momentum, so the limit is the exact optimum for any
    heterogeneity and any momentum. With momentum = 0 this is `DIGing`. The paper writes c = u - W y, and starts c at
    (g - mean g)/(1 - momentum), which takes one global average. The start at zero also keeps sum(c) = 0, and takes no
    average.

    Sends:
      model and tracker, together, once a round.

    Memory:
      3 models per node.

    Args:
      lr: step size; the effective step size is lr / (1 - momentum).
      momentum: decay of the momentum u, in [0, 1); the paper's beta.

    References:
      Takezawa, Bao, Niwa, Sato, Yamada 2023, Momentum Tracking: Momentum Acceleration for Decentralized Deep Learning
      on Heterogeneous Data, Algorithm 1.
    """

    lr: float = number(0.02, minimum=0)
    momentum: float = number(0.9, minimum=0, maximum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        u = tree.axpy(self.momentum, state.u, g)
        y = tree.add(state.y, tree.sub(u, state.u))
        return {"x": state.x, "y": y}, state._replace(y=y, u=u)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        x = tree.axpy(-self.lr, state.y, inbox["x"])
        return state._replace(x=x, y=inbox["y"]), {}

    def model(self, state: State) -> PyTree:
        return state.x
