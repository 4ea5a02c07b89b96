"""PENS: peers that keep, of what they hear, the models with the lowest loss on their own data."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local
from jdl.types import Each, Info, Message, Node, PyTree, number, static

__all__ = ["PENS"]


@struct.dataclass
class PENS:
    """PENS: local steps, then x_i <- mean of x_i and of the m models heard whose loss on own data is lowest.

    Nodes whose data are of different kinds find those of their own kind: a model that learnt from similar data has a
    low loss. A node evaluates each model that arrives on minibatch 0 of this round, after its own steps, and averages
    its own and the m with the lowest loss, all with equal weights; those of W do not matter. What is not finite is
    never kept, and who hears nobody keeps its own.

    Over `jdl.schedule.Preferred` this is the method of the authors: nodes hear random others at first, and later those
    alone that they kept more often than by chance. It reports `{"kept": f[k], "neighbours": i32[k]}`, which neighbours
    were kept (0 or 1), and who they are, -1 for one of whom nothing arrived.

    Sends:
      the model, to every neighbour.

    Memory:
      1 model per node, and the messages of the nodes that are computed at the same time.

    Args:
      lr: step size.
      keep: number m of models that are kept; the authors keep 2 of 10.
      local_steps: number H of gradient steps before each exchange.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Onoszko, Karlsson, Mogren, Listo Zec 2021, Decentralized federated learning of deep neural networks on non-iid
      data (PENS, performance-based neighbour selection). Its text was not at hand; read in makgyver/gossipy
      (`node.py`, `PENSNode`), which compares accuracies on all data of a node, and takes the steps after the mean.
    """

    lr: float = number(0.1, minimum=0)
    keep: int = static(2, minimum=1)
    local_steps: int = static(1, minimum=1)
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "links", "each", "grad", "loss"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> PyTree:
        return params

    def send(self, state: PyTree, node: Node) -> tuple[Message, PyTree]:
        lr = local.rate(self.lr, self.decay, node.t)
        x, _ = local.local_steps(state, (), node, lr, self.local_steps)
        return Each(x), x

    def recv(self, state: PyTree, inbox: Message, node: Node) -> tuple[PyTree, Info]:
        losses = jax.lax.map(node.loss, inbox.content)  # one after the other, in the memory of one
        losses = jnp.where(inbox.arrived & jnp.isfinite(losses), losses, jnp.inf)
        place = jnp.argsort(jnp.argsort(losses, stable=True), stable=True)
        kept = (place < self.keep) & (losses < jnp.inf)
        share = 1 / (1 + jnp.sum(kept, dtype=losses.dtype))

        def mean(x: jax.Array, theirs: jax.Array) -> jax.Array:
            there = kept.reshape(kept.shape + (1,) * x.ndim)
            return share.astype(x.dtype) * (x + jnp.sum(jnp.where(there, theirs, 0), axis=0, dtype=x.dtype))

        report = {"kept": kept.astype(losses.dtype), "neighbours": jnp.where(inbox.arrived, inbox.ids, -1)}
        return jax.tree.map(mean, state, inbox.content), report

    def model(self, state: PyTree) -> PyTree:
        return state
