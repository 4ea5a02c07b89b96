"""DiLoCoX: compressed outer gradients that arrive one round late."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
from flax import struct

from jdl import local, tree
from jdl.compressors import Compressor, TopK
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["DiLoCoX"]


class State(NamedTuple):
    x: PyTree  # the global model
    b: PyTree  # the outer momentum
    pending: PyTree  # the mean change that was sent in the last round, applied in this one


class Worker(NamedTuple):
    error: PyTree  # the sum of what compression left out so far
    memory: PyTree  # what the compressor remembers
    opt: PyTree  # state of the inner optimizer


@struct.dataclass
class DiLoCoX:
    """DiLoCoX, late and compressed: D(t) = mean_k C(x - y_k + e_k), e_k its error;  x <- outer step along D(t-1).

    y_k is the result of H local steps of worker k from x. Meanwhile the changes of the previous round travel, and the
    outer step, which is that of `DiLoCo`, uses those. The error e_k of the compressor C is added to the next message,
    e_k <- e_k + x - y_k - C(.). Without `overlap` the step uses the changes of its own round, and with C = Identity the
    method is then DiLoCo. With `overlap` the outer gradients are one step old, and stability needs a smaller outer
    step.

    The authors' C is low-rank followed by 4 bits a number, with a rank that adapts; here it is any of
    `jdl.compressors`. Their pipeline parallelism is not modelled.

    Sends:
      the server sends its model; each worker sends its compressed change.

    Memory:
      3 models on the server; 1 and the optimizer's state on each worker.

    Args:
      compressor: compressor C, from `jdl.compressors`.
      overlap: whether changes arrive one round late.
      lr: step size of the inner steps.
      outer_lr: step size of the outer step.
      outer_momentum: decay of the outer momentum, below 1.
      local_steps: number H of inner steps in a round.
      nesterov: whether the outer momentum is Nesterov's (True) or the heavy ball (False).
      optimizer: inner optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      weighted: whether a worker's weight is its number of examples (True), or all workers weigh the same (False).
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Qi, Zhu, Li, Wu, Wu, He, Gao, Zeng, Heinrich 2025, DiLoCoX: A Low-Communication Large-Scale Training Framework for
      Decentralized Cluster; the paper's text was not at hand: the order of delay and step is our choice.
    """

    lr: float = number(0.01, minimum=0)
    outer_lr: float = number(0.4, minimum=0)
    outer_momentum: float = number(0.5, minimum=0, maximum=1)
    compressor: Compressor = TopK(0.1)
    local_steps: int = static(10, minimum=1)
    overlap: bool = static(True)
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
        zero = tree.zeros_like(params)
        return State(params, zero, zero)

    def client_init(self, params: PyTree, node: Node) -> Worker:
        opt = local.transform(self.optimizer).init(params)
        return Worker(tree.zeros_like(params), self.compressor.init(params), opt)

    def broadcast(self, server_state: State) -> Message:
        return server_state.x

    def client(self, broadcast: Message, client_state: Worker, node: Node) -> tuple[Message, Worker]:
        lr = local.rate(self.lr, self.decay, node.t)
        y, opt = local.local_steps(broadcast, client_state.opt, node, lr, self.local_steps, self.optimizer)
        whole = tree.add(client_state.error, tree.sub(y, broadcast))
        sent, memory, bits = self.compressor(client_state.memory, whole, node.key)
        return Sized(sent, bits), Worker(tree.sub(whole, sent), memory, opt)

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        D = tree.scale(-1, server_state.pending if self.overlap else aggregate)
        b = tree.axpy(self.outer_momentum, server_state.b, D)
        step = tree.axpy(self.outer_momentum, b, D) if self.nesterov else b
        return State(tree.axpy(-self.outer_lr, step, server_state.x), b, aggregate)

    def model(self, server_state: State) -> PyTree:
        return server_state.x
