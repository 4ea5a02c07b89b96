"""Decentralized large-batch momentum SGD."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["DecentLaM"]


class State(NamedTuple):
    x: PyTree  # the model
    m: PyTree  # lr times the momentum; zero at the start


@struct.dataclass
class DecentLaM:
    """DecentLaM: d = (x - W (x - lr g(x))) / lr;  m <- momentum m + d;  x <- x - lr m.

    `DPSGD` is gradient descent on a penalised objective, and d is the gradient of that objective. DecentLaM adds
    heavy-ball momentum to it, so its fixed point is that of `DPSGD` for every momentum, while `DSGDm` moves the fixed
    point away from the optimum. With momentum 0 it is `DPSGD`. The momentum acts on the disagreement too, which
    therefore shrinks no faster than momentum^(t/2). W must be symmetric: a heavy ball over complex eigenvalues
    diverges. The state stores lr m in place of m.

    Sends:
      the model after the gradient step, once a round.

    Memory:
      2 models per node.

    Args:
      lr: step size; in the long run a gradient moves the model by up to lr / (1 - momentum) times itself.
      momentum: decay of the momentum m.

    References:
      Yuan, Chen, Huang, Zhang, Pan, Xu, Yin 2021, DecentLaM: Decentralized Momentum SGD for Large-batch Deep Training,
      Algorithm 2 (number from memory; the update agrees with a public third-party code).
    """

    lr: float = number(0.02, minimum=0)
    momentum: float = number(0.9, minimum=0, maximum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, tree.zeros_like(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        return tree.axpy(-self.lr, g, state.x), state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        m = tree.axpy(self.momentum, state.m, tree.sub(state.x, inbox))
        return State(tree.sub(state.x, m), m), {}

    def model(self, state: State) -> PyTree:
        return state.x
