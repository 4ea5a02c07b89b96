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
    v: PyTree  # the discounted sum of squared gradients after the last mixing; zero at the start
    total: jax.Array  # f[], the sum of the discount factors in v, so that v / total is a mean


@struct.dataclass
class ScaledLocalSGD:
    """Local SGD with scaling (SAVIC): H steps y <- y - lr g(y) / D, then W y;  D = max(sqrt(v), floor) changes there.

    v <- W (beta v + (1 - beta) g(x)^2) is the mean of past squares, with g on the first minibatch of a round. D is
    constant between exchanges, which keeps the local steps of different nodes comparable, and it is the same on all
    nodes where exchanges average exactly. In the first round D is 1. D never depends on the gradients that it scales.
    With H = 1 on one node the method is RMSProp (Adam's second moment with bias correction) with a D that is one round
    old.

    Sends:
      the model after the local steps and v, together, once a round.

    Memory:
      2 models per node. A round computes one gradient more than it takes steps.

    Args:
      lr: step size of the local steps.
      beta: decay of the mean v of squared gradients.
      floor: lower bound of each entry of D.
      local_steps: number H of gradient steps before each exchange.

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
        """D from the mean of the squares so far; ones in the first round."""
        seen = state.total > 0

        def scale(v):
            mean = v / jnp.where(seen, state.total, 1).astype(v.dtype)
            root = jnp.sqrt(jnp.maximum(mean, 0))  # an exchange that does more than average may make it negative
            return jnp.where(seen, jnp.maximum(root, jnp.asarray(self.floor, v.dtype)), jnp.ones_like(v))

        return jax.tree.map(scale, state.v)

    def model(self, state: State) -> PyTree:
        return state.x
