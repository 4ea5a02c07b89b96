"""Training on each node alone: the baseline without communication."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import local
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["LocalOnly"]


class State(NamedTuple):
    x: PyTree  # the model
    opt: PyTree  # state of the optimizer


@struct.dataclass
class LocalOnly:
    """Local-only training, no communication: x_i <- x_i - lr g_i(x_i).

    It measures what a node can learn from its own data alone. With one node that holds all data, it is the centralised
    reference.

    Sends:
      nothing.

    Memory:
      1 model per node, and the optimizer's state.

    Args:
      lr: step size of the local steps.
      local_steps: number H of gradient steps in a round.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Vogels, Hendrikx, Jaggi 2022, Beyond Spectral Gap, where it is the baseline "alone" of every table.
    """

    lr: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)
    optimizer: local.Optimizer = static("sgd")
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, local.transform(self.optimizer).init(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        lr = local.rate(self.lr, self.decay, node.t)
        return (), State(*local.local_steps(state.x, state.opt, node, lr, self.local_steps, self.optimizer))

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state, {}

    def model(self, state: State) -> PyTree:
        return state.x
