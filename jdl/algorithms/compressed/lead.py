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
    dual: PyTree  # lr times the paper's D: what every round subtracts; sums to zero over nodes
    copy: PyTree  # the paper's H, which both ends of a link hold and a message is a difference to; zero at the start
    sent: PyTree  # yh: y as the neighbours decode it, between send and recv
    memory: PyTree  # what the compressor remembers


@struct.dataclass
class LEAD:
    """LEAD, compressed primal-dual steps: D <- D + gamma (I - W) yh / (2 lr);  x <- x - lr (g + D).

    yh = H + C(y - H) is what the neighbours decode of y = x - lr (g + D), with the old D; then H <- H + alpha (yh - H).
    D = H = 0 at the start, and round 0 is a plain step of gradient descent without a message. Both ends of a link hold
    the same yh, so sum D = 0 for every C, and the limit is the exact optimum. Without compression and with gamma = 1 it
    is `NIDS`, for any alpha. The state stores lr D in place of D, which is the same at a constant step size and also
    defined at lr = 0.

    The theory needs an unbiased C; alpha < 1 damps the noise of C. With a strongly biased C, such as `TopK`, the method
    diverges unless alpha = 1 and gamma is small.

    Sends:
      the compressed difference between y and its copy, once a round except in round 0, on links that are
      reliable and the same in every round.

    Memory:
      4 models per node; a real node also keeps the weighted sum of its neighbours' copies, 1 more.

    Args:
      lr: step size.
      gamma: step size of the mixing; a coarser compression needs a smaller one.
      alpha: step size of the copies H.
      compressor: compressor C, from `jdl.compressors`.

    References:
      Liu, Li, Wang, Tang, Yan 2021, Linear Convergent Decentralized Optimization with Compression, Algorithm 1.
    """

    lr: float = number(0.1, minimum=0)
    gamma: float = number(1.0, minimum=0, maximum=1)
    alpha: float = number(0.5, minimum=0, maximum=1)
    compressor: Compressor = Uniform(bits=4)

    needs: ClassVar[frozenset[str]] = frozenset(
        {"peers", "doubly_stochastic", "symmetric", "reliable", "copies", "fixed_links", "grad"}
    )
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero, zero, self.compressor.init(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        stepped = tree.axpy(-self.lr, g, state.x)
        wanted = tree.sub(tree.sub(stepped, state.dual), state.copy)
        change, memory, bits = self.compressor(state.memory, wanted, node.key)
        # Nothing is sent in round 0: all copies are still zero, and mixing zeros changes nothing.
        change = tree.where(node.t == 0, tree.zeros_like(change), change)
        memory = tree.where(node.t == 0, state.memory, memory)
        sent = tree.add(state.copy, change)
        message = Sized(sent, jnp.where(node.t == 0, 0, bits))
        return message, State(stepped, state.dual, tree.axpy(self.alpha, change, state.copy), sent, memory)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        dual = tree.axpy(self.gamma / 2, tree.sub(state.sent, inbox), state.dual)
        return state._replace(x=tree.sub(state.x, dual), dual=dual), {}

    def model(self, state: State) -> PyTree:
        return state.x
