"""FedPD: a primal-dual method with a server and occasional averaging."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["FedPD"]


class Clients(NamedTuple):
    x: PyTree  # the client's own model, from which its next local steps start
    dual: PyTree  # lambda, the multiplier of x = centre; at the optimum minus the client's gradient
    centre: PyTree  # x_0i, the client's copy of the model that all clients should agree on


class Server(NamedTuple):
    x: PyTree  # the last mean of the centres
    met: jax.Array  # bool[], whether this round averages


@struct.dataclass
class FedPD:
    """FedPD, primal-dual with rare means: x_i ~ argmin f_i(x) + <l_i, x - c_i> + ||x - c_i||^2 / (2 step).

    The minimum is approximated by H local steps from the last x_i. Then l_i <- l_i + (x_i - c_i) / step, and the
    client's centre is x_i + step l_i. With `probability`, by one random draw for all, all clients take the mean of
    their centres; otherwise each keeps its own. All start at the same model, with l = 0. The model of the method is the
    last mean. With probability = 1 it is exact: it converges to mean g_i = 0 for any difference between the clients'
    data. In rounds without a mean the clients drift to their own optima, so for probability < 1 it is exact only where
    these coincide; the paper bounds 1 - probability by the heterogeneity. All clients must take part in every round.

    Sends:
      the centres up and their mean down, in the rounds that average; nothing in the others.

    Memory:
      1 model on the server, 3 on every client.

    Args:
      lr: step size of the local steps, below `step`.
      step: inverse weight of the penalty, eta in the paper.
      local_steps: number H of gradient steps of each client in a round.
      probability: probability that a round averages, 1 - p in the paper.

    References:
      Zhang, Hong, Dhople, Yin, Liu 2020, FedPD: A Federated Learning Framework with Optimal Rates and Adaptivity to
      Non-IID Data, Algorithm 1, oracle I (read in fl-sim's account of it; the authors' Matlab code takes the centre
      with the old dual).
    """

    lr: float = number(0.1, minimum=0)
    step: float = number(1.0, minimum=1e-6)
    local_steps: int = static(5, minimum=1)
    probability: float = number(1.0, minimum=0, maximum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("broadcast", "client", "server"),
        ("broadcast_mean", "client_mean", "server_mean"),
    )

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> Server:
        return Server(params, jnp.bool_(False))

    def client_init(self, params: PyTree, node: Node) -> Clients:
        return Clients(params, tree.zeros_like(params), params)

    def broadcast(self, server_state: Server) -> Message:
        # This costs 0 bits: clients have x from the start or from `broadcast_mean`. Messages are differences to it, and
        # the server adds it again, so that a round in which no message arrives leaves the mean unchanged.
        return Sized(server_state.x, jnp.float32(0))

    def client(self, broadcast: Message, client_state: Clients, node: Node) -> tuple[Message, Clients]:
        x, dual, centre = client_state

        def gradient(y: PyTree, k: jax.Array) -> PyTree:
            return tree.axpy(1 / self.step, tree.sub(y, centre), tree.add(node.grad(y, k)[0], dual))

        start = local.transform("sgd").init(x)
        x, _ = local.local_steps(x, start, node, self.lr, self.local_steps, gradient=gradient)
        dual = tree.axpy(1 / self.step, tree.sub(x, centre), dual)
        centre = tree.axpy(self.step, dual, x)
        coin = jax.random.bernoulli(node.common, self.probability)
        change = tree.sub(centre, broadcast)
        change = tree.where(coin, change, tree.zeros_like(change))
        bits = jnp.where(coin, jnp.float32(tree.size_bits(change)), 0)
        message = {"change": Sized(change, bits), "met": Sized(coin.astype(jnp.float32), jnp.float32(0))}
        return message, Clients(x, dual, centre)

    def server(self, server_state: Server, aggregate: Message, info: Info) -> Server:
        return Server(tree.add(server_state.x, aggregate["change"]), aggregate["met"] > 0.5)

    def broadcast_mean(self, server_state: Server) -> Message:
        bits = jnp.where(server_state.met, jnp.float32(tree.size_bits(server_state.x)), 0)
        return Sized({"x": server_state.x, "met": server_state.met}, bits)

    def client_mean(self, broadcast: Message, client_state: Clients, node: Node) -> tuple[Message, Clients]:
        centre = tree.where(broadcast["met"], broadcast["x"], client_state.centre)
        return (), client_state._replace(centre=centre)

    def server_mean(self, server_state: Server, aggregate: Message, info: Info) -> Server:
        return server_state

    def weight(self, server_state: Server, node: Node) -> jax.Array:
        return jnp.ones((), jnp.result_type(float))

    def model(self, server_state: Server) -> PyTree:
        return server_state.x
