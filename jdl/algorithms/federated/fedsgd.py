"""Federated SGD: one full gradient of every client a round."""

from __future__ import annotations

from typing import ClassVar

import jax
from flax import struct

from jdl import local, tree
from jdl.types import FULL, Info, Message, Node, PyTree, State, number, static

__all__ = ["FedSGD"]


@struct.dataclass
class FedSGD:
    """FedSGD, one gradient over all data of each of m sampled clients: x <- x - lr sum_k p_k grad f_k(x).

    p_k = n_k / sum of n over the sampled clients (`weighted`), or 1/m. With all clients, weighted, it is gradient
    descent on the pooled data. It is `FedAvg` with one local step whose minibatch is all data of the client.

    Sends:
      the server sends its model to m clients; each client returns its gradient. The cost is proportional to m.

    Memory:
      1 model in total, and m during a round.

    Args:
      lr: step size of the server's step.
      weighted: whether a client's weight is its number of examples (True), or all clients weigh the same (False).
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      McMahan, Moore, Ramage, Hampson, Aguera y Arcas 2017, Communication-Efficient Learning of Deep Networks from
      Decentralized Data, section 2.
    """

    lr: float = number(0.1, minimum=0)
    weighted: bool = static(True)
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "full"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    def init(self, params: PyTree, n: int) -> State:
        return params

    def client_init(self, params: PyTree, node: Node) -> State:
        return ()

    def broadcast(self, server_state: State) -> Message:
        return server_state

    def client(self, broadcast: Message, client_state: State, node: Node) -> tuple[Message, State]:
        return node.grad(broadcast, FULL)[0], client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        return tree.axpy(-local.rate(self.lr, self.decay, info["t"]), aggregate, server_state)

    def model(self, server_state: State) -> PyTree:
        return server_state
