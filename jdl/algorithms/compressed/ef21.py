"""EF21: error feedback by compressed differences of gradients."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl.compressors import Compressor, TopK
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["EF21"]


class State(NamedTuple):
    x: PyTree  # the model
    g: PyTree  # the mean of all clients' estimates


class Client(NamedTuple):
    h: PyTree  # the estimate of the client's gradient, which the server keeps as well
    memory: PyTree  # what the compressor remembers


@struct.dataclass
class EF21:
    """EF21, compressed gradient descent: c_i = C(g_i(x) - h_i);  h_i <- h_i + c_i;  x <- x - lr mean_i h_i.

    Client and server keep the same estimate h_i of the client's gradient and update it by compressed differences. These
    vanish at the optimum, so the limit is exact for any contractive C and any heterogeneity. Without compression it is
    gradient descent. `start` sets the first h_i: "gradient", which round 0 sends uncompressed, or "compressed", from
    zero. Clients outside the round's sample keep their h_i, and the server still counts them. The server's mean is that
    of all h_i as long as no message of a client is lost.

    Sends:
      the server sends its model; each client sends its compressed difference.

    Memory:
      2 models on the server, 1 on every client.

    Args:
      lr: step size of the server's step.
      compressor: compressor C, from `jdl.compressors`.
      start: first estimates, "gradient" or "compressed".

    Raises:
      InputError: if `start` is neither "gradient" nor "compressed"; raised when the simulation is built.

    References:
      Richtarik, Sokolov, Fatkhullin 2021, EF21: A New, Simpler, Theoretically Better, and Practically Faster Error
      Feedback, Algorithm 2; Fatkhullin et al. 2021, EF21 with Bells & Whistles, for a sample of clients.
    """

    lr: float = number(0.1, minimum=0)
    compressor: Compressor = TopK(0.1)
    start: str = static("gradient")

    needs: ClassVar[frozenset[str]] = frozenset({"server", "reliable", "copies", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    def init(self, params: PyTree, n: int) -> State:
        if self.start not in ("gradient", "compressed"):
            raise checks.InputError(f"got start={self.start!r}, need 'gradient' or 'compressed'; try start='gradient'")
        return State(params, tree.zeros_like(params))

    def client_init(self, params: PyTree, node: Node) -> Client:
        return Client(tree.zeros_like(params), self.compressor.init(params))

    def broadcast(self, server_state: State) -> Message:
        return server_state.x

    def client(self, broadcast: Message, client_state: Client, node: Node) -> tuple[Message, Client]:
        g, _ = node.grad(broadcast)
        difference = tree.sub(g, client_state.h)
        change, memory, bits = self.compressor(client_state.memory, difference, node.key)
        whole = (node.t == 0) & (self.start == "gradient")
        change = tree.where(whole, difference, change)
        memory = tree.where(whole, client_state.memory, memory)
        bits = jnp.where(whole, jnp.float32(tree.size_bits(difference)), bits)
        return Sized(change, bits), Client(tree.add(client_state.h, change), memory)

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones((), jnp.result_type(float))

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        g = tree.axpy(info["participation"], aggregate, server_state.g)
        return State(tree.axpy(-self.lr, g, server_state.x), g)

    def model(self, server_state: State) -> PyTree:
        return server_state.x
