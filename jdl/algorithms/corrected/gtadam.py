"""GTAdam: Adam on a tracked gradient."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["GTAdam"]


class State(NamedTuple):
    x: PyTree  # the model
    s: PyTree  # the tracker of the mean gradient after the last mixing; zero at the start
    g: PyTree  # the gradient used last; zero at the start
    m: PyTree  # the first moment of the tracker, never sent; zero at the start
    v: PyTree  # the second moment of the tracker, never sent; zero at the start


@struct.dataclass
class GTAdam:
    """GTAdam: s = W s- + g(x) - g(x-);  m, v <- moments of s, v at most cap;  x <- W x - lr m / sqrt(v + eps).

    Each node runs Adam on a tracker of the mean gradient, where `DAdam` runs it on its own gradient. All trackers
    vanish at the optimum, which is thus a fixed point under any heterogeneity, however differently the nodes scale
    their steps. There is no bias correction. Near the optimum v vanishes too, and steps become lr m / sqrt(eps): they
    settle only where lr / sqrt(eps) is a stable step size. With b1 = 0 and b2 = 1, which keep v = 0, it is `DIGing`
    with the step size lr / sqrt(eps); with b1 > 0 it is `MomentumTracking` with momentum b1 and (1 - b1) times this
    step size.

    Sends:
      model and tracker, together, once a round.

    Memory:
      5 models per node.

    Args:
      lr: step size.
      b1: decay of the first moment m.
      b2: decay of the second moment v.
      eps: constant added to v under the root.
      cap: largest value of an entry of v.

    References:
      Carnevale, Farina, Notarnicola, Notarstefano 2023, GTAdam: Gradient Tracking with Adaptive Momentum for
      Distributed Online Optimization (abstract read; the iteration, eps under the root and cap = 10^6 read in the code
      of NVFlare; a code for the disropt library has the same order, with eps beside the root).
    """

    lr: float = number(0.001, minimum=0)
    b1: float = number(0.9, minimum=0, maximum=1)
    b2: float = number(0.999, minimum=0, maximum=1)
    eps: float = number(1e-8, minimum=0)
    cap: float = number(1e6, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero, zero, zero)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        s = tree.add(state.s, tree.sub(g, state.g))
        m = tree.axpy(self.b1, state.m, tree.scale(1 - self.b1, s))
        v = tree.axpy(self.b2, state.v, tree.scale(1 - self.b2, jax.tree.map(jnp.square, s)))
        v = jax.tree.map(lambda v: jnp.minimum(v, jnp.asarray(self.cap, v.dtype)), v)
        return {"x": state.x, "s": s}, state._replace(s=s, g=g, m=m, v=v)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        step = jax.tree.map(lambda m, v: m / jnp.sqrt(v + jnp.asarray(self.eps, v.dtype)), state.m, state.v)
        return state._replace(x=tree.axpy(-self.lr, step, inbox["x"]), s=inbox["s"]), {}

    def model(self, state: State) -> PyTree:
        return state.x
