"""GT-SARAH: gradient tracking of recursive, variance-reduced gradients."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import FULL, Info, Message, Node, PyTree, number, static

__all__ = ["GTSARAH"]


class State(NamedTuple):
    x: PyTree  # the model
    y: PyTree  # the tracker after the last mixing, W y; between send and recv, with the new gradient; zero at the start
    v: PyTree  # the estimate of the node's own full gradient that was used last; zero at the start
    previous: PyTree  # the model at which that estimate was computed
    begun: jax.Array  # bool[], whether the estimate began with a full gradient


@struct.dataclass
class GTSARAH:
    """GT-SARAH: v = v- + g(x) - g(x-) on one minibatch, a full gradient every `period` rounds;  y, x as in DIGing.

    In full, y = W y- + v - v- and x <- W x - lr y, with v = y = 0 before the start. The minibatch noise in v cancels as
    far as it changes the gradients at x and x- alike. So at a constant step size the limit is the exact optimum and not
    a neighbourhood of it. It is a method for finite sums. Without minibatch noise it is `DIGing`.

    Sends:
      model and tracker, together, once a round.

    Memory:
      4 models per node.

    Args:
      lr: step size.
      period: number of rounds from one full gradient to the next (the paper's inner loop and its outer step), the same
        rounds for all nodes. A node that sleeps in such a round goes on until the next one; as long as it has never
        taken a full gradient, v = g(x).

    References:
      Xin, Khan, Kar 2022, Fast Decentralized Nonconvex Finite-Sum Optimization with Recursive Variance Reduction,
      Algorithm 1 (the order of mixing read in the third-party code of the nda library).
    """

    lr: float = number(0.05, minimum=0)
    period: int = static(10, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "grad", "full"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero, params, jnp.bool_(False))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        def recursive():
            g = node.grad(state.x)[0]
            moved = tree.add(state.v, tree.sub(g, node.grad(state.previous)[0]))
            return tree.where(state.begun, moved, g)

        renews = node.t % self.period == 0
        v = jax.lax.cond(renews, lambda: node.grad(state.x, FULL)[0], recursive)
        y = tree.add(state.y, tree.sub(v, state.v))
        return {"x": state.x, "y": y}, State(state.x, y, v, state.x, state.begun | renews)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        x = tree.axpy(-self.lr, state.y, inbox["x"])
        return state._replace(x=x, y=inbox["y"]), {}

    def model(self, state: State) -> PyTree:
        return state.x
