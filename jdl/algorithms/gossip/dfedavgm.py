"""Decentralized federated averaging with momentum."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import optax
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["DFedAvgM"]


def _begin(params: PyTree) -> PyTree:
    raise TypeError("got a heavy ball without its momentum, need (momentum, zeros); give that pair as the state")


def _roll(g: PyTree, state: tuple[jax.Array, PyTree], params: PyTree = None) -> tuple[PyTree, PyTree]:
    momentum, m = state
    m = tree.axpy(momentum, m, g)
    return m, (momentum, m)


# The momentum is an array that a sweep may change, so it is a part of the state: `optax.trace` would make it static.
HEAVY_BALL = optax.GradientTransformation(_begin, _roll)


class State(NamedTuple):
    x: PyTree  # the model


@struct.dataclass
class DFedAvgM:
    """DFedAvgM: H heavy-ball steps y <- y - lr g(y) + momentum (y - y-) from x, then x <- W y.

    The momentum starts at zero in every round, so that only the model is kept and sent. With momentum 0 it is `DPSGD`
    with H local steps; with H = 1 it is `DPSGD` for every momentum. The paper's quantised variant is this method over
    an exchange that quantises (`jdl.exchange`).

    Sends:
      the model after the local steps, once a round.

    Memory:
      1 model per node, and a momentum during a round.

    Args:
      lr: step size; in the long run a gradient moves the model by up to lr / (1 - momentum) times itself.
      momentum: factor on the last step, which is added to the next one.
      local_steps: number H of gradient steps before each exchange.

    References:
      Sun, Li, Wang 2021, Decentralized Federated Averaging, Algorithm 1 (number from memory).
    """

    lr: float = number(0.05, minimum=0)
    momentum: float = number(0.9, minimum=0, maximum=1)
    local_steps: int = static(5, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        return State(params)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        fresh = (self.momentum, tree.zeros_like(state.x))
        return local.local_steps(state.x, fresh, node, self.lr, self.local_steps, HEAVY_BALL)[0], state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return State(inbox), {}

    def model(self, state: State) -> PyTree:
        return state.x
