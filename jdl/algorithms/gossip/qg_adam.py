"""Decentralized Adam with quasi-global moments."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["QGAdam"]

# Added to the norm, so that a model that did not move causes no division by zero; the value of the official code.
STILL = 1e-8


class State(NamedTuple):
    x: PyTree  # the model; between send and recv, the model before the step
    m: PyTree  # first quasi-global moment; zero at the start
    v: PyTree  # second quasi-global moment; zero at the start
    count: jax.Array  # i32[], number of rounds in which this node took part


@struct.dataclass
class QGAdam:
    """Quasi-global Adam: x+ = W (x - lr a / (sqrt(c) + eps));  m, v <- moments of d = (x - x+) / |x - x+|.

    The step uses a = b1 m + (1 - b1) g and c = b2 v + (1 - b2) g^2, both with bias correction. m and v are moments of
    the direction in which the model moved in a round, mixing included; the direction is normalised by one norm over the
    whole model. With b1 = b2 = 0 it is sign descent followed by mixing.

    Sends:
      the model after the step, once a round.

    Memory:
      3 models per node.

    Args:
      lr: step size.
      b1: decay of the first moment m.
      b2: decay of the second moment v.
      eps: constant added to sqrt(c).

    References:
      Lin, Karimireddy, Stich, Jaggi 2021, Quasi-Global Momentum: Accelerating Decentralized Deep Learning on
      Heterogeneous Data, appendix (QG-DAdam), with the bias correction that all versions of its official code have. The
      versions disagree on the factor of g in a (1, or 1 - b1 as here) and on whether m is quasi-global.
    """

    lr: float = number(0.01, minimum=0)
    b1: float = number(0.9, minimum=0, maximum=1)
    b2: float = number(0.999, minimum=0, maximum=1)
    eps: float = number(1e-8, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero, jnp.int32(0))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        first, second = self._moments(state, g)
        count = (state.count + 1).astype(jnp.result_type(self.b1))
        first, second = tree.scale(1 / (1 - self.b1**count), first), tree.scale(1 / (1 - self.b2**count), second)
        step = jax.tree.map(lambda a, c: a / (jnp.sqrt(c) + jnp.asarray(self.eps, c.dtype)), first, second)
        return tree.axpy(-self.lr, step, state.x), state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        moved = tree.sub(state.x, inbox)
        norm = jnp.sqrt(tree.norm_squared(moved))
        m, v = self._moments(state, tree.scale(1 / (norm + jnp.asarray(STILL, norm.dtype)), moved))
        return State(inbox, m, v, state.count + 1), {}

    def _moments(self, state: State, x: PyTree) -> tuple[PyTree, PyTree]:
        """Both moments of the state after one more observation `x`."""
        square = jax.tree.map(jnp.square, x)
        m = tree.axpy(self.b1, state.m, tree.scale(1 - self.b1, x))
        return m, tree.axpy(self.b2, state.v, tree.scale(1 - self.b2, square))

    def model(self, state: State) -> PyTree:
        return state.x
