"""A2CiD2: gossip at random times, accelerated by a second copy of the model that each node mixes in by itself."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["A2CiD2"]


class State(NamedTuple):
    x: PyTree  # the model
    other: PyTree  # its second copy, x~


@struct.dataclass
class A2CiD2:
    """A2CiD2, x and x~ drift together, both lose lr g_i(x); a meeting moves x by (x_j - x_i) / 2, and x~ by more.

    Between two events of a node, s seconds apart, x, x~ <- c x + (1 - c) x~, c x~ + (1 - c) x with
    c = (1 + exp(-2 eta s)) / 2. In a gradient event both lose lr g_i(x), at the x that has drifted. In a meeting with
    node j, with p = x_i - x_j before it, x_i <- x_i - p / 2 and x~_i <- x~_i - alpha~ p. Here
    eta = 1 / (2 sqrt(chi1 chi2)) and alpha~ = sqrt(chi1 / chi2) / 2, at least 1/2: disagreement decays in a time of
    sqrt(chi1 chi2) in place of chi1. At any second the mean of all x and that of all x~ are the same; they move by
    -lr / n times each gradient, and by nothing else.

    It is made for `jdl.schedule.Waves.poisson`, where p is twice the difference to the mean of the pair. In rounds of
    another schedule s = 1, and p = 2 (x_i - sum_j W_ij x_j) after the gradient steps of the nodes that work. Between
    events, the model of a node is x at its last event.

    Sends:
      the model, once a meeting; nothing in a gradient event.

    Memory:
      2 models per node.

    Args:
      lr: step size.
      chi1: 1 / lambda_2 of the Laplacian of the edges' rates, in seconds; see `jdl.topology.meeting_constants`.
      chi2: half the largest effective resistance of an edge, in seconds, at most chi1; see there. Both are 1 by
        default, as in a large complete graph whose nodes meet once a second, where nothing is accelerated.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Nabli, Belilovsky, Oyallon 2023, A2CiD2: Accelerating Asynchronous Communication in Decentralized Deep Learning,
      equation 4 and the parameters of Proposition 3.6 (numbers from memory). The public code of its authors was read:
      the drift by the exponential of the matrix, the two steps of a meeting, and half the resistance.
    """

    lr: float = number(0.1, minimum=0)
    chi1: float = number(1.0, minimum=0)
    chi2: float = number(1.0, minimum=0)
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, params)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        chi1, chi2 = (jnp.asarray(chi, node.elapsed.dtype) for chi in (self.chi1, self.chi2))
        drift = -jnp.expm1(-node.elapsed / (jnp.sqrt(chi1) * jnp.sqrt(chi2))) / 2  # 1 - c
        apart = tree.sub(state.other, state.x)
        x, other = tree.axpy(drift, apart, state.x), tree.axpy(-drift, apart, state.other)
        step = -local.rate(self.lr, self.decay, node.t)
        g = node.grad(x)[0]
        state = State(tree.axpy(step, g, x), tree.axpy(step, g, other))
        return state.x, state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        # Of a pair, the other's way to the mean is half of x_j - x_i.
        return State(inbox, tree.axpy(self._strength, tree.sub(inbox, state.x), state.other)), {}

    @property
    def _strength(self) -> jax.Array:
        """2 alpha~."""
        return jnp.sqrt(jnp.asarray(self.chi1) / self.chi2)

    def model(self, state: State) -> PyTree:
        return state.x
