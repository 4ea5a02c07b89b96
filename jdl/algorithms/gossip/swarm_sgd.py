"""SwarmSGD: local SGD between random meetings of two nodes."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["SwarmSGD"]


class State(NamedTuple):
    x: PyTree  # the model


@struct.dataclass
class SwarmSGD:
    """SwarmSGD: two nodes that meet take H local steps each, x_i <- x_i - lr g_i(x_i), then both the mean of the two.

    The schedule decides who meets: `jdl.schedule.Pairwise` lets one pair meet a round while all others sleep, as in the
    paper; with `jdl.schedule.Matching` every node meets another. H is fixed, or geometric with mean H, as when nodes
    meet at random times. With a fixed H, any other plan gives `DPSGD`; so do two nodes with H = 1. The paper's
    non-blocking and quantised meetings are not part of this method; they are exchanges of stale and of compressed
    messages.

    Sends:
      the model after the local steps, once a round.

    Memory:
      1 model per node.

    Args:
      lr: step size of the local steps.
      local_steps: number H of gradient steps before a meeting, or its mean with `geometric`.
      geometric: whether the number of steps is drawn anew for each meeting from a geometric distribution on 1, 2, ...

    References:
      Nadiradze, Sabour, Davies, Li, Alistarh 2021, Asynchronous Decentralized SGD with Quantized and Local Updates,
      Algorithm 1 (blocking; number from memory).
    """

    lr: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)
    geometric: bool = static(False)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int | None:
        return None if self.geometric else self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        return State(params)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        if not self.geometric:
            plain = local.transform("sgd").init(state.x)
            return local.local_steps(state.x, plain, node, self.lr, self.local_steps)[0], state
        steps = jax.random.geometric(node.key, 1 / self.local_steps, dtype=jnp.int32)
        steps = steps if node.steps is None else jnp.minimum(steps, node.steps)
        step = lambda k, x: tree.axpy(-self.lr, node.grad(x, k)[0], x)
        return jax.lax.fori_loop(0, steps, step, state.x), state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return State(inbox), {}

    def model(self, state: State) -> PyTree:
        return state.x
