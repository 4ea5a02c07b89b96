"""MuLoCo: DiLoCo with Muon inside, and compressed changes with error feedback."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
from flax import struct

from jdl import local, tree
from jdl.compressors import Compressor, Identity
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["MuLoCo"]


class State(NamedTuple):
    x: PyTree  # the global model
    b: PyTree  # the outer momentum


class Worker(NamedTuple):
    error: PyTree  # the decayed sum of what compression left out so far
    memory: PyTree  # what the compressor remembers
    opt: PyTree  # state of the inner optimizer


@struct.dataclass
class MuLoCo:
    """MuLoCo, Muon inside DiLoCo: e_k <- a e_k + x - y_k;  q_k = C(e_k);  e_k -= q_k;  x <- Nesterov step along mean q.

    y_k is the result of H local steps of worker k from x, of Muon on matrices and Adam on all other arrays
    (`optax.contrib.muon`). The outer step is that of `DiLoCo`. Without compression, C = Identity, the error stays zero,
    and the method is DiLoCo with optimizer = "muon". With error_decay = 0 there is no error feedback. The authors'
    quantised changes are compressor = `Statistical(2)` or `Uniform(2)`.

    Sends:
      the server sends its model; each worker sends its compressed change.

    Memory:
      2 models on the server; 1 and the optimizer's state on each worker.

    Args:
      compressor: compressor C, from `jdl.compressors`.
      error_decay: decay a of the error; 0 switches error feedback off.
      lr: step size of the inner steps.
      outer_lr: step size of the outer step.
      outer_momentum: decay of the outer momentum, below 1.
      local_steps: number H of inner steps in a round (30 in the paper).
      nesterov: whether the outer momentum is Nesterov's (True) or the heavy ball (False).
      optimizer: inner optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      weighted: whether a worker's weight is its number of examples (True), or all workers weigh the same (False).
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Therien, Huang, Defazio, Rish, Belilovsky 2025, MuLoCo: Muon is a Practical Inner Optimizer for DiLoCo. Order and
      error feedback were read in the authors' code (`quantized_outer_sgd.py`), which also scales a change by the outer
      rate before it is compressed; here the outer step alone does. Defaults are those of their package `muloco`.
    """

    lr: float = number(0.02, minimum=0)
    outer_lr: float = number(0.7, minimum=0)
    outer_momentum: float = number(0.6, minimum=0, maximum=1)
    error_decay: float = number(0.95, minimum=0, maximum=1)
    compressor: Compressor = Identity()
    local_steps: int = static(10, minimum=1)
    nesterov: bool = static(True)
    optimizer: local.Optimizer = static("muon")
    weighted: bool = static(False)
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return State(params, tree.zeros_like(params))

    def client_init(self, params: PyTree, node: Node) -> Worker:
        opt = local.transform(self.optimizer).init(params)
        return Worker(tree.zeros_like(params), self.compressor.init(params), opt)

    def broadcast(self, server_state: State) -> Message:
        return server_state.x

    def client(self, broadcast: Message, client_state: Worker, node: Node) -> tuple[Message, Worker]:
        lr = local.rate(self.lr, self.decay, node.t)
        y, opt = local.local_steps(broadcast, client_state.opt, node, lr, self.local_steps, self.optimizer)
        whole = tree.axpy(self.error_decay, client_state.error, tree.sub(broadcast, y))
        sent, memory, bits = self.compressor(client_state.memory, whole, node.key)
        return Sized(sent, bits), Worker(tree.sub(whole, sent), memory, opt)

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        b = tree.axpy(self.outer_momentum, server_state.b, aggregate)
        step = tree.axpy(self.outer_momentum, b, aggregate) if self.nesterov else b
        return State(tree.axpy(-self.outer_lr, step, server_state.x), b)

    def model(self, server_state: State) -> PyTree:
        return server_state.x
