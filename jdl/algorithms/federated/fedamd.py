"""FedAMD: anchors and miners."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import FULL, Info, Message, Node, PyTree, Sized, number, static

__all__ = ["FedAMD"]


class Clients(NamedTuple):
    cache: PyTree  # the full gradient from the last round in which the client was an anchor; zero before
    known: jax.Array  # f[], 1 once the client has been an anchor, 0 before


class Server(NamedTuple):
    x: PyTree  # the model
    caches: PyTree  # the sum of all caches over n
    known: jax.Array  # f[], the share of clients that have a cache


@struct.dataclass
class FedAMD:
    """FedAMD, anchors and miners: v_0 = mean cache;  v_k = v_(k-1) + g(y_k) - g(y_(k-1));  y <- y - lr v_k.

    In every round each client is an anchor at random: it computes its full gradient at the server's model, and the
    server caches it. The others are miners: they take H steps from x along the mean of all caches, corrected by
    differences of minibatch gradients. Then x <- x + server_lr mean (y - x) over the miners. If all clients are
    anchors, x stays. In round 0 all clients are anchors, where the paper asks all n clients for their first gradients
    before the start; clients without a cache do not count. With H = 1 and fresh caches it is gradient descent. The
    server's mean is that of all caches as long as no message of a client is lost.

    Sends:
      the server sends its model and the mean cache; each client returns a gradient or a change, both of one model's
      size.

    Memory:
      2 models on the server, 1 on every client.

    Args:
      lr: step size of the miners' steps.
      server_lr: factor on the mean change of the miners.
      anchors: probability that a client is an anchor.
      local_steps: number H of steps of a miner in a round.
      shared: whether all clients of a round share one random draw (the paper's sequential probabilities, at random) or
        each has its own (the paper's constant probability).

    References:
      Wu, Guo, Qu, He, Liu, Gao 2023, Anchor Sampling for Federated Learning with Partial Client Participation,
      Algorithm 1; the authors' public code.
    """

    lr: float = number(0.1, minimum=0)
    server_lr: float = number(1.0, minimum=0)
    anchors: float = number(0.5, minimum=0, maximum=1)
    local_steps: int = static(5, minimum=1)
    shared: bool = static(True)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "reliable", "grad", "full"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> Server:
        return Server(params, tree.zeros_like(params), jnp.zeros(()))

    def client_init(self, params: PyTree, node: Node) -> Clients:
        return Clients(tree.zeros_like(params), jnp.zeros(()))

    def broadcast(self, server_state: Server) -> Message:
        x, caches, known = server_state
        return {"x": x, "v": tree.scale(1 / jnp.where(known > 0, known, 1), caches)}

    def client(self, broadcast: Message, client_state: Clients, node: Node) -> tuple[Message, Clients]:
        x, full = broadcast["x"], node.grad(broadcast["x"], FULL)[0]

        def step(carry: tuple[PyTree, PyTree, PyTree], k: jax.Array) -> tuple[tuple[PyTree, PyTree, PyTree], None]:
            y, last, v = carry
            v = tree.add(v, tree.sub(node.grad(y, k)[0], node.grad(last, k)[0]))
            new = tree.axpy(-self.lr, v, y), y, v
            return (new if node.steps is None else tree.where(k < node.steps, new, carry)), None

        (y, _, _), _ = jax.lax.scan(step, (x, x, broadcast["v"]), jnp.arange(self.local_steps, dtype=jnp.int32))
        coin = jax.random.bernoulli(node.common if self.shared else node.key, self.anchors)
        anchor = (node.t == 0) | coin
        cache = tree.where(anchor, full, client_state.cache)
        known = jnp.where(anchor, 1, client_state.known).astype(client_state.known.dtype)
        none = tree.zeros_like(x)
        message = {
            "x": tree.where(anchor, none, tree.sub(y, x)),
            "miner": jnp.where(anchor, jnp.zeros(()), jnp.ones(())),
            "cache": tree.where(anchor, tree.sub(cache, client_state.cache), none),
            "known": known - client_state.known,
        }
        return Sized(message, jnp.float32(tree.size_bits(x))), Clients(cache, known)

    def weight(self, server_state: Server, node: Node) -> jax.Array:
        return jnp.ones((), jnp.result_type(float))

    def server(self, server_state: Server, aggregate: Message, info: Info) -> Server:
        share, miners = info["participation"], aggregate["miner"]
        change = self.server_lr / jnp.where(miners > 0, miners, 1)
        return Server(
            tree.axpy(change, aggregate["x"], server_state.x),
            tree.axpy(share, aggregate["cache"], server_state.caches),
            tree.axpy(share, aggregate["known"], server_state.known),
        )

    def model(self, server_state: Server) -> PyTree:
        return server_state.x
