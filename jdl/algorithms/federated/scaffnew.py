"""Scaffnew, ProxSkip with a server: rounds communicate at random."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, Sized, number

__all__ = ["Scaffnew"]


class Clients(NamedTuple):
    x: PyTree  # the client's model; between the exchanges, before averaging
    h: PyTree  # lr / p times the control variate, so that it is defined at lr = 0; sums to zero over clients


class Server(NamedTuple):
    x: PyTree  # the last mean
    met: jax.Array  # bool[], whether this round communicates


@struct.dataclass
class Scaffnew:
    """Scaffnew, one corrected step a round and a mean at random: x_i <- x_i - lr (g_i(x_i) - h_i).

    With `probability` p, by one random draw for all, all clients take x = mean_j (x_j - (lr / p) h_j), and
    h_i <- h_i + (p / lr) (x - x_i); otherwise nothing is sent. h = 0 at the start. The limit is the exact optimum, with
    1 / p local steps on average between two means; the best choice for mu-strongly convex losses is p = sqrt(lr mu).
    With p = 1 it is gradient descent. A round is ONE step; the model of the method is the last mean. The theory
    requires all clients in every round; with a sample, absent clients miss the mean. `ProxSkip` is the same method over
    a graph.

    Sends:
      the model, up and down, in the rounds that communicate; nothing in the others.

    Memory:
      1 model on the server, 2 on every client.

    Args:
      lr: step size.
      probability: p, the probability that a round communicates.

    References:
      Mishchenko, Malinovsky, Stich, Richtarik 2022, ProxSkip: Yes! Local Gradient Steps Provably Lead to Communication
      Acceleration! Finally!, Algorithm 2 (with the shift of h inside the mean, as in its Algorithm 1, which is the same
      where sum h = 0).
    """

    lr: float = number(0.1, minimum=0)
    probability: float = number(0.5, minimum=0, maximum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("broadcast", "client", "server"),
        ("broadcast_mean", "client_mean", "server_mean"),
    )

    def init(self, params: PyTree, n: int) -> Server:
        return Server(params, jnp.bool_(False))

    def client_init(self, params: PyTree, node: Node) -> Clients:
        return Clients(params, tree.zeros_like(params))

    def broadcast(self, server_state: Server) -> Message:
        # This costs 0 bits: clients have x from the start or from `broadcast_mean`. Messages are differences to it, and
        # the server adds it again, so that a round in which no message arrives leaves the mean unchanged.
        return Sized(server_state.x, jnp.float32(0))

    def client(self, broadcast: Message, client_state: Clients, node: Node) -> tuple[Message, Clients]:
        g, _ = node.grad(client_state.x)
        x = tree.axpy(self.probability, client_state.h, tree.axpy(-self.lr, g, client_state.x))
        coin = jax.random.bernoulli(node.common, self.probability)
        change = tree.sub(tree.sub(x, client_state.h), broadcast)
        change = tree.where(coin, change, tree.zeros_like(change))
        bits = jnp.where(coin, jnp.float32(tree.size_bits(change)), 0)
        message = {"change": Sized(change, bits), "met": Sized(coin.astype(jnp.float32), jnp.float32(0))}
        return message, client_state._replace(x=x)

    def server(self, server_state: Server, aggregate: Message, info: Info) -> Server:
        return Server(tree.add(server_state.x, aggregate["change"]), aggregate["met"] > 0.5)

    def broadcast_mean(self, server_state: Server) -> Message:
        bits = jnp.where(server_state.met, jnp.float32(tree.size_bits(server_state.x)), 0)
        return Sized({"x": server_state.x, "met": server_state.met}, bits)

    def client_mean(self, broadcast: Message, client_state: Clients, node: Node) -> tuple[Message, Clients]:
        mean = broadcast["x"]
        h = tree.add(client_state.h, tree.sub(mean, client_state.x))
        return (), tree.where(broadcast["met"], Clients(mean, h), client_state)

    def server_mean(self, server_state: Server, aggregate: Message, info: Info) -> Server:
        return server_state

    def weight(self, server_state: Server, node: Node) -> jax.Array:
        return jnp.ones((), jnp.result_type(float))

    def model(self, server_state: Server) -> PyTree:
        return server_state.x
