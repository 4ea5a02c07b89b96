"""Federated averaging."""

from __future__ import annotations

from typing import ClassVar

import jax
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, State, number, static

__all__ = ["FedAvg"]


@struct.dataclass
class FedAvg:
    """FedAvg: y_k = H local steps from x on each of m sampled clients;  x <- x + server_lr sum_k p_k (y_k - x).

    p_k = n_k / sum of n over the sampled clients (`weighted`), or 1/m. With server_lr = 1 the new model is the weighted
    mean of the clients' models. The server holds one model; clients keep nothing between rounds.

    Sends:
      the server sends its model to m clients; each client returns its change of the model. The cost is proportional to
      m.

    Memory:
      1 model in total, and m during a round.

    Args:
      lr: step size of the clients' steps.
      server_lr: factor on the mean change of the clients.
      local_steps: number H of gradient steps of each client in a round.
      weighted: whether a client's weight is its number of examples (True), or all clients weigh the same (False).
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate; its
        state starts anew in every round.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      McMahan, Moore, Ramage, Hampson, Aguera y Arcas 2017, Communication-Efficient Learning of Deep Networks from
      Decentralized Data, Algorithm 1.
    """

    lr: float = number(0.1, minimum=0)
    server_lr: float = number(1.0, minimum=0)
    local_steps: int = static(1, minimum=1)
    weighted: bool = static(True)
    optimizer: local.Optimizer = static("sgd")
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return params

    def client_init(self, params: PyTree, node: Node) -> State:
        return ()

    def broadcast(self, server_state: State) -> Message:
        return server_state

    def client(self, broadcast: Message, client_state: State, node: Node) -> tuple[Message, State]:
        lr = local.rate(self.lr, self.decay, node.t)
        start = local.transform(self.optimizer).init(broadcast)
        y, _ = local.local_steps(broadcast, start, node, lr, self.local_steps, self.optimizer)
        return tree.sub(y, broadcast), client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        return tree.axpy(self.server_lr, aggregate, server_state)

    def model(self, server_state: State) -> PyTree:
        return server_state
