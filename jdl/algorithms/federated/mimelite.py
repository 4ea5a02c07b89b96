"""MimeLite: clients step with the server's momentum, which is constant during the local steps."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
from flax import struct

from jdl import local, tree
from jdl.types import FULL, Info, Message, Node, PyTree, number, static

__all__ = ["MimeLite"]


class State(NamedTuple):
    x: PyTree  # the server's model
    m: PyTree  # the momentum: running mean of full gradients at the server's models


class Work(NamedTuple):
    change: PyTree  # of the model, by local steps
    gradient: PyTree  # over all data of the client, at the server's model


@struct.dataclass
class MimeLite:
    """MimeLite, local steps with the server's momentum: y <- y - lr ((1 - momentum) g_i(y) + momentum m).

    m is constant during the H local steps of the m sampled clients. Then x <- x + server_lr sum_k p_k (y_k - x) and
    m <- (1 - momentum) sum_k p_k grad f_k(x) + momentum m, at the x that the server sent, with m_0 = 0. So the data of
    a single client do not change its momentum during its steps, and clients keep nothing. The base method here is SGD
    with momentum; without momentum it is `FedAvg`. With H = 1, all clients and no noise it is heavy-ball gradient
    descent. Client drift is reduced, not removed: for H > 1 the method stays biased, unlike `Scaffold` (or Mime, which
    also has control variates).

    Sends:
      the server sends its model and momentum to m clients; each client returns its change of the model and its
      gradient: twice FedAvg.

    Memory:
      2 models on the server, none on clients between rounds. Each round makes one more pass over the clients' data.

    Args:
      lr: step size of the clients' steps.
      server_lr: factor on the mean change of the clients.
      momentum: decay of the momentum m, and its weight in every step.
      local_steps: number H of gradient steps of each client in a round.
      weighted: whether a client's weight is its number of examples (True), or all clients weigh the same, as in the
        paper (False).

    References:
      Karimireddy, Jaggi, Kale, Mohri, Reddi, Stich, Suresh 2020, Mime: Mimicking Centralized Stochastic Algorithms in
      Federated Learning, Algorithm 1 without control variates; the order was checked against fedjax, the scale (1 -
      momentum) of the gradient is from memory of the paper (in fedjax it is optax's, 1).
    """

    lr: float = number(0.1, minimum=0)
    server_lr: float = number(1.0, minimum=0)
    momentum: float = number(0.9, minimum=0, maximum=1)
    local_steps: int = static(1, minimum=1)
    weighted: bool = static(True)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad", "full"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return State(params, tree.zeros_like(params))

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return ()

    def broadcast(self, server_state: State) -> Message:
        return server_state

    def client(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        x, m = broadcast

        def gradient(y: PyTree, k: jax.Array) -> PyTree:
            return self._mean(node.grad(y, k)[0], m)

        start = local.transform("sgd").init(x)
        y, _ = local.local_steps(x, start, node, self.lr, self.local_steps, gradient=gradient)
        return Work(tree.sub(y, x), node.grad(x, FULL)[0]), client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        x = tree.axpy(self.server_lr, aggregate.change, server_state.x)
        return State(x, self._mean(aggregate.gradient, server_state.m))

    def model(self, server_state: State) -> PyTree:
        return server_state.x

    def _mean(self, g: PyTree, m: PyTree) -> PyTree:
        return tree.add(tree.scale(1 - self.momentum, g), tree.scale(self.momentum, m))
