"""DeMo: workers send the largest frequencies of their momentum, and step by the sign of the mean."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.compressors import chunks
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["DeMo"]


@struct.dataclass
class DeMo:
    """DeMo, decoupled momentum: m_i <- b m_i + lr g_i;  q_i = top(DCT m_i);  m_i -= IDCT q_i;  x -= lr sign IDCT q.

    q is the mean of the q_i. The momentum m_i of worker i is never averaged. It is cut into chunks; of the cosine
    transform of each chunk the k frequencies of largest magnitude are sent and taken out of m_i, so that what is left
    acts as error feedback. The mean of a frequency is over the workers that sent it, as in the authors' code, or over
    all workers (`by_senders`). With k at least the size of a chunk all momentum is sent, and the method is sign descent
    along the mean gradient, for any b. Steps have the size lr in every coordinate, so lr must be small or decay.

    Sends:
      each worker sends k frequencies of each chunk and their places; the server sends its model. (The authors' workers
      exchange frequencies directly, and nobody sends a model.)

    Memory:
      1 model on the server; 1 on each worker.

    Args:
      lr: step size, of every coordinate.
      momentum: decay b of the momentum, below 1.
      k: number of frequencies of each chunk that is sent.
      chunk: upper bound of the sides of a chunk; chunks divide the last two axes of an array evenly.
      by_senders: whether the mean of a frequency is over the workers that sent it (True) or over all workers (False).
      weighted: whether a worker's weight is its number of examples (True), or all workers weigh the same (False).
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Peng, Quesnelle, Kingma 2024, DeMo: Decoupled Momentum Optimization; the steps are those of the authors' code
      (`demo.py`), without its weight decay.
    """

    lr: float = number(0.01, minimum=0)
    momentum: float = number(0.999, minimum=0, maximum=1)
    k: int = static(32, minimum=1)
    chunk: int = static(64, minimum=1)
    by_senders: bool = static(True)
    weighted: bool = static(False)
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    def init(self, params: PyTree, n: int) -> PyTree:
        return params

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return tree.zeros_like(params)

    def broadcast(self, server_state: PyTree) -> Message:
        return server_state

    def client(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        g, _ = node.grad(broadcast)
        lr = local.rate(self.lr, self.decay, node.t)
        m = tree.axpy(lr, g, tree.scale(self.momentum, client_state))
        waves = jax.tree.map(lambda m: chunks.cosines(chunks.chunked(m, self.chunk)), m)
        masks = jax.tree.map(lambda waves: chunks.largest_of_each(waves, min(self.k, waves[0].size)), waves)
        sent = jax.tree.map(lambda mask, waves: jnp.where(mask, waves, 0), masks, waves)
        left = jax.tree.map(lambda m, sent: m - self._array(sent, m), m, sent)
        content = {"sum": sent, "senders": tree.cast(masks, sent)} if self.by_senders else {"sum": sent}
        return Sized(content, sum(self._bits(waves) for waves in jax.tree.leaves(waves))), left

    def weight(self, server_state: PyTree, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: PyTree, aggregate: Message, info: Info) -> PyTree:
        mean = aggregate["sum"]
        if self.by_senders:
            share = aggregate["senders"]
            mean = jax.tree.map(
                lambda mean, share: mean / jnp.where(share > 0, share, jnp.ones_like(share)), mean, share
            )
        signs = jax.tree.map(lambda x, mean: jnp.sign(self._array(mean, x)), server_state, mean)
        return tree.axpy(-local.rate(self.lr, self.decay, info["t"]), signs, server_state)

    def model(self, server_state: PyTree) -> PyTree:
        return server_state

    def _array(self, waves: jax.Array, like: jax.Array) -> jax.Array:
        """The array of the same shape as `like` whose chunks have this cosine transform."""
        return chunks.joined(chunks.from_cosines(waves), like.shape, self.chunk)

    def _bits(self, waves: jax.Array) -> jax.Array:
        """The size in bits of what is sent of one array."""
        entries = waves.shape[0] * min(self.k, waves[0].size)
        return jnp.float32(entries * (waves.dtype.itemsize * 8 + chunks.index_bits(waves)))
