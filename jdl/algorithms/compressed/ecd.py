"""ECD-PSGD: extrapolation compression."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.compressors import Compressor, Uniform
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["ECD"]


class State(NamedTuple):
    x: PyTree  # the model
    copy: PyTree  # what every neighbour takes the model to be
    step: PyTree  # the change by the local steps, between send and recv
    bits: jax.Array  # f[], the size in bits of the last C(z), by which the neighbours update their copies
    memory: PyTree  # what the compressor remembers
    t: jax.Array  # i32[], the number of rounds in which this node took part


@struct.dataclass
class ECD:
    """ECD-PSGD, extrapolation compression: neighbours average what they receive of points beyond the model.

    x_i' = sum_j W_ij copy_j - lr g_i(x_i);  z_i = (1 - t/2) x_i + (t/2) x_i';
    copy_i <- (1 - 2/t) copy_i + (2/t) C(z_i);  x_i <- x_i', in rounds t = 1, 2, ...

    copy_i is x_i plus an average of the errors of C, of which the last have the largest weights; if they are unbiased,
    its variance falls as 1/t. Without compression it is x_i, and the method is `DGD`. The theory needs an unbiased C
    whose error is bounded whatever z, which moves away as t grows; a C whose error is a share of ||z|| can diverge.
    `DCD` sends changes, and takes a C of high precision.

    Sends:
      C(z) of the last round, once a round, on reliable links; round 0 sends the starting model uncompressed.

    Memory:
      3 models per node; a real node also keeps the weighted sum of its neighbours' copies, 1 more.

    Args:
      lr: step size of the local steps.
      local_steps: number H of gradient steps that start at the unmixed model.
      compressor: compressor C, from `jdl.compressors`.

    References:
      Tang, Gan, Zhang, Zhang, Liu 2018, Communication Compression for Decentralized Training, Algorithm 2 (read in
      public code of CHOCO-SGD's experiments, whose t also begins at 1).
    """

    lr: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)
    compressor: Compressor = Uniform(bits=8)

    needs: ClassVar[frozenset[str]] = frozenset(
        {"peers", "doubly_stochastic", "reliable", "copies", "fixed_links", "grad"}
    )
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        bits, memory = jnp.float32(tree.size_bits(params)), self.compressor.init(params)
        return State(params, params, tree.zeros_like(params), bits, memory, jnp.int32(0))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        x, _ = local.local_steps(state.x, local.transform("sgd").init(state.x), node, self.lr, self.local_steps)
        return Sized(state.copy, state.bits), state._replace(step=tree.sub(x, state.x))

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        x, half = tree.add(inbox, state.step), (state.t + 1).astype(jnp.result_type(float)) / 2
        beyond = tree.axpy(half, tree.sub(x, state.x), state.x)
        sent, memory, bits = self.compressor(state.memory, beyond, node.key)
        copy = tree.axpy(1 / half, tree.sub(sent, state.copy), state.copy)
        return State(x, copy, tree.zeros_like(x), bits, memory, state.t + 1), {}

    def model(self, state: State) -> PyTree:
        return state.x
