"""EXTRA: exact first-order consensus optimization."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["EXTRA"]


class State(NamedTuple):
    x: PyTree  # the model
    y: PyTree  # the dual variable: half the sum of what mixing subtracted so far; sums to zero over nodes
    g: PyTree  # the gradient of this round, from send to recv


@struct.dataclass
class EXTRA:
    """EXTRA: x <- (I + W) x - (I + W)/2 x- - lr (g(x) - g(x-)),  x_1 = W x_0 - lr g(x_0).

    This is `DGD` with a correction that makes it exact under heterogeneity. The code uses the primal-dual form, x+ = W
    x - lr g(x) - y; y+ = y + (x - W x)/2, y_0 = 0, which has the same iterates without the linear drift of the two-term
    form in float32. The gradient is not mixed here; in `ExactDiffusion` it is. The method is stable for
    lr < (1 + lambda_n(W)) / L.

    Sends:
      the model, once a round.

    Memory:
      3 models per node.

    Args:
      lr: step size.

    References:
      Shi, Ling, Wu, Yin 2015, EXTRA: An Exact First-Order Algorithm for Decentralized Consensus Optimization, Algorithm
      1 with W~ = (I + W)/2.
    """

    lr: float = number(0.1, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        return state.x, state._replace(g=g)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        x = tree.sub(tree.axpy(-self.lr, state.g, inbox), state.y)
        y = tree.axpy(0.5, tree.sub(state.x, inbox), state.y)
        return state._replace(x=x, y=y), {}

    def model(self, state: State) -> PyTree:
        return state.x
