"""Federated averaging with momentum on the server."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["FedAvgM"]


class State(NamedTuple):
    x: PyTree  # the server's model
    v: PyTree  # momentum: decayed sum of the clients' mean changes


@struct.dataclass
class FedAvgM:
    """FedAvgM, FedAvg with momentum on the server: v <- momentum v + sum_k p_k (y_k - x);  x <- x + server_lr v.

    y_k is the result of H local steps from x on each of m sampled clients, and v_0 = 0. Without momentum it is
    `FedAvg`. With H = 1 and all clients it is heavy-ball gradient descent with step size server_lr lr. In the long run
    a change moves the model by server_lr / (1 - momentum) times itself. It is biased like FedAvg where clients differ
    and H > 1.

    Sends:
      the server sends its model to m clients; each client returns its change of the model.

    Memory:
      2 models on the server, none on clients between rounds.

    Args:
      lr: step size of the clients' steps.
      server_lr: factor on the momentum.
      momentum: decay of the momentum v.
      local_steps: number H of gradient steps of each client in a round.
      weighted: whether a client's weight is its number of examples (True), or all clients weigh the same (False).
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Hsu, Qi, Brown 2019, Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification,
      section 4.3.
    """

    lr: float = number(0.1, minimum=0)
    server_lr: float = number(1.0, minimum=0)
    momentum: float = number(0.9, minimum=0, maximum=1)
    local_steps: int = static(1, minimum=1)
    weighted: bool = static(True)
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return State(params, tree.zeros_like(params))

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return ()

    def broadcast(self, server_state: State) -> Message:
        return server_state.x

    def client(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        lr = local.rate(self.lr, self.decay, node.t)
        start = local.transform("sgd").init(broadcast)
        y, _ = local.local_steps(broadcast, start, node, lr, self.local_steps)
        return tree.sub(y, broadcast), client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        v = tree.axpy(self.momentum, server_state.v, aggregate)
        return State(tree.axpy(self.server_lr, v, server_state.x), v)

    def model(self, server_state: State) -> PyTree:
        return server_state.x
