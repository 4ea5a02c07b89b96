"""PowerGossip: low-rank differences between neighbours."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local
from jdl.types import Info, Message, Node, PerLink, PyTree, Sized, number, static

__all__ = ["PowerGossip"]


class State(NamedTuple):
    x: PyTree  # the model; between send and recv, after the local steps
    left: list  # for each array, as a matrix [a, b]: orthonormal columns [k, a, r], the same at both ends of a link
    right: list  # ... and [k, b, r]
    sent: list  # [k, max(a, b), r], the last message of this node
    turn: jax.Array  # i32[], number of power iterations so far
    opt: PyTree  # state of the local optimizer, never sent


@struct.dataclass
class PowerGossip:
    """PowerGossip: x_i <- z_i - sum_j W_ij P P^T (z_i - z_j), P by power iterations that continue from round to round.

    z_i is x_i after the local steps. Every array is treated as a matrix, its first axis by all others, and so is the
    difference D of two neighbours. The ends of a link alternate two steps. In the first they compute Q = D^T P, by
    sending each other Z^T P, and subtract P Q^T. In the second they compute D V, with V the orthonormalised columns of
    Q, and subtract (D V) V^T; the next P comes from D V. Both ends compute the same, so the mean of the two models is
    preserved, and neither error feedback nor a mixing step size is needed. Every second step of a vector is gossip
    without compression; so is every step of a square array with at most `rank` rows. The first P is random and the same
    on all links. A link that fails leaves its models and its P unchanged.

    Sends:
      to each neighbour r columns of each array, alternating between its second and its first side, `iterations` times a
      round.

    Memory:
      1 model per node and the optimizer's state; for each neighbour and each array of a by b, r (a + b + max(a, b))
      numbers, and r max(a, b) more for the message.

    Args:
      lr: step size of the local steps.
      local_steps: number H of gradient steps before the exchanges of a round.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.
      rank: rank r of the compression; for a matrix of lower rank, its full rank.
      iterations: number of exchanges in a round, one after the other.

    References:
      Vogels, Karimireddy, Jaggi 2020, Practical Low-Rank Communication Compression in Decentralized Deep Learning,
      Algorithm 1, and the authors' code, which skips round 0 and may leave vectors uncompressed.
    """

    lr: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)
    rank: int = static(1, minimum=1)
    iterations: int = static(1, minimum=1)
    optimizer: local.Optimizer = static("sgd")
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset(
        {"peers", "doubly_stochastic", "symmetric", "per_link", "one_by_one", "fixed_links", "grad"}
    )

    @property
    def phases(self) -> tuple[tuple[str, str], ...]:
        """The exchanges of a round; the local steps precede only the first."""
        return (("send", "recv"), *(("go_on", "recv"),) * (self.iterations - 1))

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        k, left, right, sent = node.links.ids.shape[0], [], [], []
        for i, x in enumerate(jax.tree.leaves(params)):
            a, b = _matrix(x).shape
            r = min(a, b, self.rank)
            sides = [
                jax.random.normal(jax.random.fold_in(node.common, 2 * i + s), (d, r), x.dtype)
                for s, d in enumerate((a, b))
            ]
            starts = [_orthonormal(jnp.broadcast_to(side, (k, *side.shape)), side[None]) for side in sides]
            left.append(starts[0])
            right.append(starts[1])
            sent.append(jnp.zeros((k, max(a, b), r), x.dtype))
        return State(params, left, right, sent, jnp.int32(0), local.transform(self.optimizer).init(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        lr = local.rate(self.lr, self.decay, node.t)
        z, opt = local.local_steps(state.x, state.opt, node, lr, self.local_steps, self.optimizer)
        return self.go_on(state._replace(x=z, opt=opt), node)

    def go_on(self, state: State, node: Node) -> tuple[Message, State]:
        even, sent, bits = state.turn % 2 == 0, [], jnp.float32(0)
        for x, left, right in zip(jax.tree.leaves(state.x), state.left, state.right, strict=True):
            z, (a, b) = _matrix(x), _matrix(x).shape
            q = jnp.einsum("ab,kar->kbr", z, left, precision="highest")
            p = jnp.einsum("ab,kbr->kar", z, right, precision="highest")
            sent.append(jnp.where(even, _padded(q, max(a, b)), _padded(p, max(a, b))))
            bits += jnp.where(even, b, a).astype(jnp.float32) * left.shape[2] * x.dtype.itemsize * 8
        return Sized(PerLink(sent), bits), state._replace(sent=sent)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        even, leaves, lefts, rights = state.turn % 2 == 0, [], [], []
        first = (node.id < node.links.ids)[:, None, None]  # D is subtracted from the end with the smaller id
        arrived = inbox.arrived[:, None, None]
        parts = zip(jax.tree.leaves(state.x), state.left, state.right, state.sent, inbox.content, strict=True)
        for x, left, right, sent, heard in parts:
            a, b = _matrix(x).shape
            difference = jnp.where(first, sent - heard, heard - sent)
            q, p = difference[:, :b], difference[:, :a]
            weights = jnp.where(first, -1, 1) * node.links.weights[:, None, None].astype(x.dtype)
            weights = jnp.where(arrived, weights, 0).astype(x.dtype)
            factors = jnp.where(even, left, p), jnp.where(even, q, right)
            change = jnp.einsum("kar,kbr->ab", weights * factors[0], factors[1], precision="highest")
            leaves.append(x + change.reshape(x.shape))
            lefts.append(jnp.where(even | ~arrived, left, _orthonormal(p, left)))
            rights.append(jnp.where(even & arrived, _orthonormal(q, right), right))
        x = jax.tree.structure(state.x).unflatten(leaves)
        return State(x, lefts, rights, state.sent, state.turn + 1, state.opt), {}

    def model(self, state: State) -> PyTree:
        return state.x


def _matrix(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0] if x.ndim else 1, -1)


def _padded(x: jax.Array, side: int) -> jax.Array:
    return jnp.pad(x, ((0, 0), (0, side - x.shape[1]), (0, 0)))


def _orthonormal(x: jax.Array, old: jax.Array) -> jax.Array:
    """The orthonormalised columns of each `[d, r]`, by Gram-Schmidt in two passes; `old` replaces a column of zeros."""
    done: list[jax.Array] = []
    for column in range(x.shape[2]):
        v = x[:, :, column]
        v = jnp.where(jnp.any(v != 0, axis=1, keepdims=True), v, jnp.broadcast_to(old[:, :, column], v.shape))
        for _ in range(2):
            # A column in the span of the others is rounding noise after the first pass; the second makes it orthogonal.
            v = v / jnp.maximum(jnp.sqrt(jnp.sum(v * v, axis=1, keepdims=True)), jnp.finfo(v.dtype).tiny)
            for other in done:
                v = v - other * jnp.sum(other * v, axis=1, keepdims=True)
        v = v / jnp.maximum(jnp.sqrt(jnp.sum(v * v, axis=1, keepdims=True)), jnp.finfo(v.dtype).tiny)
        done.append(v)
    return jnp.stack(done, axis=2)
