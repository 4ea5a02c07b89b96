"""A server without rounds that moves towards every model that arrives."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Each, Info, Message, Node, PyTree, number, static

__all__ = ["FedAsync"]


class State(NamedTuple):
    x: PyTree  # the model
    version: jax.Array  # i32[], the number of steps so far


class Moved(NamedTuple):
    model: PyTree  # a y
    share: jax.Array  # a


@struct.dataclass
class FedAsync:
    """FedAsync, a step per arrival: x <- (1 - a_k) x + a_k y_k with a_k = mixing s(tau_k).

    A client pulls the server's model p_k, takes H local steps to y_k, sends it, pulls again, and does not wait for
    anybody. tau_k is the number of steps that the server took meanwhile: 0 for a client whose model is the newest
    (counted as the paper counts epochs, it would be 1). s is constant, polynomial, (1 + tau)^-power, or a hinge: 1 up
    to `grace`, then 1 / (1 + slope (tau - grace)). With rho the clients' steps are those of the loss plus
    rho/2 ||y - p_k||^2. Who arrives in which round is the schedule's business: `jdl.schedule.Arrivals` plans it from
    the speeds of clients, and over `jdl.schedule.Sampling(n, 1)` each arrival is any client's. If several arrive in one
    round, x becomes the mean of what each would make of it, and they pull that. With one client, mixing = 1 and rho = 0
    it is SGD. All begin with the initial model, which costs nothing.

    Sends:
      one message of a client for each arrival: its model times a_k, a_k and its staleness. The server answers with its
      model, and before that tells its version, one number.

    Memory:
      1 model on each client, and 1 on the server.

    Args:
      lr: step size of the clients' steps.
      mixing: how far the server moves towards a fresh model, 0 to 1; alpha in the paper.
      discount: s, one of "constant", "polynomial" and "hinge".
      power: of the polynomial, at least 0.
      slope: of the hinge, at least 0.
      grace: the staleness up to which the hinge is 1, at least 0.
      rho: strength of the pull back to the model with which the client began.
      local_steps: number H of gradient steps of each client between two pulls.

    References:
      Xie, Koyejo, Gupta 2019, Asynchronous Federated Optimization, Algorithm 1 and section 5.2. Read were FLGo, whose
      numbers these are (its s is constant by default) and whose server takes the mean of what arrives at the same time,
      and Plato, whose hinge has the 1 in the denominator, without which s jumps at `grace`.
    """

    lr: float = number(0.1, minimum=0)
    mixing: float = number(0.6, minimum=0, maximum=1)
    discount: str = static("polynomial")
    power: float = number(0.5, minimum=0)
    slope: float = number(10.0, minimum=0)
    grace: float = number(6.0, minimum=0)
    rho: float = number(0.005, minimum=0)
    local_steps: int = static(1, minimum=1)

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
        return State(params, jnp.int32(0))

    def client_init(self, params: PyTree, node: Node) -> local.Pulled:
        return local.Pulled(params, jnp.int32(0))

    def tell_version(self, server_state: State) -> Message:
        return server_state.version

    def client(self, broadcast: Message, client_state: local.Pulled, node: Node) -> tuple[Message, local.Pulled]:
        p = client_state.x
        gradient = lambda y, k: tree.axpy(self.rho, tree.sub(y, p), node.grad(y, k)[0])
        start = local.transform("sgd").init(p)
        y, _ = local.local_steps(p, start, node, self.lr, self.local_steps, gradient=gradient)
        tau = local.staleness(broadcast, client_state)
        share = self.mixing * local.discount(self.discount, tau, self.power, self.slope, self.grace)
        return {"moved": Moved(tree.scale(share, y), share), "staleness": Each(tau)}, client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones(())

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        moved = aggregate["moved"]  # zero where nothing arrived
        x = tree.axpy(1 - moved.share, server_state.x, moved.model)
        return State(x, server_state.version + (info["participants"] > 0).astype(jnp.int32))

    def broadcast(self, server_state: State) -> Message:
        return server_state.x, server_state.version

    def pull(self, broadcast: Message, client_state: local.Pulled, node: Node) -> tuple[Message, local.Pulled]:
        return (), local.Pulled(*broadcast)

    def answered(self, server_state: State, aggregate: Message, info: Info) -> State:
        return server_state

    def model(self, server_state: State) -> PyTree:
        return server_state.x
