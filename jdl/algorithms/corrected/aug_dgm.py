"""Gradient tracking in two exchanges a round."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, Sized, number

__all__ = ["AugDGM"]


class State(NamedTuple):
    x: PyTree  # the model
    y: PyTree  # the tracker of the mean gradient
    g: PyTree  # the gradient used last; zero at the start


@struct.dataclass
class AugDGM:
    """Aug-DGM, gradient tracking in two exchanges: y <- W (y + g(x) - g(x-));  x <- W (x - lr y),  y_0 = g(x_0).

    It is gradient tracking whose tracker also mixes the newest gradient difference. The tracker of the first round is
    the node's own gradient, unmixed, as in the paper.

    Sends:
      the tracker (not in round 0), then the model: two exchanges a round.

    Memory:
      3 models per node.

    Args:
      lr: step size.

    References:
      Xu, Zhu, Soh, Xie 2015, Augmented Distributed Gradient Methods for Multi-Agent Optimization Under Uncoordinated
      Constant Stepsizes.
    """

    lr: float = number(0.1, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send_y", "recv_y"), ("send_x", "recv_x"))

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero)

    def send_y(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        y = tree.add(state.y, tree.sub(g, state.g))
        bits = jnp.where(node.t == 0, 0, jnp.float32(tree.size_bits(y)))
        return Sized(y, bits), state._replace(g=g)

    def recv_y(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        y = jax.tree.map(lambda g, mixed: jnp.where(node.t == 0, g, mixed), state.g, inbox)
        return state._replace(y=y), {}

    def send_x(self, state: State, node: Node) -> tuple[Message, State]:
        return tree.axpy(-self.lr, state.y, state.x), state

    def recv_x(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(x=inbox), {}

    def model(self, state: State) -> PyTree:
        return state.x
