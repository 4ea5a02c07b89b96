"""Local SGD whose rate follows the curvature that each node meets."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["DeltaSGD"]


class State(NamedTuple):
    x: PyTree  # the model


@struct.dataclass
class DeltaSGD:
    """Delta-SGD: H steps y -= r g(y), r = min(gamma |dy| / (2 |dg|), sqrt(1 + delta q) r-), q = r- / r--;  x <- W y.

    dy and dg are the changes of y and of the gradient in the last step, with both gradients on the new minibatch. So
    the step size follows the local smoothness and grows slowly. The first step of a round has step size lr, and q
    starts at 1. On L x^2/2 the step size settles at gamma / (2 L). Where y did not move or the gradient did not change,
    it only grows. With H = 1 the method is `DPSGD`.

    Sends:
      the model after the local steps, once a round.

    Memory:
      1 model per node, and 2 during a round. Each step but the first computes two gradients.

    Args:
      lr: step size of the first step of each round.
      gamma: twice the ratio of the step size to 1 / (local smoothness).
      delta: bound on the growth of the step size; 0 forbids growth.
      local_steps: number H of gradient steps before each exchange.

    References:
      Kim, Toghani, Uribe, Kyrillidis 2024, Adaptive Federated Learning with Auto-Tuned Clients, Algorithm 1, with
      gossip in place of the server (the listing itself was not at hand; the step rule agrees with public code).
    """

    lr: float = number(0.2, minimum=0)
    gamma: float = number(2.0, minimum=0)
    delta: float = number(0.1, minimum=0)
    local_steps: int = static(5, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        return State(params)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        def descend(y, g, rate, k):
            lower = tree.axpy(-rate, g, y)
            return lower if node.steps is None else tree.where(k < node.steps, lower, y)

        def step(carry, k):
            y, last, rate, growth = carry
            g = node.grad(y, k)[0]
            moved = tree.norm_squared(tree.sub(y, last))
            changed = tree.norm_squared(tree.sub(g, node.grad(last, k)[0]))
            known = (moved > 0) & (changed > 0)
            smooth = self.gamma / 2 * jnp.sqrt(moved / jnp.where(known, changed, 1)).astype(rate.dtype)
            longer = jnp.sqrt(1 + self.delta * growth) * rate
            new = jnp.where(known, jnp.minimum(smooth, longer), longer)
            growth = jnp.where(rate > 0, new / jnp.where(rate > 0, rate, 1), 1)
            return (descend(y, g, new, k), y, new, growth), None

        x = state.x
        first = descend(x, node.grad(x)[0], self.lr, 0)
        if self.local_steps == 1:
            return first, state
        begin = (first, x, self.lr, jnp.ones_like(self.lr))
        (y, *_), _ = jax.lax.scan(step, begin, jnp.arange(1, self.local_steps, dtype=jnp.int32))
        return y, state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return State(inbox), {}

    def model(self, state: State) -> PyTree:
        return state.x
