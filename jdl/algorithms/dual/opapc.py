"""OPAPC: optimal accelerated primal-dual method."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["OPAPC"]


class State(NamedTuple):
    x: PyTree  # the model; between send and recv, the message that was sent
    fast: PyTree  # the model with momentum, x_f; between send and recv, x_g - c x (see `send`)
    y: PyTree  # lr times the dual variable: the sum of what mixing subtracted so far; sums to zero over nodes


@struct.dataclass
class OPAPC:
    """OPAPC, accelerated primal-dual: z = (x - lr (g(x_g) - mu x_g + y)) / (1 + lr mu);  y += theta (z - W z).

    Then x+ = (x - lr (g(x_g) - mu x_g + y+)) / (1 + lr mu), where x_g = tau x + (1 - tau) x_f and x_f+ = x_g + 2
    tau / (2 - tau) (x+ - x). The method is exact under heterogeneity. On L-smooth, mu-strongly convex losses its
    convergence depends on the square root of L / mu. Over plain gossip this is APAPC, the paper's first method. Over
    the exchange `Chebyshev`, with `times` about the square root of chi, it is OPAPC, optimal in gradients and in
    messages.

    The paper sets lr = 1 / (4 tau L), tau = min(1, sqrt(chi mu / L) / 2) and theta = 1 / (lr `largest`). In terms of lr
    alone tau = min(1, chi mu lr), so that L is not needed. tau = 1 is the method without momentum.

    Sends:
      the model after the first half-step, once a round.

    Memory:
      3 models per node.

    Args:
      lr: step size, eta in the paper; the best value is sqrt(1 / (chi mu L)) / 2, or 1 / (4 L) where that is larger.
      mu: strong convexity of the loss of every node, or a lower bound of it.
      chi: condition number of I - W, which is `largest` over the smallest eigenvalue other than 0, or an upper bound of
        it; a larger value means less momentum.
      largest: largest eigenvalue of I - W, or an upper bound of it: 2 is always one; over `chebyshev(K, rho)` it is
        1 + 1 / T_K(1 / rho).

    References:
      Kovalev, Salim, Richtarik 2020, Optimal and Practical Algorithms for Smooth and Strongly Convex Decentralized
      Optimization, Algorithms 2 and 3 (iteration and constants read in public code of others).
    """

    lr: float = number(0.1, minimum=0)
    mu: float = number(0.1, minimum=0)
    chi: float = number(30.0, minimum=1)
    largest: float = number(2.0, minimum=1e-6)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, params, tree.zeros_like(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        tau = self._momentum()
        between = tree.axpy(tau, tree.sub(state.x, state.fast), state.fast)
        g, _ = node.grad(between)
        push = tree.axpy(-self.lr, tree.axpy(-self.mu, between, g), tree.sub(state.x, state.y))
        z = tree.scale(1 / (1 + self.lr * self.mu), push)
        # Of x_g and the old x, recv needs only x_g - c x, with c = 2 tau / (2 - tau).
        rest = tree.axpy(-2 * tau / (2 - tau), state.x, between)
        return z, State(z, rest, state.y)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        apart = tree.scale(1 / self.largest, tree.sub(state.x, inbox))
        x = tree.axpy(-1 / (1 + self.lr * self.mu), apart, state.x)
        tau = self._momentum()
        fast = tree.axpy(2 * tau / (2 - tau), x, state.fast)
        return State(x, fast, tree.add(state.y, apart)), {}

    def _momentum(self):
        return jnp.minimum(1, self.chi * self.mu * self.lr)

    def model(self, state: State) -> PyTree:
        return state.x
