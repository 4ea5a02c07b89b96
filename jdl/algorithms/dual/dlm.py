"""DLM: decentralized linearised ADMM."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["DLM"]


class State(NamedTuple):
    x: PyTree  # the model
    phi: PyTree  # the multiplier: the summed disagreement with the neighbours so far; sums to zero over nodes
    g: PyTree  # the gradient at x, between send and recv


@struct.dataclass
class DLM:
    """DLM, linearised ADMM: x <- x - (g(x) + rho (x - W x) + phi) / (1/lr + 2 rho (1 - W_ii));  phi += rho (x - W x).

    This is `ADMM` with the local loss replaced by its tangent at x plus |x - x_i|^2 / (2 lr): a gradient replaces a
    minimisation, and the method is still exact under heterogeneity. The penalty of an edge is rho W_ij, as in `ADMM`.
    With rho = 0 it is local gradient descent. It is stable for lr < 2 / L whatever the penalty.

    Sends:
      the model, once a round.

    Memory:
      3 models per node.

    Args:
      lr: step size of a node without neighbours.
      penalty: rho, the penalty of an edge of weight 1.

    References:
      Ling, Shi, Wu, Ribeiro 2015, DLM: Decentralized Linearized Alternating Direction Method of Multipliers, Algorithm
      1, which has W_ij = 1 on every edge (abstract read; the iteration is written from memory).
    """

    lr: float = number(0.1, minimum=0)
    penalty: float = number(1.0, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        return state.x, state._replace(g=g)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        apart = tree.sub(state.x, inbox)
        # Round 0 does not count, since its models are the starts: so phi = 0 at first, also where the starts differ.
        phi = tree.axpy(jnp.where(node.t > 0, self.penalty, 0), apart, state.phi)
        direction = tree.axpy(self.penalty, apart, tree.add(state.g, phi))
        step = self.lr / (1 + 2 * self.lr * self.penalty * (1 - node.self_weight))
        return State(tree.axpy(-step, direction, state.x), phi, tree.zeros_like(state.g)), {}

    def model(self, state: State) -> PyTree:
        return state.x
