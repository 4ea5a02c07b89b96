"""DiLoCo with eager updates: the own change at once, those of others a round later."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["EagerDiLoCo"]


class State(NamedTuple):
    x: PyTree  # the own copy of the model
    b: PyTree  # its outer momentum
    others: PyTree  # what others sent in the last round, weighted; between send and recv, minus the own part
    opt: PyTree  # state of the inner optimizer, local


@struct.dataclass
class EagerDiLoCo:
    """Eager DiLoCo, others one round late: x_i <- outer step by W_ii D_i(t) + sum_{j != i} W_ij D_j(t-1),  D = x - y.

    y_i are H local steps from the own copy x_i. A node need not wait for the others: their changes of one round travel
    while the next one trains. The outer step is `DiLoCo`'s, on every node's own copy, with its own momentum. With one
    node it is DiLoCo; equal nodes stay equal. Models are never averaged, only changes are: made for the complete graph
    (W_ij = 1/n), where copies differ by what is still under way. On sparse graphs they drift apart, and diverge where W
    has negative eigenvalues. Old changes want smaller outer steps than DiLoCo's: the defaults differ.

    Sends:
      the change of its local steps, once a round; it is used one round later.

    Memory:
      3 models per node, and the optimizer's state.

    Args: as in `DiLoCo`.

    References:
      Kale, Douillard, Donchev 2025, Eager Updates for Overlapped Communication and Computation in DiLoCo; the paper's
      own text was not at hand, and summaries differ: others weigh own and late parts freely.
    """

    lr: float = number(0.01, minimum=0)
    outer_lr: float = number(0.4, minimum=0)
    outer_momentum: float = number(0.3, minimum=0, maximum=1)
    local_steps: int = static(10, minimum=1)
    nesterov: bool = static(True)
    optimizer: local.Optimizer = static("adamw")
    decay: local.Decay | None = static(None)

    # "reliable": a lost change would be made up for with the own one, which is taken out below as if it were not.
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
