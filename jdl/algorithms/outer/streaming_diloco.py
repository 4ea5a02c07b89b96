"""Streaming DiLoCo: one fragment of the model at a time is synchronised, while training continues."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, local, tree
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["StreamingDiLoCo"]


class State(NamedTuple):
    x: PyTree  # the global model, each fragment as it was when last due
    b: PyTree  # the outer momentum, each fragment as it was when last due
    fresh: jax.Array  # i32[], the fragment that the last round synchronised; -1 before the first


class Worker(NamedTuple):
    y: PyTree  # the worker's own model, of which a round replaces one fragment
    copy: PyTree  # the global fragments as the worker last received them; its change is the difference to them
    opt: PyTree  # state of the inner optimizer
    last: jax.Array  # i32[], the last round in which the worker took part; -1 before the first


@struct.dataclass
class StreamingDiLoCo:
    """Streaming DiLoCo, a fragment at a time: DiLoCo's outer step on fragment t mod P;  y_k <- (1-a) x + a y_k on it.

    In a round every worker takes H local steps on its own model y_k. Then one of the P fragments is due: its mean
    change, counted from when the workers last received it, makes one outer step. Training continues meanwhile: the
    fragment arrives at the workers after `delay` steps of the next round, and each worker keeps the share a = `alpha`
    of its own values. A fragment is due every P H steps, which the paper calls H. With P = 1, no delay and alpha = 0
    the method is `DiLoCo`. A worker that missed a round starts its next one with the whole global model, and keeps the
    state of its optimizer.

    Sends:
      each worker sends its change of one fragment, on average 1/P of a model, and the server sends that fragment back.
      The whole model that a worker fetches after an absence is counted with what the worker sends.

    Memory:
      2 models on the server; 2 and the optimizer's state on each worker.

    Args:
      fragments: number P of fragments, at most the number of arrays in the model, which are not divided; 0 makes every
        array a fragment.
      strided: whether a fragment takes every P-th array (True), or consecutive arrays (False), in the order of the
        pytree.
      alpha: share of the worker's own values in a merge, 0 to 1.
      delay: number of inner steps until the merge, below H.
      lr: step size of the inner steps.
      outer_lr: step size of the outer step.
      outer_momentum: decay of the outer momentum, below 1.
      local_steps: number H of inner steps in a round.
      nesterov: whether the outer momentum is Nesterov's (True) or the heavy ball (False).
      optimizer: inner optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      weighted: whether a worker's weight is its number of examples (True), or all workers weigh the same (False).
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    Raises:
      InputError: if there are more fragments than arrays, or if `delay` is not below `local_steps`; raised when the
        simulation is built.

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

    def client(self, broadcast: Message, client_state: Worker, node: Node) -> tuple[Message, Worker]:
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
        return Sized(change, bits), Worker(y, copy, opt, node.t)

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
        """The number P of fragments. Building a simulation traces this, so that it checks the options."""
        arrays = len(jax.tree.leaves(params))
        if self.fragments > arrays:
            raise checks.InputError(f"got fragments={self.fragments}, need at most the model's {arrays} arrays; try 0")
        if self.delay >= self.local_steps:
            most = f"need fewer than the {self.local_steps} local steps of a round"
            raise checks.InputError(f"got delay={self.delay}, {most}; try delay={self.local_steps - 1}")
        return self.fragments or arrays

    def _in(self, params: PyTree, fragment: jax.Array) -> PyTree:
        """For each array, whether it belongs to this fragment."""
        arrays, structure = jax.tree.flatten(params)
        P, n = self._count(params), len(arrays)
        return structure.unflatten([(i % P if self.strided else i * P // n) == fragment for i in range(n)])

    def _bits(self, params: PyTree, mine: PyTree) -> jax.Array:
        """The size in bits of the arrays that `mine` marks."""
        sizes = jax.tree.map(lambda mine, x: jnp.where(mine, jnp.float32(tree.size_bits(x)), 0), mine, params)
        return sum(jax.tree.leaves(sizes))
