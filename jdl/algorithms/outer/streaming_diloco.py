"""Streaming DiLoCo: one fragment of the model at a time, merged while training goes on."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, local, tree
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["StreamingDiLoCo"]


class State(NamedTuple):
    x: PyTree  # the global model, each fragment as of when it was last due
    b: PyTree  # the outer momentum, likewise
    fresh: jax.Array  # i32[], the fragment that the last round synchronised; -1 before the first


class Worker(NamedTuple):
    y: PyTree  # its own model, which no round replaces as a whole
    copy: PyTree  # the global fragments as it last received them: from here its change counts
    opt: PyTree  # state of the inner optimizer
    last: jax.Array  # i32[], the last round in which it took part; -1 before the first


@struct.dataclass
class StreamingDiLoCo:
    """Streaming DiLoCo, a fragment at a time: DiLoCo's outer step on fragment t mod P;  y_k <- (1-a) x + a y_k on it.

    One round is H local steps of every worker on its own model y_k, after which one of the P fragments is due: the mean
    change of it since the workers last received it makes one outer step. Training goes on meanwhile: the fragment
    comes back after `delay` steps of the next round, and each worker keeps a share a = `alpha` of what it has there.
    A fragment is due every P H steps, what the paper calls H. With P = 1, no delay and alpha = 0 it is `DiLoCo`.
    A worker that missed a round begins the next one with the whole global model; its optimizer goes on.

    Sends:
      each worker its change of one fragment, 1/P of a model in the mean, and the server that fragment back. What a
      worker fetches after an absence, a whole model, is counted with what it sends.

    Memory:
      2 models on the server; on each worker 2 and the state of its optimizer.

    Args:
      fragments: P, at most as many as the model has arrays, which are not cut; 0: every array is one.
      strided: whether fragments take every P-th array, or arrays next to each other (in the order of the tree).
      alpha: share of the worker's own value in a merge, 0 to 1.
      delay: inner steps until the merge, below H.
      lr: as in `DiLoCo`.
      outer_lr: as in `DiLoCo`.
      outer_momentum: as in `DiLoCo`.
      local_steps: as in `DiLoCo`.
      nesterov: as in `DiLoCo`.
      optimizer: as in `DiLoCo`.
      weighted: as in `DiLoCo`.
      decay: as in `DiLoCo`.

    References:
      Douillard, Donchev, Rush, Kale, Charles, Garrett, Teston, Lacey, McIlroy, Shen, Rame, Szlam, Ranzato, Barham 2025,
      Streaming DiLoCo with overlapping communication, Algorithm 2. Order and delay were checked against torchft's
      `local_sgd.py`, which has no alpha; the merge is from summaries, the paper's text was not at hand.
    """

    lr: float = number(0.01, minimum=0)
    outer_lr: float = number(0.7, minimum=0)
    outer_momentum: float = number(0.9, minimum=0, maximum=1)
    alpha: float = number(0.0, minimum=0, maximum=1)
    local_steps: int = static(10, minimum=1)
    delay: int = static(0, minimum=0)
    fragments: int = static(0, minimum=0)
    strided: bool = static(True)
    nesterov: bool = static(True)
    optimizer: local.Optimizer = static("adamw")
    weighted: bool = static(False)
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        self._count(params)
        return State(params, tree.zeros_like(params), jnp.int32(-1))

    def client_init(self, params: PyTree, node: Node) -> Worker:
        return Worker(params, params, local.transform(self.optimizer).init(params), jnp.int32(-1))

    def broadcast(self, server_state: State) -> Message:
        mine = self._in(server_state.x, server_state.fresh)
        content = {"x": server_state.x, "fresh": server_state.fresh}
        return Sized(content, self._bits(server_state.x, mine))

    def client(self, broadcast: Message, client_state: Worker, node: Node) -> tuple[Message, Worker, Info]:
        x, (y, copy, opt, last) = broadcast["x"], client_state
        away, came = node.t - last > 1, self._in(x, broadcast["fresh"])
        y, copy = tree.where(away, (x, x), (y, jax.tree.map(jnp.where, came, x, copy)))
        y, opt = self._steps(y, opt, node, 0, self.delay)
        merged = tree.axpy(self.alpha, tree.sub(y, copy), copy)
        y = jax.tree.map(jnp.where, came, merged, y)
        y, opt = self._steps(y, opt, node, self.delay, self.local_steps)
        due = self._in(y, node.t % self._count(y))
        change = jax.tree.map(lambda due, y, copy: jnp.where(due, y - copy, 0), due, y, copy)
        bits = self._bits(y, due) + jnp.where(away, jnp.float32(tree.size_bits(x)), 0)
        return Sized(change, bits), Worker(y, copy, opt, node.t), {}

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        x, b, _ = server_state
        D = tree.scale(-1, aggregate)
        new = tree.axpy(self.outer_momentum, b, D)
        step = tree.axpy(self.outer_momentum, new, D) if self.nesterov else new
        fresh = (info["t"] % self._count(x)).astype(jnp.int32)
        due = self._in(x, fresh)
        after = tree.axpy(-self.outer_lr, step, x)
        return State(jax.tree.map(jnp.where, due, after, x), jax.tree.map(jnp.where, due, new, b), fresh)

    def model(self, server_state: State) -> PyTree:
        return server_state.x

    def _steps(self, y: PyTree, opt: PyTree, node: Node, first: int, last: int) -> tuple[PyTree, PyTree]:
        """The local steps k = first to last - 1 of the round."""
        if first == last:
            return y, opt
        lr, rest = local.rate(self.lr, self.decay, node.t), None if node.steps is None else node.steps - first
        later = lambda x, k: node.grad(x, k + first)[0]
        return local.local_steps(y, opt, node.replace(steps=rest), lr, last - first, self.optimizer, later)

    def _count(self, params: PyTree) -> int:
        """P, or a sentence: traced when the simulation is built."""
        arrays = len(jax.tree.leaves(params))
        if self.fragments > arrays:
            raise checks.InputError(f"got fragments={self.fragments}, need at most the model's {arrays} arrays; try 0")
        if self.delay >= self.local_steps:
            most = f"need a merge before the {self.local_steps} steps of the next round are over"
            raise checks.InputError(f"got delay={self.delay}, {most}; try delay={self.local_steps - 1}")
        return self.fragments or arrays

    def _in(self, params: PyTree, fragment: jax.Array) -> PyTree:
        """Of each array, whether it is in this fragment."""
        arrays, structure = jax.tree.flatten(params)
        P, n = self._count(params), len(arrays)
        return structure.unflatten([(i % P if self.strided else i * P // n) == fragment for i in range(n)])

    def _bits(self, params: PyTree, mine: PyTree) -> jax.Array:
        sizes = jax.tree.map(lambda mine, x: jnp.where(mine, jnp.float32(tree.size_bits(x)), 0), mine, params)
        return sum(jax.tree.leaves(sizes))
