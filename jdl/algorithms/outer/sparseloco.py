"""SparseLoCo: DiLoCo whose workers send a few quantised entries, with error feedback in place of outer momentum."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.compressors import Statistical, chunks
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["SparseLoCo"]


class Worker(NamedTuple):
    error: PyTree  # the decayed sum of what was not sent so far
    opt: PyTree  # state of the inner optimizer


@struct.dataclass
class SparseLoCo:
    """SparseLoCo, few entries travel: e_k <- b e_k + x - y_k;  q_k = Q(top(e_k));  e_k -= q_k;  x -= outer_lr mean q.

    y_k is the result of H local steps of worker k from x. Each array is cut into chunks, and of each chunk the share
    `fraction` of the entries with the largest magnitude is sent, with `bits` bits each (`jdl.compressors.Statistical`).
    The decayed error e_k takes the place of DiLoCo's outer momentum. The mean of an entry is over the workers that sent
    it, as in the authors' code, or over all workers, as summaries of the paper have it (`by_senders`). With
    fraction = 1 and bits = 0 it is `DiLoCo` without outer momentum, for any b.

    Sends:
      the server sends its model; each worker sends the chosen entries, their places in the chunks, and the means of the
      bins.

    Memory:
      1 model on the server; 1 and the optimizer's state on each worker.

    Args:
      fraction: share of the entries of each chunk that is sent, at least one entry.
      error_decay: decay b of the error.
      lr: step size of the inner steps.
      outer_lr: step size of the outer step.
      local_steps: number H of inner steps in a round.
      chunk: upper bound of the sides of a chunk; chunks divide the last two axes of an array evenly.
      bits: bits of each entry that is sent, 1 to 8; 0 sends entries as they are.
      by_senders: whether the mean of an entry is over the workers that sent it (True) or over all workers (False).
      optimizer: inner optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      weighted: whether a worker's weight is its number of examples (True), or all workers weigh the same (False).
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Sarfi, Therien, Lidin, Belilovsky 2025, Communication Efficient LLM Pre-training with SparseLoCo, whose
      text was not at hand; chunks, bins and the mean over senders are those of the authors' code (`sparseloco.py`),
      which scales a change by its outer rate of 1 before it is compressed.
    """

    lr: float = number(0.01, minimum=0)
    outer_lr: float = number(1.0, minimum=0)
    fraction: float = number(0.03, minimum=0, maximum=1)
    error_decay: float = number(0.95, minimum=0, maximum=1)
    local_steps: int = static(10, minimum=1)
    chunk: int = static(64, minimum=1)
    bits: int = static(2, minimum=0, maximum=8)
    by_senders: bool = static(True)
    optimizer: local.Optimizer = static("adamw")
    weighted: bool = static(False)
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> PyTree:
        return params

    def client_init(self, params: PyTree, node: Node) -> Worker:
        return Worker(tree.zeros_like(params), local.transform(self.optimizer).init(params))

    def broadcast(self, server_state: PyTree) -> Message:
        return server_state

    def client(self, broadcast: Message, client_state: Worker, node: Node) -> tuple[Message, Worker]:
        lr = local.rate(self.lr, self.decay, node.t)
        y, opt = local.local_steps(broadcast, client_state.opt, node, lr, self.local_steps, self.optimizer)
        whole = tree.axpy(self.error_decay, client_state.error, tree.sub(broadcast, y))
        leaves, structure = jax.tree.flatten(whole)
        values, masks, bits = zip(*[self._compressed(leaf) for leaf in leaves], strict=True)
        sent = structure.unflatten(values)
        content = {"sum": sent, "senders": structure.unflatten(masks)} if self.by_senders else {"sum": sent}
        return Sized(content, sum(bits)), Worker(tree.sub(whole, sent), opt)

    def _compressed(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """What is decoded of one array, 1 where an entry is sent, and the size in bits."""
        parts = chunks.chunked(x, self.chunk)
        k = jnp.maximum(1, jnp.round(self.fraction * parts[0].size)).astype(jnp.int32)
        mask = chunks.joined(chunks.largest_of_each(parts, k), x.shape, self.chunk)
        codec, count = Statistical(self.bits or 1), (k * parts.shape[0]).astype(jnp.float32)
        values = codec.of(x, mask) if self.bits else jnp.where(mask, x, 0)
        size = codec.size(count, x) if self.bits else count * (x.dtype.itemsize * 8)
        return values, mask.astype(x.dtype), size + count * chunks.index_bits(parts)

    def weight(self, server_state: PyTree, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: PyTree, aggregate: Message, info: Info) -> PyTree:
        D = aggregate["sum"]
        if self.by_senders:
            share = aggregate["senders"]
            D = jax.tree.map(lambda D, share: D / jnp.where(share > 0, share, jnp.ones_like(share)), D, share)
        return tree.axpy(-self.outer_lr, D, server_state)

    def model(self, server_state: PyTree) -> PyTree:
        return server_state
