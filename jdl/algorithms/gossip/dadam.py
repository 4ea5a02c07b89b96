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
    m: PyTree  # the first moment, never sent; zero at the start
    v: PyTree  # the second moment, never sent; zero at the start (eps with amsgrad)
    peak: PyTree  # with amsgrad the largest v so far; otherwise ()
    u: PyTree  # with amsgrad the tracker of the mean peak over nodes, not yet mixed; otherwise ()
    count: jax.Array  # i32[], number of rounds in which this node took part


@struct.dataclass
class DAdam:
    """Decentralized Adam: m, v <- local moments of g(x);  x <- W x - lr m' / (sqrt(v') + eps), m', v' unbiased.

    Without links every node runs `optax.adam`. Each node scales by its own v, so the fixed point is in general not even
    stationary, however small lr is; a counterexample is known.

    `amsgrad` selects the version with a convergence guarantee, in which all nodes scale alike in the limit:
    peak = max(peak, v), u tracks the mean of peak by gossip, and x <- W x - lr m / sqrt(max(W u, eps)), without bias
    correction. Its first step divides by sqrt(eps), so choose eps near the size of squared gradients.

    Sends:
      the model, and with amsgrad also u, together, once a round.

    Memory:
      3 models per node; 5 with amsgrad.

    Args:
      lr: step size.
      b1: decay of the first moment m.
      b2: decay of the second moment v.
      eps: constant added to sqrt(v'); with amsgrad the lower bound of W u under the root.
      amsgrad: whether the second moments are gossiped.

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
