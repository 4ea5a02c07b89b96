"""ProxSkip on a graph: decentralized Scaffnew."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, Sized, number

__all__ = ["ProxSkip"]


class State(NamedTuple):
    x: PyTree  # the model; between send and recv, the message that was sent
    h: PyTree  # lr / p times the control variate: the sum of what mixing added so far; sums to zero over nodes


@struct.dataclass
class ProxSkip:
    """ProxSkip, mixing at random: z = x - lr (g(x) - h);  x <- z + s (W z - z), h += p (x - z) / lr, or else x <- z.

    This is decentralized Scaffnew. All nodes share one random draw a round, by which they mix with probability p. There
    are 1 / p gradient steps between two exchanges on average, and the method is still exact under heterogeneity. The
    state stores h times lr / p, so that nothing is divided by the step size: z = x - lr g(x) + p h.

    With p = 1 and s = 1/2 it is `ExactDiffusion`; with p = 1 and s = 1 it is `D2`; with W = J and s = 1 it is Scaffnew,
    whose server averages. s <= 1/2 is stable for every W; s up to 1 is stable where the smallest eigenvalue of W is at
    least 0.

    Sends:
      the model after the step in the rounds that mix; nothing in the others.

    Memory:
      2 models per node.

    Args:
      lr: step size.
      probability: p, the probability that a round ends with an exchange.
      share: s, the fraction of the way to W z that an exchange moves the model; gamma tau / p in the paper's notation.

    References:
      Mishchenko, Malinovsky, Stich, Richtarik 2022, ProxSkip: Yes! Local Gradient Steps Provably Lead to Communication
      Acceleration! Finally!, Algorithm 2 and, on graphs, Algorithm 5 (the latter written from memory).
    """

    lr: float = number(0.1, minimum=0)
    probability: float = number(0.5, minimum=0, maximum=1)
    share: float = number(0.5, minimum=0, maximum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, tree.zeros_like(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        z = tree.axpy(self.probability, state.h, tree.axpy(-self.lr, g, state.x))
        bits = jnp.where(self._talks(node), jnp.float32(tree.size_bits(z)), 0)
        return Sized(z, bits), state._replace(x=z)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        moved = tree.scale(self.share, tree.sub(inbox, state.x))
        moved = tree.where(self._talks(node), moved, tree.zeros_like(moved))
        return State(tree.add(state.x, moved), tree.add(state.h, moved)), {}

    def _talks(self, node: Node) -> jax.Array:
        return jax.random.uniform(node.common) < self.probability

    def model(self, state: State) -> PyTree:
        return state.x
