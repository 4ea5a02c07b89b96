"""DiLoCo: many local steps, then an outer step of Nesterov's method."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["DiLoCo"]


class State(NamedTuple):
    x: PyTree  # the global model
    b: PyTree  # the outer momentum: past outer gradients, each older one worth `outer_momentum` times the next


@struct.dataclass
class DiLoCo:
    """DiLoCo, outer Nesterov on local steps: D = x - mean_k y_k;  b <- mu b + D;  x <- x - outer_lr (D + mu b).

    y_k are H local steps of worker k from x; what its optimizer remembers stays with it from round to round. The outer
    step is Nesterov's method in PyTorch's form, D playing the gradient; without `nesterov` it is x <- x - outer_lr b,
    the heavy ball, which is `SlowMo` at a constant rate. With outer_lr = 1 and outer_momentum = 0 it is `FedAvg`
    (whose optimizer starts afresh); with one worker and outer_momentum = 0 it is Lookahead. Where data differ the fixed
    point is FedAvg's, biased by O(lr H). The fp16 all-reduce of OpenDiLoCo is `jdl.exchange.narrow("float16")`.

    Sends:
      the server its model to the workers, each of them its change of it.

    Memory:
      2 models on the server; on each worker the state of its optimizer.

    Args:
      lr: rate of the inner steps.
      outer_lr: of the outer step.
      outer_momentum: mu, below 1.
      nesterov: or heavy ball.
      local_steps: inner steps a round, H (500 in the paper).
      optimizer: the inner one, a name in `jdl.local.OPTIMIZERS` or an optax transform without its rate.
      weighted: whether a worker counts by its number of examples, or all alike.
      decay: t -> factor on lr, or None.

    References:
      Douillard, Feng, Rusu, Chhaparia, Donchev, Kuncoro, Ranzato, Szlam, Shen 2023, DiLoCo: Distributed
      Low-Communication Training of Language Models, Algorithm 1; Jaghouar, Ong, Hagemann 2024, OpenDiLoCo; Zhang,
      Lucas, Hinton, Ba 2019, Lookahead Optimizer: k steps forward, 1 step back.
    """

    lr: float = number(0.01, minimum=0)
    outer_lr: float = number(0.7, minimum=0)
    outer_momentum: float = number(0.9, minimum=0, maximum=1)
    local_steps: int = static(10, minimum=1)
    nesterov: bool = static(True)
    optimizer: local.Optimizer = static("adamw")
    weighted: bool = static(False)
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return State(params, tree.zeros_like(params))

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return local.transform(self.optimizer).init(params)

    def broadcast(self, server_state: State) -> Message:
        return server_state.x

    def client(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree, Info]:
        lr = local.rate(self.lr, self.decay, node.t)
        y, opt = local.local_steps(broadcast, client_state, node, lr, self.local_steps, self.optimizer)
        return tree.sub(y, broadcast), opt, {}

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        D = tree.scale(-1, aggregate)
        b = tree.axpy(self.outer_momentum, server_state.b, D)
        step = tree.axpy(self.outer_momentum, b, D) if self.nesterov else b
        return State(tree.axpy(-self.outer_lr, step, server_state.x), b)

    def model(self, server_state: State) -> PyTree:
        return server_state.x
