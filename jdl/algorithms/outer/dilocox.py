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
    error: PyTree  # what compression has withheld so far
    opt: PyTree  # state of the inner optimizer


@struct.dataclass
class DiLoCoX:
    """DiLoCoX, late and compressed: D(t) = mean_k C(x - y_k + e_k), e_k the rest;  x <- outer step by D(t-1).

    y_k are H local steps of worker k from x. While they are taken, the changes of the round before are on their way,
    and the outer step, `DiLoCo`'s, uses those. What the compressor C leaves out is added to the next message, e_k <-
    e_k + x - y_k - C(.). Without `overlap` the step uses what was just sent, and with C = Identity it is then DiLoCo.
    With overlap gradients are one step old, and outer steps must be smaller to be stable.
    The authors' C is low-rank followed by 4 bits a number, of a rank that they adapt; here it is any of
    `jdl.compressors`. Their pipeline parallelism is not modelled.

    Sends:
      the server its model, each worker its compressed change.

    Memory:
      3 models on the server; on each worker 1 and the state of its optimizer.

    Args:
      compressor: C.
      overlap: whether changes arrive one round late.
      lr: as in `DiLoCo`.
      outer_lr: as in `DiLoCo`.
      outer_momentum: as in `DiLoCo`.
      local_steps: as in `DiLoCo`.
      nesterov: as in `DiLoCo`.
      optimizer: as in `DiLoCo`.
      weighted: as in `DiLoCo`.
      decay: as in `DiLoCo`.

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
        return Worker(tree.zeros_like(params), local.transform(self.optimizer).init(params))

    def broadcast(self, server_state: State) -> Message:
        return server_state.x

    def client(self, broadcast: Message, client_state: Worker, node: Node) -> tuple[Message, Worker, Info]:
        lr = local.rate(self.lr, self.decay, node.t)
        y, opt = local.local_steps(broadcast, client_state.opt, node, lr, self.local_steps, self.optimizer)
        whole = tree.add(client_state.error, tree.sub(y, broadcast))
        sent, bits = self.compressor(whole, node.key)
        return Sized(sent, bits), Worker(tree.sub(whole, sent), opt), {}

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        D = tree.scale(-1, server_state.pending if self.overlap else aggregate)
        b = tree.axpy(self.outer_momentum, server_state.b, D)
        step = tree.axpy(self.outer_momentum, b, D) if self.nesterov else b
        return State(tree.axpy(-self.outer_lr, step, server_state.x), b, aggregate)

    def model(self, server_state: State) -> PyTree:
        return server_state.x
