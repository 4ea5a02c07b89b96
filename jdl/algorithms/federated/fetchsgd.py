"""FetchSGD: clients send sketches of gradients, and the server keeps momentum and error in the sketch."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jax.flatten_util import ravel_pytree

from jdl import local
from jdl.compressors import CountSketch, TopK
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["FetchSGD"]


class State(NamedTuple):
    x: PyTree
    momentum: jax.Array  # f[rows, columns]: S_u, the sketch of the momentum
    error: jax.Array  # f[rows, columns]: S_e, the sketch of what was not applied yet


@struct.dataclass
class FetchSGD:
    """FetchSGD: S_u <- rho S_u + mean_k S(g_k); S_e <- S_e + lr S_u; D = Top-k(U(S_e)); S_e <- S_e - S(D); x <- x - D.

    S is a count sketch of the whole gradient as one vector, the same linear map at all clients, and U estimates the
    vector from its sketch. So the mean of the sketches is the sketch of the mean gradient, and clients, who may take
    part only once, need no memory. If the sketch is much larger than the model and all entries are decoded
    (fraction = 1), it is SGD with heavy-ball momentum at the server.

    Sends:
      the server sends its model to the sampled clients (in the paper only the entries that changed since the client
      last took part); each client returns rows x columns numbers, however large the model is.

    Memory:
      the model and two sketches in total; nothing at clients.

    Args:
      lr: step size.
      momentum: rho, 0 to 1.
      rows: number of rows of the sketch, odd, at least 1.
      columns: number of sums of a row, at least 1.
      fraction: share of the entries of the model that move in a round, 0 to 1.
      sketch_seed: seed of the hash tables, which all share.
      weighted: whether a client's weight is its number of examples (True), or all clients weigh the same (False).
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Rothchild, Panda, Ullah, Ivkin, Stoica, Braverman, Gonzalez, Arora 2020, FetchSGD: Communication-Efficient
      Federated Learning with Sketching (the recursion as a summary gives it; the paper was not at hand).
    """

    lr: float = number(0.1, minimum=0)
    momentum: float = number(0.9, minimum=0, maximum=1)
    rows: int = static(5, minimum=1)
    columns: int = static(1000, minimum=1)
    fraction: float = number(0.05, minimum=0, maximum=1)
    sketch_seed: int = static(0, minimum=0)
    weighted: bool = static(True)
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def sketch(self) -> CountSketch:
        """The sketch that all clients and the server share."""
        return CountSketch(self.rows, self.columns, self.fraction, self.sketch_seed)

    def init(self, params: PyTree, n: int) -> State:
        empty = jnp.zeros((self.rows, self.columns), ravel_pytree(params)[0].dtype)
        return State(params, empty, empty)

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return ()

    def broadcast(self, server_state: State) -> Message:
        return server_state.x

    def client(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        return self.sketch.sketch(ravel_pytree(node.grad(broadcast)[0])[0]), client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        x, unravel = ravel_pytree(server_state.x)
        lr = jnp.asarray(local.rate(self.lr, self.decay, info["t"]), x.dtype)
        momentum = jnp.asarray(self.momentum, x.dtype) * server_state.momentum + aggregate
        error = server_state.error + lr * momentum
        any_key = jax.random.key(self.sketch_seed)  # top-k draws nothing
        step, _, _ = TopK(self.fraction)((), self.sketch.estimates(error, x.size), any_key)
        return State(unravel(x - step), momentum, error - self.sketch.sketch(step))

    def model(self, server_state: State) -> PyTree:
        return server_state.x
