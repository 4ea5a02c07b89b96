"""DCD-PSGD: difference compression."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.compressors import Compressor, Uniform
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["DCD"]


class State(NamedTuple):
    x: PyTree  # the model, of which every neighbour holds an exact copy
    step: PyTree  # the change by the local steps, between send and recv
    bits: jax.Array  # f[], the size in bits of the last change, by which the neighbours update their copies
    memory: PyTree  # what the compressor remembers


@struct.dataclass
class DCD:
    """DCD-PSGD, difference compression: x_i <- x_i + C(sum_j W_ij x_j - lr g_i(x_i) - x_i).

    Nodes send the compressed change of their model, so neighbours hold exact copies of each other. Without compression
    it is `DGD`. The theory needs an unbiased C of high precision: a coarse C diverges, and a biased C lets the mean
    over nodes drift. `CHOCO` (`DPSGD` over `exchange.Choco`) works with any C.

    Sends:
      the compressed change of the last round, once a round, on links that are reliable and the same in every round;
      round 0 sends the starting model uncompressed.

    Memory:
      2 models per node; a real node also keeps the weighted sum of its neighbours' copies, 1 more.

    Args:
      lr: step size of the local steps.
      local_steps: number H of gradient steps that start at the unmixed model.
      compressor: compressor C, from `jdl.compressors`.

    References:
      Tang, Gan, Zhang, Zhang, Liu 2018, Communication Compression for Decentralized Training, Algorithm 1 (from memory:
      no public code found).
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
        bits = jnp.float32(tree.size_bits(params))
        return State(params, tree.zeros_like(params), bits, self.compressor.init(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        x, _ = local.local_steps(state.x, local.transform("sgd").init(state.x), node, self.lr, self.local_steps)
        return Sized(state.x, state.bits), state._replace(step=tree.sub(x, state.x))

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        wanted = tree.add(tree.sub(inbox, state.x), state.step)
        change, memory, bits = self.compressor(state.memory, wanted, node.key)
        return State(tree.add(state.x, change), tree.zeros_like(change), bits, memory), {}

    def model(self, state: State) -> PyTree:
        return state.x
