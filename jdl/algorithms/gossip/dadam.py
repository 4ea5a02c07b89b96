"""Decentralized Adam."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["DAdam"]


class State(NamedTuple):
    x: PyTree  # the model
    m: PyTree  # first moment, local; zero at the start
    v: PyTree  # second moment, local; zero at the start (eps with amsgrad)
    peak: PyTree  # with amsgrad the largest v so far; otherwise ()
    u: PyTree  # with amsgrad the tracker of the mean peak over nodes, not yet mixed; otherwise ()
    count: jax.Array  # i32[], rounds that this node took part in


@struct.dataclass
class DAdam:
    """Decentralized Adam: m, v <- local moments of g(x);  x <- W x - lr m' / (sqrt(v') + eps), m', v' unbiased.

    Without links it is `optax.adam` on every node. As each node scales by its own v, the fixed point is in general not
    even stationary, however small lr is: an example is known. `amsgrad`: the version with a guarantee, where all scale
    alike in the limit: peak = max(peak, v), u tracks the mean of peak by gossip, and x <- W x - lr m / sqrt(max(W u,
    eps)), without the correction for the start. Its first step divides by sqrt(eps): take eps near squared gradients.

    Sends:
      the model, with amsgrad also u, once a round.

    Memory:
      3 models per node, with amsgrad 5.

    Args:
      lr: rate.
      b1: shares of the old first and second moment that are kept.
      b2: shares of the old first and second moment that are kept.
      eps: added to the root, with amsgrad the floor below it.
      amsgrad: whether second moments are gossiped.

    References:
      Nazari, Tarzanagh, Michailidis 2019, DADAM, and its official code, which has this order; Chen, Karimi, Zhao, Li
      2021, On the Convergence of Decentralized Adaptive Gradient Methods (amsgrad; from memory, and checked against a
      public third-party code).
    """

    lr: float = number(0.01, minimum=0)
    b1: float = number(0.9, minimum=0, maximum=1)
    b2: float = number(0.999, minimum=0, maximum=1)
    eps: float = number(1e-8, minimum=0)
    amsgrad: bool = static(False)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        if not self.amsgrad:
            return State(params, zero, zero, (), (), jnp.int32(0))
        floor = jax.tree.map(lambda x: jnp.full(x.shape, self.eps, x.dtype), params)
        return State(params, zero, floor, floor, floor, jnp.int32(0))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        m = tree.axpy(self.b1, state.m, tree.scale(1 - self.b1, g))
        v = tree.axpy(self.b2, state.v, tree.scale(1 - self.b2, jax.tree.map(jnp.square, g)))
        return {"x": state.x, "u": state.u}, state._replace(m=m, v=v, count=state.count + 1)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        eps = lambda x: jnp.asarray(self.eps, x.dtype)
        if self.amsgrad:
            step = jax.tree.map(lambda m, u: m / jnp.sqrt(jnp.maximum(u, eps(u))), state.m, inbox["u"])
            peak = jax.tree.map(jnp.maximum, state.peak, state.v)
            state = state._replace(peak=peak, u=tree.add(inbox["u"], tree.sub(peak, state.peak)))
        else:
            count = state.count.astype(jnp.result_type(self.b1))
            m, v = tree.scale(1 / (1 - self.b1**count), state.m), tree.scale(1 / (1 - self.b2**count), state.v)
            step = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps(v)), m, v)
        return state._replace(x=tree.axpy(-self.lr, step, inbox["x"])), {}

    def model(self, state: State) -> PyTree:
        return state.x
