"""DIGing: gradient tracking that combines before it adapts."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["DIGing"]


class State(NamedTuple):
    x: PyTree  # the model
    y: PyTree  # the tracker after the last mixing, W y; between send and recv, with the new gradient; zero at the start
    g: PyTree  # the gradient used last; the next round subtracts this same minibatch gradient; zero at the start


@struct.dataclass
class DIGing:
    """DIGing, gradient tracking (combine, then adapt): x <- W x - lr y;  y <- W y + g(x+) - g(x),  y_0 = g(x_0).

    The method is exact under heterogeneity, since mean(y) = mean(g) in every round, also over time-varying graphs. A
    node applies its own tracker, not the mixed one. So on the complete graph this is not gradient descent, and it needs
    a smaller step size than `GradientTracking`: below (1 + lambda)^2 / (2 L) where all Hessians are equal, with lambda
    the smallest eigenvalue of W. The newest gradient enters the tracker at the start of a round, before the tracker is
    used.

    Sends:
      model and tracker, together, once a round.

    Memory:
      3 models per node.

    Args:
      lr: step size.

    References:
      Nedic, Olshevsky, Shi 2017, Achieving Geometric Convergence for Distributed Optimization over Time-Varying Graphs,
      Algorithm 1; Qu, Li 2018, Harnessing Smoothness to Accelerate Distributed Optimization.
    """

    lr: float = number(0.05, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        y = tree.add(state.y, tree.sub(g, state.g))
        return {"x": state.x, "y": y}, state._replace(y=y, g=g)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        x = tree.axpy(-self.lr, state.y, inbox["x"])
        return state._replace(x=x, y=inbox["y"]), {}

    def model(self, state: State) -> PyTree:
        return state.x
