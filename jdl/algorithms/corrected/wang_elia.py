"""Wang-Elia: consensus with an integral of the disagreement."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["WangElia"]


class State(NamedTuple):
    x: PyTree  # the model
    z: PyTree  # the integral: the sum of K x so far; sums to zero over nodes
    g: PyTree  # the gradient of this round, from send to recv


@struct.dataclass
class WangElia:
    """Wang-Elia, an integral of disagreement: x+ = x - K (x + z) - lr g(x);  z+ = z + K x,  K = gain (I - W), z_0 = 0.

    The control of consensus has a proportional part, K x, and an integral part, K z, which cancels the local gradients
    at the optimum. So the limit is exact under heterogeneity. `EXTRA` applies its integral as it is, and sends one
    model a round; here the integral is mixed, and sent as well. With zero gradients the two modes of an eigenvalue k of
    K shrink by sqrt(1 - k + k^2), which is below 1 for 0 < k < 1: gain = 1/2 permits any W. Where all losses have
    curvature a, the method is stable for lr a < 2 - k + k^2/2, with gain = 1/2 hence for lr < 3 / (2 a).

    Sends:
      model and integral, together, once a round.

    Memory:
      3 models per node.

    Args:
      lr: step size.
      gain: factor on I - W.

    References:
      Wang, Elia 2011, A Control Perspective for Centralized and Distributed Convex Optimization (not at hand; the
      discrete iteration, and gain = 1/2, were read in the third-party code of decent_bench).
    """

    lr: float = number(0.1, minimum=0)
    gain: float = number(0.5, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        return {"x": state.x, "z": state.z}, state._replace(g=g)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        apart, integral = tree.sub(state.x, inbox["x"]), tree.sub(state.z, inbox["z"])
        x = tree.axpy(-self.gain, tree.add(apart, integral), tree.axpy(-self.lr, state.g, state.x))
        return state._replace(x=x, z=tree.axpy(self.gain, apart, state.z)), {}

    def model(self, state: State) -> PyTree:
        return state.x
