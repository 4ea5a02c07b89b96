"""A server without rounds that steps whenever a group of clients has arrived."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Each, Info, Message, Node, PyTree, number, static

__all__ = ["FedCompass"]


class Moved(NamedTuple):
    model: PyTree  # n a_i y_i of a client, or a sum of a_i y_i
    share: jax.Array  # n a_i, or the sum of the a_i


class State(NamedTuple):
    x: PyTree  # the model
    version: jax.Array  # i32[], the number of steps so far
    waiting: Moved  # of clients that were late


@struct.dataclass
class FedCompass:
    """FedCompass, a step per group of arrivals: x <- x - sum_i a_i (x - y_i) with a_i = mixing s(tau_i) / n.

    A client pulls the server's model, takes local steps to y_i, as many as its speed allows, and arrives with its
    group; tau_i is the number of steps that the server took meanwhile. Who arrives together after how many steps is the
    schedule's business: `jdl.schedule.Compass` plans it from the speeds of clients. A client that is late pulls the
    server's model at once, and its y_i waits for the next group. s is constant, polynomial, (1 + tau)^-power, or a
    hinge: 1 up to `grace`, then 1 / (1 + slope (tau - grace)). With clients of equal speeds, mixing = 1 and s = 1 it is
    `FedAvg` with equal weights. All begin with the initial model, which costs nothing.

    Sends:
      one message of a client for each arrival: its model times n a_i, n a_i, whether it is late and its staleness. The
      server answers with its model, and before that tells its version, one number.

    Memory:
      1 model on each client, and 2 on the server.

    Args:
      lr: step size of the clients' steps.
      mixing: how far the server moves towards fresh models of all clients, 0 to 1; alpha in the code that was read.
      discount: s, one of "constant", "polynomial" and "hinge".
      power: of the polynomial, at least 0.
      slope: of the hinge, at least 0.
      grace: the staleness up to which the hinge is 1, at least 0.
      local_steps: the largest number of local steps of a client between two pulls; a schedule gives each its own.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate; its
        state starts anew at every pull.

    References:
      Li, Chaturvedi, He, Chen, Kim, Huerta, Kim, Madduri 2024, FedCompass: Efficient Cross-Silo Federated Learning on
      Heterogeneous Client Devices Using a Computing Power-Aware Scheduler. Read were the aggregator and the scheduler
      of APPFL by its authors. There the staleness of a late model is counted up to the step that takes it; here up to
      its arrival, which differs only while the first arrivals are awaited.
    """

    lr: float = number(0.1, minimum=0)
    mixing: float = number(0.9, minimum=0, maximum=1)
    discount: str = static("polynomial")
    power: float = number(0.5, minimum=0)
    slope: float = number(10.0, minimum=0)
    grace: float = number(6.0, minimum=0)
    local_steps: int = static(20, minimum=1)
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
        return State(params, jnp.int32(0), Moved(tree.zeros_like(params), jnp.zeros(())))

    def client_init(self, params: PyTree, node: Node) -> local.Pulled:
        return local.Pulled(params, jnp.int32(0))

    def tell_version(self, server_state: State) -> Message:
        return server_state.version

    def client(self, broadcast: Message, client_state: local.Pulled, node: Node) -> tuple[Message, local.Pulled]:
        start = local.transform(self.optimizer).init(client_state.x)
        y, _ = local.local_steps(client_state.x, start, node, self.lr, self.local_steps, self.optimizer)
        tau = local.staleness(broadcast, client_state)
        share = self.mixing * local.discount(self.discount, tau, self.power, self.slope, self.grace)
        # Who is late keeps the whole weight of this round for itself, see `jdl.schedule.Compass`.
        late = node.self_weight.astype(share.dtype)
        return {"moved": Moved(tree.scale(share, y), share), "late": late, "staleness": Each(tau)}, client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones(())

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        x, version, waiting = server_state
        waiting = tree.axpy(info["participation"], aggregate["moved"], waiting)  # of n, not of those who arrived
        stepped = State(
            x=tree.axpy(1 - waiting.share, x, waiting.model),
            version=version + 1,
            waiting=tree.zeros_like(waiting),
        )
        steps = (info["participants"] > 0) & (aggregate["late"] < 0.5)
        return tree.where(steps, stepped, State(x, version, waiting))

    def broadcast(self, server_state: State) -> Message:
        return server_state.x, server_state.version

    def pull(self, broadcast: Message, client_state: local.Pulled, node: Node) -> tuple[Message, local.Pulled]:
        return (), local.Pulled(*broadcast)

    def answered(self, server_state: State, aggregate: Message, info: Info) -> State:
        return server_state

    def model(self, server_state: State) -> PyTree:
        return server_state.x
