"""LEAD: linear convergence under compression."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.compressors import Compressor, Uniform
from jdl.types import Info, Message, Node, PyTree, Sized, number

__all__ = ["LEAD"]


class State(NamedTuple):
    x: PyTree  # the model; between send and recv, x - lr g(x)
    dual: PyTree  # lr times the paper's D: what mixing takes away every round; sums to zero over nodes
    copy: PyTree  # the paper's H: what a message is compared with, on both ends of a link; zero at the start
    sent: PyTree  # y as the neighbours decode it, between send and recv


@struct.dataclass
class LEAD:
    """LEAD, compressed primal-dual steps: D <- D + gamma (I - W) yh / (2 lr);  x <- x - lr (g + D).

    yh = H + C(y - H) is what neighbours decode of y = x - lr (g + D), with the old D, and then H <- H + alpha (yh - H).
    D = H = 0 at the start; round 0 is a plain step of gradient descent, without a message.
    Since yh is the same number on both ends of a link, sum D = 0 whatever C does, and the limit is the exact optimum.
    Without compression and with gamma = 1 it is `NIDS`, for any alpha. Here the dual is kept times lr, which is the
    same at a constant rate and defined at lr = 0. The theory asks for an unbiased C; alpha < 1 damps its noise.
    With one that is far from it, such as `TopK`, it diverges unless alpha = 1 and gamma is small.

    Sends:
      the compressed difference of y and its copy, once a round but the first, on reliable links.

    Memory:
      4 models per node; a real node also keeps the weighted sum of its neighbours' copies, 1 more.

    Args:
      lr: rate.
      gamma: consensus step; the coarser the compression, the smaller.
      alpha: step of the copies.
      compressor: C, of `jdl.compressors`.

    References:
      Liu, Li, Wang, Tang, Yan 2021, Linear Convergent Decentralized Optimization with Compression, Algorithm 1.
    """

    lr: float = number(0.1, minimum=0)
    gamma: float = number(1.0, minimum=0, maximum=1)
    alpha: float = number(0.5, minimum=0, maximum=1)
    compressor: Compressor = Uniform(bits=4)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "reliable", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero, zero)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        stepped = tree.axpy(-self.lr, g, state.x)
        change, bits = self.compressor(tree.sub(tree.sub(stepped, state.dual), state.copy), node.key)
        # Nothing is sent in round 0: everybody's copy is still zero, and mixing zeros changes nothing.
        change = tree.where(node.t == 0, tree.zeros_like(change), change)
        sent = tree.add(state.copy, change)
        message = Sized(sent, jnp.where(node.t == 0, 0, bits))
        return message, State(stepped, state.dual, tree.axpy(self.alpha, change, state.copy), sent)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        dual = tree.axpy(self.gamma / 2, tree.sub(state.sent, inbox), state.dual)
        return state._replace(x=tree.sub(state.x, dual), dual=dual), {}

    def model(self, state: State) -> PyTree:
        return state.x
