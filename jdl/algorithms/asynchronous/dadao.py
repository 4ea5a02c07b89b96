"""DADAO: accelerated descent and accelerated gossip, both at random times and none waiting for the other."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import FULL, Info, Message, Node, PyTree, number

__all__ = ["DADAO"]


class State(NamedTuple):
    x: PyTree  # the model, and a second sequence of it, which makes descent faster
    xt: PyTree
    y: PyTree  # the dual variable of the gradient
    yt: PyTree
    z: PyTree  # the dual variable of the agreement of all models, whose sum over the nodes is zero
    zt: PyTree


@struct.dataclass
class DADAO:
    """DADAO, six vectors of a node drift by a linear equation; a gradient moves x, x~, y~, and a meeting z, z~.

    With nu = mu / 2, L = 1 / lr and q = sqrt(nu / L), between two events of a node

        x' = q/8 (x~ - x),   y' = q/4 (y~ - y),                      z' = q/4 (z~ - z),
        x~' = q/8 (x - x~),  y~' = -(nu x~ + y + z) / (2 q),         z~' = q/8 (z - z~),

    which is integrated exactly. In a gradient event, with r = grad f_i(x) - nu x - y~, x loses r / (4 L), x~ loses
    r / (4 sqrt(L nu)), and y~ gains (1 + q/4) r. In a meeting, with p = (y_i + z_i) - (y_j + z_j), z_i loses p / 2 and
    z~_i loses 2 chi1 p / q. Where both happen in one round their order does not matter. All models reach the
    optimum linearly, in a number of gradients of order sqrt(L / mu), for every connected graph whose edges are used
    often enough: sqrt(2 chi1 chi2) <= 1, where chi1 and chi2 are those of `jdl.topology.meeting_constants` at the rates
    of the plan, in units of the mean time between two gradients of a node, which is one second.

    It is made for `jdl.schedule.Waves.poisson`. In rounds of another schedule a second passes each round, and
    p = 2 (y_i + z_i - sum_j W_ij (y_j + z_j)). Between events, the model of a node is x at its last event. Losses must
    be strongly convex.

    Sends:
      y + z, once a meeting; nothing in a gradient event.

    Memory:
      6 models per node.

    Args:
      lr: 1 / L, the inverse of the largest smoothness constant of a node's loss.
      mu: the strong convexity of every node's loss, at most 1 / lr.
      chi1: 1 / lambda_2 of the Laplacian of the edges' rates, in seconds; see `jdl.topology.meeting_constants`. The
        default is that of a large complete graph whose nodes meet twice a second.

    References:
      Nabli, Oyallon 2023, DADAO: Decoupled Accelerated Decentralized Asynchronous Optimization, Algorithm 1 (number
      from memory). The public code of its authors was read: the matrix of the drift, both kinds of steps, all
      constants. It starts x~ at zero, and here x~ starts at x, so that a start at the optimum stays near it.
    """

    lr: float = number(0.1, minimum=0)
    mu: float = number(0.1, minimum=0)
    chi1: float = number(0.5, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "grad", "full"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zeros = tree.zeros_like(params)
        return State(params, params, zeros, zeros, zeros, zeros)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        nu, lr = jnp.asarray(self.mu) / 2, jnp.asarray(self.lr)
        q = jnp.sqrt(nu * lr)
        now = _drifted(state, nu, q, node.elapsed)
        gradient = node.grad(now.x, FULL)[0]
        # Of a node that does not work the gradient is zero, and the rest of its step would not be.
        there = node.works.astype(q.dtype)
        r = tree.scale(there, tree.sub(tree.axpy(-nu, now.x, gradient), now.yt))
        now = now._replace(
            x=tree.axpy(-lr / 4, r, now.x),
            xt=tree.axpy(-lr / (4 * q), r, now.xt),  # 1 / sqrt(L nu) is lr / q
            yt=tree.axpy(1 + q / 4, r, now.yt),
        )
        return tree.add(now.y, now.z), now

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        way = tree.sub(inbox, tree.add(state.y, state.z))  # -p / 2 of a pair
        strength = 4 * jnp.asarray(self.chi1) / jnp.sqrt(jnp.asarray(self.mu) / 2 * self.lr)
        return state._replace(z=tree.add(state.z, way), zt=tree.axpy(strength, way, state.zt)), {}

    def model(self, state: State) -> PyTree:
        return state.x


def _drifted(state: State, nu: jax.Array, q: jax.Array, seconds: jax.Array) -> State:
    """The state some seconds later, where nothing happens: the exponential of a matrix of 6 x 6, in closed form.

    x and z move towards x~ and z~, by themselves. With w = (y, y~), a = q/4 and b = 1 / (2 q), w' = B w + (0, f), where
    B = [[-a, a], [-b, 0]] and f = -b (nu x~ + z) is a constant and two exponentials. As a b = 1/8 and a^2 < 4 a b, the
    eigenvalues of B are complex, and an exponential exp(-k s) is never one of its own: it moves
    (-k - B)^-1 (0, 1) = (a, a - k) / (k^2 - a k + a b) along.
    """
    dtype = jnp.result_type(q, seconds)
    s, a, b = seconds.astype(dtype), q / 4, 1 / (2 * q)
    near, far = jnp.exp(-q / 4 * s), jnp.exp(-3 * q / 8 * s)  # of x - x~, and of z - z~
    turn = jnp.sqrt(a * b - a * a / 4)
    fade, cosine, sine = jnp.exp(-a / 2 * s), jnp.cos(turn * s), jnp.sin(turn * s) / turn
    along = lambda k: (a / (k * k - a * k + a * b), (a - k) / (k * k - a * k + a * b))

    def leaf(x, xt, y, yt, z, zt):
        number = lambda v: jnp.asarray(v, x.dtype)
        middle, half = (x + xt) / 2, (x - xt) / 2
        level, rest = (z + 2 * zt) / 3, 2 * (z - zt) / 3
        # f = -b (nu middle + level) + b nu half exp(-q/4 s) - b rest exp(-3q/8 s)
        forces = (
            (0 * q, -number(b * nu) * middle - number(b) * level, jnp.ones_like(q)),
            (q / 4, number(b * nu) * half, near),
            (3 * q / 8, -number(b) * rest, far),
        )
        before, after = [0, 0], [0, 0]
        for k, force, decay in forces:
            for place, share in enumerate(along(k)):
                before[place] = before[place] + number(share) * force
                after[place] = after[place] + number(share * decay) * force
        u, v = y - before[0], yt - before[1]  # what is left turns by itself
        turned = (
            number(fade * (cosine - a / 2 * sine)) * u + number(fade * a * sine) * v,
            number(-fade * b * sine) * u + number(fade * (cosine + a / 2 * sine)) * v,
        )
        return (
            middle + number(near) * half,
            middle - number(near) * half,
            turned[0] + after[0],
            turned[1] + after[1],
            level + number(far) * rest,
            level - number(far) * rest / 2,
        )

    leaves = [jax.tree.leaves(part) for part in state]
    moved = zip(*(leaf(*parts) for parts in zip(*leaves, strict=True)), strict=True)
    return State(*(jax.tree.unflatten(jax.tree.structure(state.x), part) for part in moved))
