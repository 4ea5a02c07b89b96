"""q-FedAvg: fair federated averaging."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, State, number, static

__all__ = ["QFedAvg"]


@struct.dataclass
class QFedAvg:
    """q-FedAvg, fairness by weights: x <- x - lr sum_k F_k^q d_k / sum_k (F_k^q + lr q F_k^(q-1) ||d_k||^2).

    d_k = (x - y_k) / lr after H local steps from x, and F_k is the loss of client k at x on minibatch 0. The method
    minimises mean_k F_k^(q+1) / (q+1): the larger q, the more the clients with large losses count; with q = 0 it is
    `FedAvg` with equal weights. The denominator bounds the curvature, so that one step size serves all q. Losses must
    be positive: a loss below 1e-10 counts as 1e-10, without its curvature term.

    Sends:
      the server sends its model; each client returns its weighted change and one number.

    Memory:
      1 model in total, and m during a round.

    Args:
      lr: step size of the clients' steps, 1 / L in the paper.
      q: strength of the fairness; 0 weighs all clients the same.
      local_steps: number H of gradient steps of each client in a round.

    References:
      Li, Sanjabi, Beirami, Smith 2020, Fair Resource Allocation in Federated Learning, Algorithm 2; the authors' public
      code, which adds 1e-10 to the loss over all of a client's data.
    """

    lr: float = number(0.1, minimum=0)
    q: float = number(0.2, minimum=0)
    local_steps: int = static(1, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad", "loss"})
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
        start = local.transform("sgd").init(broadcast)
        y, _ = local.local_steps(broadcast, start, node, self.lr, self.local_steps)
        change = tree.sub(y, broadcast)
        loss = node.loss(broadcast)
        q, lr = jnp.asarray(self.q, loss.dtype), jnp.asarray(self.lr, loss.dtype)
        positive = jnp.maximum(loss, jnp.asarray(1e-10, loss.dtype))
        weight = positive**q
        # lr ||d||^2 = ||y - x||^2 / lr, written so that it has its limit zero at lr = 0.
        steep = tree.norm_squared(tree.scale(1 / jnp.where(lr > 0, lr, 1), change)).astype(loss.dtype) * lr
        curvature = jnp.where(loss > 1e-10, q * weight / positive * steep, 0)
        return {"change": tree.scale(weight, change), "size": weight + curvature}, client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones((), jnp.result_type(float))

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        size = aggregate["size"]
        return tree.axpy(1 / jnp.where(size > 0, size, 1), aggregate["change"], server_state)

    def model(self, server_state: State) -> PyTree:
        return server_state
