"""Gradient tracking, adapt then combine, model and tracker in one exchange."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["GradientTracking"]


class State(NamedTuple):
    x: PyTree  # the model
    y: PyTree  # the tracker after the last mixing, W y; zero at the start
    g: PyTree  # the gradient used last; the next round subtracts this same minibatch gradient; zero at the start


@struct.dataclass
class GradientTracking:
    """Gradient tracking (ATC): x <- W (x - lr y);  y <- W y + g(x+) - g(x),  y_0 = g(x_0).

    Each node tracks the average gradient: mean(y) = mean(g) in every round, so the limit is the exact optimum for any
    heterogeneity. The newest gradient enters the tracker at the start of a round, before the tracker is used.

    Sends:
      model and tracker, together, once a round.

    Memory:
      3 models per node.

    Args:
      lr: step size.

    References:
      Di Lorenzo, Scutari 2016, NEXT; Pu, Nedic 2021, Distributed Stochastic Gradient Tracking Methods; Koloskova, Lin,
      Stich 2021, An Improved Analysis of Gradient Tracking, Algorithm 1.
    """

    lr: float = number(0.1, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        y = tree.add(state.y, tree.sub(g, state.g))
        return {"x": tree.axpy(-self.lr, y, state.x), "y": y}, state._replace(g=g)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(x=inbox["x"], y=inbox["y"]), {}

    def model(self, state: State) -> PyTree:
        return state.x
