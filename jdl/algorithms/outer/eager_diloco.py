"""DiLoCo with eager updates: a node uses its own change at once and those of the others one round later."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["EagerDiLoCo"]


class State(NamedTuple):
    x: PyTree  # the node's own copy of the model
    b: PyTree  # its outer momentum
    others: PyTree  # the weighted changes of the others in the last round; between send and recv, -W_ii D_i
    opt: PyTree  # state of the inner optimizer, never sent


@struct.dataclass
class EagerDiLoCo:
    """Eager DiLoCo, others a round late: x_i <- outer step along W_ii D_i(t) + sum_{j != i} W_ij D_j(t-1),  D = x - y.

    y_i is the result of H local steps from the node's own copy x_i. A node does not wait for the others: their changes
    of one round travel during the next one. The outer step is that of `DiLoCo`, taken on every node's own copy with its
    own momentum. With one node it is DiLoCo; equal nodes stay equal.

    Only changes are averaged, never models. So the method is made for the complete graph (W_ij = 1/n), where copies
    differ only by the changes that are still travelling. On sparse graphs the copies drift apart, and they diverge
    where W has negative eigenvalues. Late changes need smaller outer steps than DiLoCo, hence the different defaults.

    Sends:
      the change of its local steps, once a round; it is used one round later.

    Memory:
      3 models per node, and the optimizer's state.

    Args:
      lr: step size of the inner steps.
      outer_lr: step size of the outer step.
      outer_momentum: decay of the outer momentum, below 1.
      local_steps: number H of inner steps in a round.
      nesterov: whether the outer momentum is Nesterov's (True) or the heavy ball (False).
      optimizer: inner optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Kale, Douillard, Donchev 2025, Eager Updates for Overlapped Communication and Computation in DiLoCo. The paper's
      text was not at hand, and summaries differ: others weigh own and late parts freely.
    """

    lr: float = number(0.01, minimum=0)
    outer_lr: float = number(0.4, minimum=0)
    outer_momentum: float = number(0.3, minimum=0, maximum=1)
    local_steps: int = static(10, minimum=1)
    nesterov: bool = static(True)
    optimizer: local.Optimizer = static("adamw")
    decay: local.Decay | None = static(None)

    # "reliable": the node's own change replaces a lost one, and `send` subtracts its own change with W_ii alone.
    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "reliable", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero, local.transform(self.optimizer).init(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        lr = local.rate(self.lr, self.decay, node.t)
        y, opt = local.local_steps(state.x, state.opt, node, lr, self.local_steps, self.optimizer)
        D = tree.sub(state.x, y)
        gradient = tree.axpy(node.self_weight, D, state.others)
        b = tree.axpy(self.outer_momentum, state.b, gradient)
        step = tree.axpy(self.outer_momentum, b, gradient) if self.nesterov else b
        return D, State(tree.axpy(-self.outer_lr, step, state.x), b, tree.scale(-node.self_weight, D), opt)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(others=tree.add(state.others, inbox)), {}

    def model(self, state: State) -> PyTree:
        return state.x
