"""Distributionally robust federated averaging."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.local import proximal
from jdl.types import Each, Info, Message, Node, PyTree, number, static

__all__ = ["DRFA"]

SIMPLEX = proximal.operator("simplex")


class State(NamedTuple):
    x: PyTree  # the model
    snapshot: PyTree  # the mean of the clients' models inside the round, at which clients evaluate their losses
    share: jax.Array  # f[n], lambda: the weight of every client; equal at the start


@struct.dataclass
class DRFA:
    """DRFA, the best worst case with rare exchanges: FedAvg by shares s;  s <- project(s + share_lr H F(snapshot)).

    The method solves min_x max_s sum_k s_k F_k(x) over the simplex, like `AFL`, with H local steps a round. The
    snapshot is the mean model after a random number of local steps from 1 to H, which all clients share, so that the
    shares depend on models inside a round without further exchanges.

    The paper samples clients by s. Here they are a uniform sample, weighted by s and normalised, as in the authors'
    code: the same with all clients, and in expectation over samples up to the normalisation. The losses are those of
    the same m clients, times n / m, where the paper draws a second sample. With share_lr = 0 it is `FedAvg` with equal
    weights.

    Sends:
      the server sends its model; each client returns its change at the end and at the snapshot. Then the server sends
      the snapshot; each client returns its loss.

    Memory:
      2 models in total, 2 m during a round, and one number per client.

    Args:
      lr: step size of the clients' steps.
      share_lr: step size of the shares s.
      local_steps: number H of gradient steps of each client in a round.

    References:
      Deng, Kamani, Mahdavi 2020, Distributionally Robust Federated Averaging, Algorithm 1 (from memory); the authors'
      public code (FedTorch), which also shrinks share_lr and keeps shares above 0.001.
    """

    lr: float = number(0.1, minimum=0)
    share_lr: float = number(0.01, minimum=0)
    local_steps: int = static(5, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad", "loss"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("broadcast_model", "client_steps", "server_steps"),
        ("broadcast_snapshot", "client_loss", "server_shares"),
    )

    @property
    def draws_per_round(self) -> int:
        return self.local_steps + 1  # one more, since the loss has a minibatch of its own

    def init(self, params: PyTree, n: int) -> State:
        return State(params, params, jnp.full(n, 1 / n, jnp.result_type(float)))

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return ()

    def broadcast_model(self, server_state: State) -> Message:
        return server_state.x

    def client_steps(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        x, chosen = broadcast, jax.random.randint(node.common, (), 1, self.local_steps + 1, jnp.int32)

        def gradient(pair: tuple[PyTree, PyTree], k: jax.Array) -> tuple[PyTree, PyTree]:
            """The gradients of model and snapshot; the snapshot follows the model and stops after the chosen step."""
            g, _ = node.grad(pair[0], k)
            return g, tree.where(k < chosen, g, tree.zeros_like(g))

        start = local.transform("sgd").init((x, x))
        (y, snapshot), _ = local.local_steps((x, x), start, node, self.lr, self.local_steps, gradient=gradient)
        return {"x": tree.sub(y, x), "snapshot": tree.sub(snapshot, x)}, client_state

    def server_steps(self, server_state: State, aggregate: Message, info: Info) -> State:
        x, _, share = server_state
        return State(tree.add(x, aggregate["x"]), tree.add(x, aggregate["snapshot"]), share)

    def broadcast_snapshot(self, server_state: State) -> Message:
        return server_state.snapshot

    def client_loss(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        return {"loss": Each(node.loss(broadcast, self.local_steps))}, client_state  # on a minibatch of its own

    def server_shares(self, server_state: State, aggregate: Message, info: Info) -> State:
        share = server_state.share
        loss = aggregate["loss"].content.astype(share.dtype)  # zero where it did not arrive
        part = jnp.where(info["participation"] > 0, info["participation"], 1).astype(share.dtype)
        moved = share.at[info["ids"]].add(self.share_lr * self.local_steps / part * loss)
        return server_state._replace(share=SIMPLEX(moved, 1.0, jnp.ones((), moved.dtype)))

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return server_state.share[node.id]

    def model(self, server_state: State) -> PyTree:
        return server_state.x
