"""Decentralized federated learning with sharpness-aware local steps."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["DFedSAM"]


class State(NamedTuple):
    x: PyTree  # the model


@struct.dataclass
class DFedSAM:
    """DFedSAM: H steps y <- y - lr g(y + rho g(y) / |g(y)|) from x, both gradients on one minibatch; then x <- W y.

    The local steps look for flat minima, where models that differ can be averaged. With rho = 0 it is `DPSGD`. On L
    x^2/2 in one dimension the perturbed gradient is L x + L rho sign(x). The several gossip steps of DFedSAM-MGS, X <-
    W^Q Y, come from an exchange that repeats gossip (`jdl.exchange`) or from a W that is a matrix power.

    Sends:
      the model after the local steps, once a round.

    Memory:
      1 model per node. Each step computes two gradients.

    Args:
      lr: step size of the local steps.
      rho: Euclidean length of the perturbation along the gradient.
      local_steps: number H of gradient steps before each exchange.

    References:
      Shi, Shen, Wei, Sun, Yuan, Wang, Tao 2023, Improving the Model Consistency of Decentralized Federated Learning,
      Algorithm 1 (the listing itself was not at hand).
    """

    lr: float = number(0.1, minimum=0)
    rho: float = number(0.01, minimum=0)
    local_steps: int = static(1, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        return State(params)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        def gradient(y, k):
            g, _ = node.grad(y, k)
            norm = jnp.sqrt(tree.norm_squared(g))
            up = jnp.where(norm > 0, self.rho / jnp.where(norm > 0, norm, 1), 0)  # no perturbation where g is zero
            return node.grad(tree.axpy(up, g, y), k)[0]

        plain = local.transform("sgd").init(state.x)
        return local.local_steps(state.x, plain, node, self.lr, self.local_steps, "sgd", gradient)[0], state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return State(inbox), {}

    def model(self, state: State) -> PyTree:
        return state.x
