"""Agnostic federated learning."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.local import proximal
from jdl.types import Each, Info, Message, Node, PyTree, number, static

__all__ = ["AFL"]

SIMPLEX = proximal.operator("simplex")


class State(NamedTuple):
    x: PyTree  # the model
    share: jax.Array  # f[n], lambda: the weight of every client; equal at the start


@struct.dataclass
class AFL:
    """AFL, the best worst case: x <- x + sum_k s_k (y_k - x);  s <- project(s + share_lr F(x)) onto the simplex.

    The method solves min_x max_s sum_k s_k F_k(x), for a model that is good for every mixture of the clients' data. At
    the saddle point all clients with a positive share have the same loss, which is the largest. y_k = x - lr g_k(x) in
    the paper; here it is the result of H local steps. x and s are updated together, from their old values. With
    share_lr = 0 it is `FedAvg` with equal weights. With a sample of m clients, the shares are normalised over the
    sample, and losses are multiplied by n / m.

    Sends:
      the server sends its model; each client sends its change of the model and its loss.

    Memory:
      1 model in total, m during a round, and one number per client.

    Args:
      lr: step size of the clients' steps.
      share_lr: step size of the shares s.
      local_steps: number H of gradient steps of each client in a round.

    References:
      Mohri, Sivek, Suresh 2019, Agnostic Federated Learning, Algorithm 1, Stochastic-AFL (from memory; its running
      means of x and s are left out).
    """

    lr: float = number(0.1, minimum=0)
    share_lr: float = number(0.01, minimum=0)
    local_steps: int = static(1, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad", "loss"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return State(params, jnp.full(n, 1 / n, jnp.result_type(float)))

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return ()

    def broadcast(self, server_state: State) -> Message:
        return server_state.x

    def client(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        start = local.transform("sgd").init(broadcast)
        y, _ = local.local_steps(broadcast, start, node, self.lr, self.local_steps)
        message = {"change": tree.sub(y, broadcast), "loss": Each(node.loss(broadcast))}
        return message, client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return server_state.share[node.id]

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        x, share = server_state
        loss = aggregate["loss"].content.astype(share.dtype)  # zero where it did not arrive
        part = jnp.where(info["participation"] > 0, info["participation"], 1).astype(share.dtype)
        moved = share.at[info["ids"]].add(self.share_lr / part * loss)
        return State(tree.add(x, aggregate["change"]), SIMPLEX(moved, 1.0, jnp.ones((), moved.dtype)))

    def model(self, server_state: State) -> PyTree:
        return server_state.x
