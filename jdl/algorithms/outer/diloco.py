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
    # The outer momentum: the sum of past outer gradients, decayed by `outer_momentum` every round; or the state of
    # `outer_optimizer`.
    b: PyTree


@struct.dataclass
class DiLoCo:
    """DiLoCo, outer Nesterov on local steps: D = x - mean_k y_k;  b <- mu b + D;  x <- x - outer_lr (D + mu b).

    y_k is the result of H local steps of worker k from x. Each worker keeps the state of its optimizer from round to
    round. The outer step is Nesterov's method in PyTorch's form, with D as the gradient. Without `nesterov` it is the
    heavy ball x <- x - outer_lr b, which is `SlowMo` at a constant step size. With outer_lr = 1 and outer_momentum = 0
    it is `FedAvg` (whose optimizer starts anew every round); with one worker and outer_momentum = 0 it is Lookahead.
    Any optax transform T can take the place of the outer momentum: x <- x - outer_lr T(D). Where data differ the fixed
    point is that of FedAvg, biased by O(lr H). The fp16 all-reduce of OpenDiLoCo is
    `jdl.compressors.HalfPrecision("float16")`.

    Sends:
      the server sends its model to the workers; each worker returns its change of the model.

    Memory:
      2 models on the server; the optimizer's state on each worker.

    Args:
      lr: step size of the inner steps.
      outer_lr: step size of the outer step.
      outer_momentum: decay mu of the outer momentum, below 1.
      nesterov: whether the outer momentum is Nesterov's (True) or the heavy ball (False).
      local_steps: number H of inner steps in a round (500 in the paper).
      optimizer: inner optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      weighted: whether a worker's weight is its number of examples (True), or all workers weigh the same (False).
      decay: function of the round t that returns a factor on lr, or None for a constant lr.
      outer_optimizer: outer optimizer T in place of the outer momentum, a name or a transform like `optimizer`; None
        for the momentum of `outer_momentum` and `nesterov`.

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
    outer_optimizer: local.Optimizer | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        outer = self.outer_optimizer
        return State(params, tree.zeros_like(params) if outer is None else local.transform(outer).init(params))

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return local.transform(self.optimizer).init(params)

    def broadcast(self, server_state: State) -> Message:
        return server_state.x

    def client(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        lr = local.rate(self.lr, self.decay, node.t)
        y, opt = local.local_steps(broadcast, client_state, node, lr, self.local_steps, self.optimizer)
        return tree.sub(y, broadcast), opt

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        D = tree.scale(-1, aggregate)
        if self.outer_optimizer is not None:
            step, b = local.transform(self.outer_optimizer).update(D, server_state.b, server_state.x)
            return State(tree.axpy(-self.outer_lr, step, server_state.x), b)
        b = tree.axpy(self.outer_momentum, server_state.b, D)
        step = tree.axpy(self.outer_momentum, b, D) if self.nesterov else b
        return State(tree.axpy(-self.outer_lr, step, server_state.x), b)

    def model(self, server_state: State) -> PyTree:
        return server_state.x
