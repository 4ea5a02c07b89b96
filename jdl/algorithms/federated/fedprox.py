"""Federated averaging with a proximal term."""

from __future__ import annotations

from typing import ClassVar

import jax
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, State, number, static

__all__ = ["FedProx"]


@struct.dataclass
class FedProx:
    """FedProx, local steps held back to the server's model: y <- y - lr (g_k(y) + mu (y - x));  x <- sum_k p_k y_k.

    Each client works on f_k(y) + mu ||y - x||^2 / 2, with H steps from y = x, or as many as its budget permits. The
    larger mu, the less the clients drift apart, and the slower they move. With mu = 0 it is `FedAvg`. The bias stays:
    with many local steps on quadratics, its fixed point is x = sum_k p_k (A_k + mu I)^-1 (b_k + mu x), not the optimum.

    Sends:
      the server sends its model to m clients; each client returns its change of the model.

    Memory:
      1 model in total, and m during a round.

    Args:
      lr: step size of the clients' steps, stable below 2 / (L + mu).
      server_lr: factor on the mean change of the clients.
      mu: weight of the proximal term.
      local_steps: number H of gradient steps of each client in a round.
      weighted: whether a client's weight is its number of examples (True), or all clients weigh the same (False).
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith 2020, Federated Optimization in Heterogeneous Networks, Algorithm 2
      (which samples clients by p_k and weighs all sampled ones the same: `weighted=False` under such a schedule).
    """

    lr: float = number(0.1, minimum=0)
    server_lr: float = number(1.0, minimum=0)
    mu: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)
    weighted: bool = static(True)
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
        def gradient(y: PyTree, k: jax.Array) -> PyTree:
            return tree.axpy(self.mu, tree.sub(y, broadcast), node.grad(y, k)[0])

        lr = local.rate(self.lr, self.decay, node.t)
        start = local.transform("sgd").init(broadcast)
        y, _ = local.local_steps(broadcast, start, node, lr, self.local_steps, gradient=gradient)
        return tree.sub(y, broadcast), client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        return tree.axpy(self.server_lr, aggregate, server_state)

    def model(self, server_state: State) -> PyTree:
        return server_state
