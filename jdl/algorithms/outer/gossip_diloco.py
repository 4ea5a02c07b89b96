"""NoLoCo: DiLoCo whose outer step averages over a few peers instead of all workers."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["GossipDiLoCo"]


class State(NamedTuple):
    x: PyTree  # the slow model, at which local steps begin
    m: PyTree  # the outer momentum, which is the last outer step
    opt: PyTree  # state of the inner optimizer, never sent


@struct.dataclass
class GossipDiLoCo:
    """NoLoCo, gossip DiLoCo: m_i <- mu m_i + outer_lr sum_j W_ij (y_j - x_j) + pull sum_j W_ij (x_j - x_i);  x += m.

    y_i is the result of H local steps from the node's slow model x_i. A node waits only for its peers of the round. The
    method is made for `jdl.schedule.Matching`, which gives every node a random partner, and is correct over any
    row-stochastic W. The last term, which the authors add to Nesterov's method, pulls the slow models together. With
    W = J and equal starts, or with one node, it is `DiLoCo` with the heavy ball. Over random pairs and without
    gradients, E sum_i ||x_i - mean||^2 tends to zero if and only if pull < 2 (1 - mu^2) / (1 - mu / (n - 1)), for even
    n: 1.5 for mu = 0.5, but 0.38 for mu = 0.9 and many nodes.

    Sends:
      the slow model and its change by the local steps, once a round.

    Memory:
      2 models per node, and the optimizer's state.

    Args:
      pull: factor on the difference to the peers' slow models.
      outer_lr: factor on the mean change.
      outer_momentum: decay mu of the outer momentum, below 1.
      lr: step size of the inner steps.
      local_steps: number H of inner steps in a round.
      optimizer: inner optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Kolehmainen, Blagoev, Donaghy, Ersoy, Nies 2025, NoLoCo: No-all-reduce Low Communication Training Method for Large
      Models; the step is that of the first author's code (`sparse_optimizer_c.py`), where pull = outer_lr.
    """

    lr: float = number(0.01, minimum=0)
    outer_lr: float = number(0.7, minimum=0)
    outer_momentum: float = number(0.5, minimum=0, maximum=1)
    pull: float = number(0.7, minimum=0)
    local_steps: int = static(10, minimum=1)
    optimizer: local.Optimizer = static("adamw")
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, tree.zeros_like(params), local.transform(self.optimizer).init(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        lr = local.rate(self.lr, self.decay, node.t)
        y, opt = local.local_steps(state.x, state.opt, node, lr, self.local_steps, self.optimizer)
        return {"x": state.x, "change": tree.sub(y, state.x)}, state._replace(opt=opt)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        step = tree.axpy(self.pull, tree.sub(inbox["x"], state.x), tree.scale(self.outer_lr, inbox["change"]))
        m = tree.axpy(self.outer_momentum, state.m, step)
        return state._replace(x=tree.add(state.x, m), m=m), {}

    def model(self, state: State) -> PyTree:
        return state.x
