"""Decentralized ADMM."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, OfOptions, PyTree, number, static

__all__ = ["ADMM"]

# Of 2 rho (1 - W_ii): a node without neighbours, or a penalty of zero, minimises its own loss up to this curvature.
LEAST_CURVATURE = 1e-6


class State(NamedTuple):
    x: PyTree  # the model
    alpha: PyTree  # the multiplier: what this node and its neighbours disagreed by so far; sums to zero over nodes


@struct.dataclass
class ADMM:
    """ADMM: x_i <- argmin f_i(x) + alpha_i^T x + rho sum_j W_ij |x - (x_i+x_j)/2|^2;  alpha += rho (x - W x).

    Exact under heterogeneity for every penalty rho > 0, given exact minima of convex losses. Edge penalties rho W_ij in
    place of one for all edges, so that the mixed inbox is all a node need know of its neighbours: with d = 1 - W_ii the
    minimum is a proximal step of length 1 / (2 rho d) from x - (x - W x) / (2 d) - alpha / (2 rho d).

    `exact` takes that step, where the problem has it in closed form. Else `local_steps` gradient steps on the same
    function begin at x: the limit is the same, the way is not; stable for lr < 2 / (L + 2 rho d). One such step of rate
    lr / (1 + 2 lr rho d) is `DLM`. Minima are sought after the exchange, for they hang on what neighbours say.

    Sends:
      the model, once a round.

    Memory:
      2 models per node.

    Args:
      lr: rate of the gradient steps; not used where `exact`.
      penalty: rho, of one unit of weight.
      local_steps: gradient steps a round, H.
      exact: whether to minimise in closed form.

    References:
      Shi, Ling, Yuan, Wu, Yin 2014, On the Linear Convergence of the ADMM in Decentralized Consensus Optimization,
      Algorithm 1, which has W_ij = 1 on every edge (written from memory, the text was not at hand).
    """

    lr: float = number(0.1, minimum=0)
    penalty: float = number(1.0, minimum=0)
    local_steps: int = static(1, minimum=1)
    exact: bool = static(False)

    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @OfOptions
    def needs(self) -> frozenset[str]:
        return frozenset({"peers", "doubly_stochastic", "symmetric", "prox" if self.exact else "grad"})

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, tree.zeros_like(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        return state.x, state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        apart = tree.sub(state.x, inbox)
        # The multiplier counts from the first model on that was computed: alpha_0 = 0 also where starts differ.
        alpha = tree.axpy(jnp.where(node.t > 0, self.penalty, 0), apart, state.alpha)
        curvature = 2 * self.penalty * (1 - node.self_weight)
        if self.exact:
            step = 1 / jnp.maximum(curvature, LEAST_CURVATURE)
            centre = tree.axpy(-self.penalty * step, apart, tree.axpy(-step, alpha, state.x))
            return State(node.prox(centre, step), alpha), {}

        def gradient(x, k):
            pull = tree.axpy(curvature, tree.sub(x, state.x), tree.axpy(self.penalty, apart, alpha))
            return tree.add(node.grad(x, k)[0], pull)

        start = local.transform("sgd").init(state.x)
        x, _ = local.local_steps(state.x, start, node, self.lr, self.local_steps, gradient=gradient)
        return State(x, alpha), {}

    def model(self, state: State) -> PyTree:
        return state.x
