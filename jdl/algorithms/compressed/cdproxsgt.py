"""Compressed decentralized proximal stochastic gradient tracking."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.compressors import Compressor, TopK
from jdl.local import proximal
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["CDProxSGT"]


class State(NamedTuple):
    x: PyTree  # the model; in the second exchange, before mixing
    y: PyTree  # the tracker; in the first exchange, before mixing; zero at the start
    g: PyTree  # the gradient used last; zero at the start
    x_copy: PyTree  # the model as the neighbours hold it; zero at the start
    y_copy: PyTree  # the tracker as the neighbours hold it; zero at the start
    x_memory: PyTree  # what the compressor remembers of its messages in the second exchange
    y_memory: PyTree  # ... and in the first


@struct.dataclass
class CDProxSGT:
    """CDProxSGT, compressed proximal tracking: y' = y + g - g-;  y = y' + gamma_y (W - I) yh;  z = prox(x - lr y).

    Then x = z + gamma_x (W - I) xh. The copies yh and xh, which the neighbours hold, are updated by compressed
    differences: yh <- yh + C(y' - yh) before the first mixing, xh <- xh + C(z - xh) before the second. All variables
    but x start at zero. Without compression and with gamma_x = gamma_y = 1 it is `DProxSGT`, whose docstring explains
    the operator prox.

    Sends:
      the compressed difference of the tracker, then that of the model: two exchanges a round, on links
      that are reliable and the same in every round.

    Memory:
      5 models per node; a real node also keeps the weighted sums of its neighbours' copies, 2 more.

    Args:
      lr: step size of the gradient step and of the proximal operator.
      gamma_x: step size of the mixing of models; a coarser compression needs a smaller one.
      gamma_y: step size of the mixing of trackers; a coarser compression needs a smaller one.
      strength: strength of r: factor on the l1 norm, radius of the l2 ball, or sum of the simplex.
      prox: proximal operator of r: "l1", "l2_ball", "simplex", "non_negative", or a function (v, step, strength) -> v.
      compressor: compressor C, from `jdl.compressors`.

    References:
      Yan, Chen, Chen, Cui, Xu 2023, Compressed Decentralized Proximal Stochastic Gradient Method for Nonconvex
      Composite Problems with Heterogeneous Data, Algorithm 2.
    """

    lr: float = number(0.1, minimum=0)
    gamma_x: float = number(0.2, minimum=0, maximum=1)
    gamma_y: float = number(0.2, minimum=0, maximum=1)
    strength: float = number(1e-4, minimum=0)
    prox: str | Callable = static("l1")
    compressor: Compressor = TopK(0.1)

    needs: ClassVar[frozenset[str]] = frozenset(
        {"peers", "doubly_stochastic", "reliable", "copies", "fixed_links", "grad"}
    )
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send_y", "recv_y"), ("send_x", "recv_x"))

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        memory = self.compressor.init(params)
        return State(params, zero, zero, zero, zero, memory, memory)

    def send_y(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        y = tree.add(state.y, tree.sub(g, state.g))
        change = tree.sub(y, state.y_copy)
        difference, memory, bits = self.compressor(state.y_memory, change, jax.random.fold_in(node.key, 0))
        copy = tree.add(state.y_copy, difference)
        return Sized(copy, bits), state._replace(y=y, g=g, y_copy=copy, y_memory=memory)

    def recv_y(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(y=tree.axpy(self.gamma_y, tree.sub(inbox, state.y_copy), state.y)), {}

    def send_x(self, state: State, node: Node) -> tuple[Message, State]:
        prox = proximal.operator(self.prox)
        dtype = jnp.result_type(*jax.tree.leaves(state.x))
        step, strength = jnp.asarray(self.lr, dtype), jnp.asarray(self.strength, dtype)
        with jax.numpy_dtype_promotion("standard"):  # optax divides by integers, which strict promotion refuses
            z = prox(tree.axpy(-self.lr, state.y, state.x), step, strength)
        change = tree.sub(z, state.x_copy)
        difference, memory, bits = self.compressor(state.x_memory, change, jax.random.fold_in(node.key, 1))
        copy = tree.add(state.x_copy, difference)
        return Sized(copy, bits), state._replace(x=z, x_copy=copy, x_memory=memory)

    def recv_x(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(x=tree.axpy(self.gamma_x, tree.sub(inbox, state.x_copy), state.x)), {}

    def model(self, state: State) -> PyTree:
        return state.x
