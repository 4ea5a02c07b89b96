"""Decentralized SGD with local momentum."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["DSGDm"]


class State(NamedTuple):
    x: PyTree  # the model
    m: PyTree  # the momentum, never sent; zero at the start


@struct.dataclass
class DSGDm:
    """D-SGD with local momentum: m <- momentum m + g(x);  x <- W (x - lr m).

    Each node keeps a momentum of its own gradients; this is the usual baseline. Where data differ it pulls the nodes
    apart: the fixed point is that of `DPSGD` at the step size lr / (1 - momentum). With momentum 0 it is `DPSGD`; on
    the complete graph, from equal models, it is heavy-ball gradient descent. With `nesterov`, the step is along g +
    momentum m.

    Sends:
      the model after the step, once a round.

    Memory:
      2 models per node.

    Args:
      lr: step size; in the long run a gradient moves the model by up to lr / (1 - momentum) times itself.
      momentum: decay of the momentum m.
      nesterov: whether to use Nesterov's momentum in place of the heavy ball.

    References:
      Lin, Karimireddy, Stich, Jaggi 2021, Quasi-Global Momentum: Accelerating Decentralized Deep Learning on
      Heterogeneous Data, where it is the baseline DSGDm(-N).
    """

    lr: float = number(0.02, minimum=0)
    momentum: float = number(0.9, minimum=0, maximum=1)
    nesterov: bool = static(False)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, tree.zeros_like(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        m = tree.axpy(self.momentum, state.m, g)
        step = tree.axpy(self.momentum, m, g) if self.nesterov else m
        return tree.axpy(-self.lr, step, state.x), state._replace(m=m)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(x=inbox), {}

    def model(self, state: State) -> PyTree:
        return state.x
