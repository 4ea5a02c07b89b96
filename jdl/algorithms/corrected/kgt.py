"""K-GT: gradient tracking with local steps."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["KGT"]


class State(NamedTuple):
    x: PyTree  # the model; between send and recv, the message that was sent
    c: PyTree  # the correction: approximately the mean gradient minus the node's own; sums to zero over nodes
    z: PyTree  # the mean corrected gradient of the round's local steps, from send to recv


@struct.dataclass
class KGT:
    """K-GT, tracking with H local steps: y = x, H times y <- y - lr (g(y) + c);  x <- W (x + server_lr (y - x)).

    Then c <- c - z + W z, where z = (x - y) / (H lr) is the mean direction of the round, and c_0 = 0. The method is
    exact under heterogeneity, unlike `DPSGD` with local steps. With H = 1 it is `GradientTracking`, for any W; on the
    complete graph it is SCAFFOLD with all clients. The paper's analysis starts at c = mean(g) - g, and permits c = 0.

    Sends:
      model and mean direction, together, once a round.

    Memory:
      3 models per node.

    Args:
      lr: step size of the local steps.
      server_lr: factor on the change x - y that is sent.
      local_steps: number H of gradient steps before each exchange; a node with a smaller budget averages over the steps
        that it takes.

    References:
      Liu, Lin, Koloskova, Stich 2024, Decentralized Gradient Tracking with Local Steps, Algorithm 1 (read in public
      code of others).
    """

    lr: float = number(0.1, minimum=0)
    server_lr: float = number(1.0, minimum=0)
    local_steps: int = static(5, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        corrected = lambda x, k: tree.add(node.grad(x, k)[0], state.c)
        start = tree.zeros_like(state.x)
        y, total = local.local_steps(state.x, start, node, self.lr, self.local_steps, local.SUMMED, corrected)
        done = jnp.maximum(local.steps_done(node, self.local_steps), 1)
        z = jax.tree.map(lambda total: total / done.astype(total.dtype), total)
        x = tree.axpy(self.server_lr, tree.sub(y, state.x), state.x)
        return {"x": x, "z": z}, state._replace(z=z)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        c = tree.add(state.c, tree.sub(inbox["z"], state.z))
        return state._replace(x=inbox["x"], c=c), {}

    def model(self, state: State) -> PyTree:
        return state.x
