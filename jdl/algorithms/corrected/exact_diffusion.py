"""Exact diffusion."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["ExactDiffusion"]


class State(NamedTuple):
    x: PyTree  # the model; between send and recv, the message that was sent
    y: PyTree  # the dual variable: the sum of what mixing subtracted so far; sums to zero over nodes


@struct.dataclass
class ExactDiffusion:
    """Exact diffusion: psi+ = x - lr g(x);  phi = psi+ + x - psi;  x+ = (I + W)/2 phi,  psi_0 = x_0.

    This is D2 with (I + W)/2 in place of W, and hence stable on every connected graph. The code uses the primal-dual
    form (see `D2`): z = x - lr g(x) - y; x+ = (z + W z)/2; y+ = y + z - x+, y_0 = 0.

    Sends:
      the corrected model, once a round.

    Memory:
      2 models per node.

    Args:
      lr: step size.

    References:
      Yuan, Ying, Zhao, Sayed 2019, Exact Diffusion for Distributed Optimization and Learning, Part I, Algorithm 1.
    """

    lr: float = number(0.1, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, tree.zeros_like(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        z = tree.sub(tree.axpy(-self.lr, g, state.x), state.y)
        return z, state._replace(x=z)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        half_gap = tree.scale(0.5, tree.sub(state.x, inbox))  # z - x+
        return State(tree.sub(state.x, half_gap), tree.add(state.y, half_gap)), {}

    def model(self, state: State) -> PyTree:
        return state.x
