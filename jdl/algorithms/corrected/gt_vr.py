"""GT-VR: gradient tracking of variance-reduced gradients from a snapshot."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import FULL, Info, Message, Node, PyTree, Sized, number

__all__ = ["GTVR"]


class State(NamedTuple):
    x: PyTree  # the model
    y: PyTree  # the tracker; zero at the start
    v: PyTree  # the estimate of the node's own full gradient that was used last; zero at the start
    snapshot: PyTree  # the model of an earlier round
    full: PyTree  # the full gradient at the snapshot


@struct.dataclass
class GTVR:
    """GT-VR: v = g(x) - g(x~) + full(x~) on one minibatch;  y <- W (y + v - v-);  x <- W (x - lr y),  y_0 = v_0.

    Each round each node renews its snapshot x~ <- x with the given probability, by a draw of its own, and takes the
    full gradient there. v is unbiased, and its noise vanishes as x and x~ approach the optimum. So at a constant step
    size the limit is the exact optimum and not a neighbourhood of it, also under heterogeneity. Unlike `GTSAGA` it
    keeps no table of gradients. On full gradients it is `AugDGM`, for any probability.

    Sends:
      the tracker (not in round 0), then the model: two exchanges a round.

    Memory:
      5 models per node.

    Args:
      lr: step size.
      probability: probability that a node renews its snapshot in a round, the paper's P.

    References:
      Jiang, Zeng, Sun, Chen 2022, Distributed Stochastic Gradient Tracking Algorithm with Variance Reduction for
      Non-Convex Optimization, Algorithm 1 (abstract read; the iteration read in the third-party code of decent_bench).
    """

    lr: float = number(0.1, minimum=0)
    probability: float = number(0.3, minimum=0, maximum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "grad", "full"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send_y", "recv_y"), ("send_x", "recv_x"))

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero, params, node.grad(params, FULL)[0])

    def send_y(self, state: State, node: Node) -> tuple[Message, State]:
        renews = jax.random.bernoulli(node.key, self.probability)
        snapshot = tree.where(renews, state.x, state.snapshot)
        full = jax.lax.cond(renews, lambda: node.grad(state.x, FULL)[0], lambda: state.full)
        v = tree.add(tree.sub(node.grad(state.x)[0], node.grad(snapshot)[0]), full)
        y = tree.add(state.y, tree.sub(v, state.v))
        bits = jnp.where(node.t == 0, 0, jnp.float32(tree.size_bits(y)))
        return Sized(y, bits), state._replace(v=v, snapshot=snapshot, full=full)

    def recv_y(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(y=tree.where(node.t == 0, state.v, inbox)), {}

    def send_x(self, state: State, node: Node) -> tuple[Message, State]:
        return tree.axpy(-self.lr, state.y, state.x), state

    def recv_x(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(x=inbox), {}

    def model(self, state: State) -> PyTree:
        return state.x
