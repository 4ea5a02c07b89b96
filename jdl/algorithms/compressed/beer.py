"""BEER: compressed gradient tracking."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl.compressors import Compressor, TopK
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["BEER"]


class State(NamedTuple):
    x: PyTree  # the model
    v: PyTree  # the tracker, without this round's gradient until send; zero at the start
    g: PyTree  # the gradient used last; zero at the start
    copies: dict[str, PyTree]  # the copies of x and v that the neighbours hold: the paper's H and G
    memory: PyTree  # what the compressor remembers


@struct.dataclass
class BEER:
    """BEER, compressed gradient tracking: x <- x + gamma (W - I) H - lr v;  v <- v + gamma (W - I) G + g(x+) - g(x).

    v = g(x_0) at the start. H and G are copies of x and v that the neighbours hold, H <- H + C(x - H) and
    G <- G + C(v - G): only compressed differences are sent. mean(v) = mean(g) in every round for every C, so the limit
    is the exact optimum for any contractive C and any heterogeneity, if gamma is small enough for C.

    `start` sets the first copies: "zero" as published, where the first round does not mix; or "matched", H = x_0 and
    G = g(x_0), which round 0 sends uncompressed. With "matched", without compression and with gamma = 1 it is `DIGing`;
    with "zero" it differs from `DIGing` even then.

    Sends:
      the compressed differences of model and tracker, together, once a round, on links that are reliable and
      the same in every round.

    Memory:
      5 models per node; a real node also keeps the weighted sum of its neighbours' copies, 2 more.

    Args:
      lr: step size.
      gamma: step size of the mixing; a coarser compression needs a smaller one.
      compressor: compressor C, from `jdl.compressors`.
      start: first copies, "zero" or "matched".

    Raises:
      InputError: if `start` is neither "zero" nor "matched"; raised when the simulation is built.

    References:
      Zhao, Li, Li, Richtarik, Chi 2022, BEER: Fast O(1/T) Rate for Decentralized Nonconvex Optimization with
      Communication Compression, Algorithm 1.
    """

    lr: float = number(0.1, minimum=0)
    gamma: float = number(0.2, minimum=0, maximum=1)
    compressor: Compressor = TopK(0.1)
    start: str = static("zero")

    needs: ClassVar[frozenset[str]] = frozenset(
        {"peers", "doubly_stochastic", "reliable", "copies", "fixed_links", "grad"}
    )
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        if self.start not in ("zero", "matched"):
            raise checks.InputError(f"got start={self.start!r}, need 'zero' or 'matched'; try start='zero'")
        zero = tree.zeros_like(params)
        copies = {"x": zero, "v": zero}
        return State(params, zero, zero, copies, self.compressor.init(copies))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        state = state._replace(v=tree.add(state.v, tree.sub(g, state.g)), g=g)
        now = {"x": state.x, "v": state.v}
        difference, memory, bits = self.compressor(state.memory, tree.sub(now, state.copies), node.key)
        whole = now if self.start == "matched" else state.copies
        first = jnp.float32(tree.size_bits(now) if self.start == "matched" else 0)
        copies = tree.where(node.t == 0, whole, tree.add(state.copies, difference))
        memory = tree.where(node.t == 0, state.memory, memory)  # round 0 sends nothing that was compressed
        return Sized(copies, jnp.where(node.t == 0, first, bits)), state._replace(copies=copies, memory=memory)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        mixed = tree.scale(self.gamma, tree.sub(inbox, state.copies))
        x = tree.axpy(-self.lr, state.v, tree.add(state.x, mixed["x"]))
        return state._replace(x=x, v=tree.add(state.v, mixed["v"])), {}

    def model(self, state: State) -> PyTree:
        return state.x
