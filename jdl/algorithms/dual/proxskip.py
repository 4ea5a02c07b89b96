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
    x: PyTree  # the model; between send and recv, what was sent
    h: PyTree  # the control variate, times lr / p: what mixing added so far; sums to zero over nodes


@struct.dataclass
class ProxSkip:
    """ProxSkip, mixing by chance: z = x - lr (g(x) - h);  x <- z + s (W z - z), h += p (x - z) / lr, or else x <- z.

    Decentralized Scaffnew. It mixes with probability p, on a coin that all nodes toss together: 1 / p gradient steps
    between two exchanges on average, and still exact under heterogeneity. h is kept times lr / p, so that nothing is
    divided by the rate: z = x - lr g(x) + p h.
    p = 1, s = 1/2 is `ExactDiffusion`; p = 1, s = 1 is `D2`; W = J, s = 1 is Scaffnew, whose server averages.
    s <= 1/2 is stable on every W; up to 1 where the smallest eigenvalue of W is at least 0.

    Sends:
      the model after the step, in the rounds in which the coin says so; nothing in others.

    Memory:
      2 models per node.

    Args:
      lr: rate.
      probability: p, that a round ends with an exchange.
      share: s, how far towards W z that exchange goes; gamma tau / p in the paper's letters.

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
