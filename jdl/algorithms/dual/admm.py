"""Decentralized ADMM."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["ADMM"]

# Lower bound of 2 rho (1 - W_ii): without neighbours, or with rho = 0, a node minimises its loss plus this curvature.
LEAST_CURVATURE = 1e-6


class State(NamedTuple):
    x: PyTree  # the model
    alpha: PyTree  # the multiplier: the summed disagreement with the neighbours so far; sums to zero over nodes


@struct.dataclass
class ADMM:
    """ADMM: x_i <- argmin f_i(x) + alpha_i^T x + rho sum_j W_ij |x - (x_i+x_j)/2|^2;  alpha += rho (x - W x).

    The method is exact under heterogeneity for every penalty rho > 0, given exact minima of convex losses. The penalty
    of an edge is rho W_ij instead of one value for all edges. So the mixed inbox is all that a node must know of its
    neighbours: with d = 1 - W_ii, the minimum is a proximal step of length 1 / (2 rho d) from x - (x - W x) / (2
    d) - alpha / (2 rho d).

    With `exact` a node takes that proximal step, where the problem has it in closed form. Otherwise it takes
    `local_steps` gradient steps on the same function from x. The limit is the same, the path is not; it is stable for
    lr < 2 / (L + 2 rho d). One such step with step size lr / (1 + 2 lr rho d) is `DLM`. The minimum is computed after
    the exchange because it depends on the neighbours' models.

    Sends:
      the model, once a round.

    Memory:
      2 models per node.

    Args:
      lr: step size of the gradient steps; not used with `exact`.
      penalty: rho, the penalty of an edge of weight 1.
      local_steps: number H of gradient steps in a round.
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

    @property
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
        # Round 0 does not count, since its models are the starts: so alpha = 0 at first, also where the starts differ.
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
