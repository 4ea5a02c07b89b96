"""A server without rounds that steps whenever enough changes have arrived."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Each, Info, Message, Node, PyTree, number, static

__all__ = ["FedBuff"]


class State(NamedTuple):
    x: PyTree  # the model
    version: jax.Array  # i32[], the number of steps so far
    buffer: PyTree  # the sum of the changes that wait
    count: jax.Array  # f[], the number of changes that wait


@struct.dataclass
class FedBuff:
    """FedBuff, a step per K arrivals: B <- B + s(tau_k) (y_k - p_k); at K of them x <- x + server_lr B / K, B <- 0.

    A client pulls the server's model p_k, takes H local steps to y_k, sends its change, pulls again, and does not wait
    for anybody. tau_k is the number of steps that the server took meanwhile, and s(tau) = (1 + tau)^-power. Who arrives
    in which round is the schedule's business: `jdl.schedule.Arrivals` plans it from the speeds of clients, and over
    `jdl.schedule.Sampling(n, 1)` each arrival is any client's, as where all compute for exponential times of one mean.
    Changes that arrive in one round are applied together, and all their clients pull the new model: with K = n arrivals
    a round it is `FedAvg` with equal weights. If a round brings more than K changes, B is divided by their number. All
    begin with the initial model, which costs nothing.

    Sends:
      one message of a client for each arrival, its change of the model and its staleness; the server answers with its
      model, and before that tells its version, one number.

    Memory:
      1 model on each client, and 2 on the server.

    Args:
      lr: step size of the clients' steps.
      server_lr: factor on the mean change of the buffer.
      buffer: number K of changes for which the server waits, at least 1.
      power: how much stale changes are discounted, 0 for not at all.
      local_steps: number H of gradient steps of each client between two pulls.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate; its
        state starts anew at every pull.

    References:
      Nguyen, Malik, Zhan, Yousefpour, Rabbat, Malek, Huba 2022, Federated Learning with Buffered Asynchronous
      Aggregation, Algorithm 1. Read were the buffer of FLGo, which has no discount, and that of ADFL, which has.
    """

    lr: float = number(0.1, minimum=0)
    server_lr: float = number(1.0, minimum=0)
    buffer: float = number(10, minimum=1)
    power: float = number(0.5, minimum=0)
    local_steps: int = static(1, minimum=1)
    optimizer: local.Optimizer = static("sgd")

    asynchronous: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("tell_version", "client", "server"),
        ("broadcast", "pull", "answered"),
    )

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return State(params, jnp.int32(0), tree.zeros_like(params), jnp.zeros(()))

    def client_init(self, params: PyTree, node: Node) -> local.Pulled:
        return local.Pulled(params, jnp.int32(0))

    def tell_version(self, server_state: State) -> Message:
        return server_state.version

    def client(self, broadcast: Message, client_state: local.Pulled, node: Node) -> tuple[Message, local.Pulled]:
        start = local.transform(self.optimizer).init(client_state.x)
        y, _ = local.local_steps(client_state.x, start, node, self.lr, self.local_steps, self.optimizer)
        tau = local.staleness(broadcast, client_state)
        share = local.discount("polynomial", tau, self.power, 0.0, 0.0)
        return {"change": tree.scale(share, tree.sub(y, client_state.x)), "staleness": Each(tau)}, client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones(())

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        x, version, buffer, count = server_state
        new = info["participants"].astype(count.dtype)
        buffer, count = tree.axpy(new, aggregate["change"], buffer), count + new
        stepped = State(
            x=tree.axpy(self.server_lr / jnp.maximum(count, 1), buffer, x),
            version=version + 1,
            buffer=tree.zeros_like(buffer),
            count=jnp.zeros_like(count),
        )
        return tree.where(count >= self.buffer, stepped, State(x, version, buffer, count))

    def broadcast(self, server_state: State) -> Message:
        return server_state.x, server_state.version

    def pull(self, broadcast: Message, client_state: local.Pulled, node: Node) -> tuple[Message, local.Pulled]:
        return (), local.Pulled(*broadcast)

    def answered(self, server_state: State, aggregate: Message, info: Info) -> State:
        return server_state

    def model(self, server_state: State) -> PyTree:
        return server_state.x
