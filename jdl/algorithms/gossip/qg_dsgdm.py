"""Decentralized SGD with quasi-global momentum."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["QGDSGDm"]


class State(NamedTuple):
    x: PyTree  # the model; between send and recv, the model before the step
    m: PyTree  # lr times the quasi-global momentum; zero at the start


@struct.dataclass
class QGDSGDm:
    """Quasi-global momentum: m = momentum q + g(x);  x+ = W (x - lr m);  q <- mu q + (1 - mu) (x - x+) / lr.

    q averages how the model moved in past rounds, mixing included, and not the gradients: it estimates the global
    direction at no cost of communication. With momentum 0 it is `DPSGD`. On one node q decays by mu + (1 - mu)
    momentum, so the method differs from plain momentum there. With `nesterov`, the step is along g + momentum m. The
    state stores lr q in place of q, which is the same at a constant step size.

    Sends:
      the model after the step, once a round.

    Memory:
      2 models per node.

    Args:
      lr: step size.
      momentum: factor on q in a step.
      mu: decay of q; the paper sets it equal to momentum.
      nesterov: whether to use Nesterov's momentum in place of the heavy ball.

    References:
      Lin, Karimireddy, Stich, Jaggi 2021, Quasi-Global Momentum: Accelerating Decentralized Deep Learning on
      Heterogeneous Data, Algorithm 1, and its official code.
    """

    lr: float = number(0.05, minimum=0)
    momentum: float = number(0.9, minimum=0, maximum=1)
    mu: float = number(0.9, minimum=0, maximum=1)
    nesterov: bool = static(False)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, tree.zeros_like(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g = tree.scale(self.lr, node.grad(state.x)[0])
        m = tree.axpy(self.momentum, state.m, g)
        step = tree.axpy(self.momentum, m, g) if self.nesterov else m
        return tree.sub(state.x, step), state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        moved = tree.sub(state.x, inbox)
        return State(inbox, tree.axpy(self.mu, state.m, tree.scale(1 - self.mu, moved))), {}

    def model(self, state: State) -> PyTree:
        return state.x
