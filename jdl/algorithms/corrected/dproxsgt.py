"""Decentralized proximal stochastic gradient tracking."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.local import proximal
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["DProxSGT"]


class State(NamedTuple):
    x: PyTree  # the model
    y: PyTree  # the tracker; zero at the start
    g: PyTree  # the gradient used last; zero at the start


@struct.dataclass
class DProxSGT:
    """DProxSGT, tracking with a proximal step: y <- W (y + g(x) - g(x-));  x <- W prox_{lr r}(x - lr y).

    Before the start y = g(x-) = 0. The method minimises mean_i f_i(x) + r(x) with a regulariser or constraint r that
    all nodes know. Its limit is that of centralised proximal gradient descent for any heterogeneity. With r = 0 it is
    gradient tracking with W g(x_0) as the first tracker. A model is an average of sparse (or feasible) models, so it is
    as sparse as these only once they agree.

    Sends:
      the tracker, then the model: two exchanges a round.

    Memory:
      3 models per node.

    Args:
      lr: step size of the gradient step and of the proximal operator.
      strength: strength of r: factor on the l1 norm, radius of the l2 ball, or sum of the simplex.
      prox: proximal operator of r: "l1", "l2_ball", "simplex", "non_negative", or a function (v, step, strength) -> v.

    References:
      Yan, Chen, Chen, Cui, Xu 2023, Compressed Decentralized Proximal Stochastic Gradient Method for Nonconvex
      Composite Problems with Heterogeneous Data, Algorithm 1; the authors' public code.
    """

    lr: float = number(0.1, minimum=0)
    strength: float = number(1e-4, minimum=0)
    prox: str | Callable = static("l1")

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send_y", "recv_y"), ("send_x", "recv_x"))

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero)

    def send_y(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        return tree.add(state.y, tree.sub(g, state.g)), state._replace(g=g)

    def recv_y(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(y=inbox), {}

    def send_x(self, state: State, node: Node) -> tuple[Message, State]:
        prox = proximal.operator(self.prox)
        dtype = jnp.result_type(*jax.tree.leaves(state.x))
        step, strength = jnp.asarray(self.lr, dtype), jnp.asarray(self.strength, dtype)
        return prox(tree.axpy(-self.lr, state.y, state.x), step, strength), state

    def recv_x(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(x=inbox), {}

    def model(self, state: State) -> PyTree:
        return state.x
