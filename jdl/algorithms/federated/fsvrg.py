"""Federated SVRG."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import FULL, Info, Message, Node, PyTree, Sized, number, static

__all__ = ["FSVRG"]


class State(NamedTuple):
    x: PyTree  # the model
    g: PyTree  # the full gradient at x, between the two exchanges


@struct.dataclass
class FSVRG:
    """FSVRG, variance reduction on every client: y <- y - lr (g_k(y) - g_k(x) + F(x));  x <- x + sum_k p_k (y_k - x).

    F(x) = sum_k p_k F_k(x) is the full gradient over the clients of the round, which a separate exchange collects. Then
    each client takes H local steps from x, with both gradients on the same minibatch. p_k = n_k / sum of n
    (`weighted`), or 1/m. With H = 1 it is gradient descent. The method is exact: at the optimum the two gradients of a
    client cancel, so neither minibatch noise nor heterogeneous data move the model. Without noise it is `FedLin`.

    Two parts of the paper's final variant are left out: the step sizes h / n_k, and the diagonal scalings by how often
    a feature occurs.

    Sends:
      the server sends its model; each client returns its full gradient. Then the server sends the mean gradient; each
      client returns its change of the model.

    Memory:
      2 models on the server.

    Args:
      lr: step size of the clients' steps.
      local_steps: number H of gradient steps of each client in a round.
      weighted: whether a client's weight is its number of examples (True), or all clients weigh the same (False).

    References:
      Konecny, McMahan, Ramage, Richtarik 2016, Federated Optimization: Distributed Machine Learning for On-Device
      Intelligence, Algorithm 3 (from memory).
    """

    lr: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)
    weighted: bool = static(True)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad", "full"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("broadcast_model", "client_gradient", "server_gradient"),
        ("broadcast_gradient", "client_steps", "server_steps"),
    )

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return State(params, tree.zeros_like(params))

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return ()

    def broadcast_model(self, server_state: State) -> Message:
        return server_state.x

    def client_gradient(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        return node.grad(broadcast, FULL)[0], client_state

    def server_gradient(self, server_state: State, aggregate: Message, info: Info) -> State:
        return server_state._replace(g=aggregate)

    def broadcast_gradient(self, server_state: State) -> Message:
        return {"x": Sized(server_state.x, jnp.float32(0)), "g": server_state.g}  # clients have x already

    def client_steps(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        x = broadcast["x"]

        def gradient(y: PyTree, k: jax.Array) -> PyTree:
            return tree.add(tree.sub(node.grad(y, k)[0], node.grad(x, k)[0]), broadcast["g"])

        start = local.transform("sgd").init(x)
        y, _ = local.local_steps(x, start, node, self.lr, self.local_steps, gradient=gradient)
        return tree.sub(y, x), client_state

    def server_steps(self, server_state: State, aggregate: Message, info: Info) -> State:
        return server_state._replace(x=tree.add(server_state.x, aggregate))

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def model(self, server_state: State) -> PyTree:
        return server_state.x
