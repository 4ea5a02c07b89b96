"""NIDS: a network-independent step size."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, Sized, number

__all__ = ["NIDS"]


class State(NamedTuple):
    x: PyTree  # the model; between send and recv, the message that was sent
    y: PyTree  # the dual variable: the sum of what mixing subtracted so far; sums to zero over nodes


@struct.dataclass
class NIDS:
    """NIDS: x <- W~ (2 x - x- - lr (g(x) - g(x-))),  x_1 = x_0 - lr g(x_0),  W~ = I - mixing (I - W).

    The method is exact under heterogeneity for every lr < 2/L, whatever the network. Its first step is not mixed. From
    then on it is `ExactDiffusion` for mixing = 1/2, and `D2` for mixing = 1. The code uses the primal-dual form,
    x+ = W~ z and y+ = y + z - x+, where z = x - lr g(x) - y and y_0 = 0. The method is stable if the eigenvalues of W~
    are above -1/3, which always holds for mixing = 1/2. The paper's proximal step for a non-smooth term is left out.

    Sends:
      the corrected model, once a round; nothing in round 0.

    Memory:
      2 models per node.

    Args:
      lr: step size.
      mixing: lr times the paper's constant c; 1/2 makes W~ = (I + W)/2.

    References:
      Li, Shi, Yan 2019, A Decentralized Proximal-Gradient Method with Network Independent Step-Sizes and Separated
      Convergence Rates, Algorithm 1.
    """

    lr: float = number(0.1, minimum=0)
    mixing: float = number(0.5, minimum=0, maximum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, tree.zeros_like(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        z = tree.sub(tree.axpy(-self.lr, g, state.x), state.y)
        bits = jnp.where(node.t == 0, 0, jnp.float32(tree.size_bits(z)))
        return Sized(z, bits), state._replace(x=z)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        gap = tree.scale(self.mixing, tree.sub(state.x, inbox))  # z - x+
        gap = tree.where(node.t == 0, tree.zeros_like(gap), gap)
        return State(tree.sub(state.x, gap), tree.add(state.y, gap)), {}

    def model(self, state: State) -> PyTree:
        return state.x
