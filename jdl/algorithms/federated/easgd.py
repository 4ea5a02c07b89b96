"""Elastic averaging SGD."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, State, number, static

__all__ = ["EASGD"]


@struct.dataclass
class EASGD:
    """Elastic averaging: x_i <- x_i - lr g_i(x_i) - pull (x_i - z);  z <- z + moving_rate mean_i(x_i - z).

    Every client has a model of its own, and an elastic force ties it to the centre z, which the server holds and which
    is evaluated. With moving_rate = n pull, the symmetric choice, it is `DGD` over n + 1 nodes, of which the centre has
    no data. Where m of n clients take part, z moves by m/n of the mean, so that this equivalence holds for each client.
    With H local steps from x_i, the force acts once, at the model with which the round began.

    Sends:
      the server sends its centre to m clients; each client returns the difference between its model and the centre.

    Memory:
      1 model on each client, and 1 on the server.

    Args:
      lr: step size of the clients' steps.
      pull: fraction of the way to the centre that a client moves in a round, alpha in the paper.
      moving_rate: fraction of the way to the clients' mean that the centre moves in a round, beta in the paper.
      local_steps: number H of gradient steps of each client in a round, tau in the paper.

    References:
      Zhang, Choromanska, LeCun 2015, Deep Learning with Elastic Averaging SGD, equations 2 and 3 (synchronous),
      Algorithm 1 for H; alpha and beta are two parameters there as well (from memory).
    """

    lr: float = number(0.1, minimum=0)
    pull: float = number(0.05, minimum=0, maximum=1)
    moving_rate: float = number(0.9, minimum=0)
    local_steps: int = static(5, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return params

    def client_init(self, params: PyTree, node: Node) -> State:
        return params

    def broadcast(self, server_state: State) -> Message:
        return server_state

    def client(self, broadcast: Message, client_state: State, node: Node) -> tuple[Message, State]:
        apart = tree.sub(client_state, broadcast)
        plain = local.transform("sgd").init(client_state)
        stepped, _ = local.local_steps(client_state, plain, node, self.lr, self.local_steps)
        return apart, tree.axpy(-self.pull, apart, stepped)

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones(())

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        return tree.axpy(self.moving_rate * info["participation"], aggregate, server_state)

    def model(self, server_state: State) -> PyTree:
        return server_state
