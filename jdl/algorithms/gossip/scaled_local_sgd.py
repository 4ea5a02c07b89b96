"""Local SGD with one shared diagonal scaling."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["ScaledLocalSGD"]


class State(NamedTuple):
    x: PyTree  # the model
    v: PyTree  # discounted sum of squared gradients, as mixed last; zero at the start
    total: jax.Array  # f[], the sum of the same weights: v / total is their mean


@struct.dataclass
class ScaledLocalSGD:
    """Local SGD with scaling (SAVIC): H steps y <- y - lr g(y) / D, then W y;  D = max(sqrt(v), floor) changes there.

    v <- W (beta v + (1 - beta) g(x)^2), the mean of past squares, g on the first minibatch of a round. D stands still
    between exchanges, which is what keeps local steps of different nodes comparable, and is one D for all where
    exchanges average exactly. It is 1 in the first round, and has seen no gradient that it scales. With H = 1 on one
    node it is RMSProp (Adam's second moment, corrected for its start) whose D is a round old.

    Sends:
      the model after the local steps and v, together, once a round.

    Memory:
      2 models per node. One more gradient a round than steps.

    Args:
      lr: rate.
      beta: share of the old squares that is kept.
      floor: least scale of a number.
      local_steps: gradient steps before each exchange, H.

    References:
      Chezhegov, Skorik, Khachaturov et al. 2024, Local Methods with Adaptivity via Scaling, Algorithm 1 (its listing
      was not at hand; this is its rule for Adam's beta), with gossip in place of the server.
    """

    lr: float = number(0.01, minimum=0)
    beta: float = number(0.99, minimum=0, maximum=1)
    floor: float = number(0.01, minimum=0)
    local_steps: int = static(1, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, tree.zeros_like(params), jnp.zeros(()))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        scale = self._scale(state)
        gradient = lambda y, k: jax.tree.map(jnp.divide, node.grad(y, k)[0], scale)
        plain = local.transform("sgd").init(state.x)
        y, _ = local.local_steps(state.x, plain, node, self.lr, self.local_steps, "sgd", gradient)
        squares = tree.scale(1 - self.beta, jax.tree.map(jnp.square, node.grad(state.x)[0]))
        v, total = tree.axpy(self.beta, state.v, squares), self.beta * state.total + 1 - self.beta
        return State(y, v, total), state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return inbox, {}

    def _scale(self, state: State) -> PyTree:
        """D, from the mean of the squares so far; ones before there are any."""
        seen = state.total > 0

        def scale(v):
            mean = v / jnp.where(seen, state.total, 1).astype(v.dtype)
            root = jnp.sqrt(jnp.maximum(mean, 0))  # an exchange that does more than average may make it negative
            return jnp.where(seen, jnp.maximum(root, jnp.asarray(self.floor, v.dtype)), jnp.ones_like(v))

        return jax.tree.map(scale, state.v)

    def model(self, state: State) -> PyTree:
        return state.x
