"""DeepSqueeze: compression with error feedback."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import local, tree
from jdl.compressors import Compressor, TopK
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["DeepSqueeze"]


class State(NamedTuple):
    x: PyTree  # the model; between send and recv, the model after the local steps
    error: PyTree  # the sum of what compression left out, added to the next message; zero at the start
    sent: PyTree  # the message as the neighbours decode it, between send and recv
    memory: PyTree  # what the compressor remembers


@struct.dataclass
class DeepSqueeze:
    """DeepSqueeze, error feedback: h = x - lr g;  v = h + error;  error <- v - C(v);  x <- h + gamma (W - I) C(v).

    The models themselves are compressed, and the part that is left out is sent later. No copies of neighbours are kept,
    so a lost message does no lasting harm. Without compression and with gamma = 1 it is `DPSGD`. mean(x) moves by
    exactly -lr mean(g). Messages do not shrink as nodes agree, hence an error floor, which `CHOCO` (`DPSGD` over
    `exchange.Choco`) does not have.

    Sends:
      the compressed sum of model and error, once a round.

    Memory:
      3 models per node.

    Args:
      lr: step size of the local steps.
      gamma: step size of the mixing; a coarser compression needs a smaller one.
      local_steps: number H of gradient steps before each exchange.
      compressor: compressor C, from `jdl.compressors`.

    References:
      Tang, Lian, Qiu, Yuan, Zhang, Zhang, Liu 2019, DeepSqueeze: Decentralization Meets Error-Compensated Compression,
      Algorithm 1 (from memory).
    """

    lr: float = number(0.1, minimum=0)
    gamma: float = number(0.2, minimum=0, maximum=1)
    local_steps: int = static(1, minimum=1)
    compressor: Compressor = TopK(0.1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        zero = tree.zeros_like(params)
        return State(params, zero, zero, self.compressor.init(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        x, _ = local.local_steps(state.x, local.transform("sgd").init(state.x), node, self.lr, self.local_steps)
        v = tree.add(x, state.error)
        sent, memory, bits = self.compressor(state.memory, v, node.key)
        return Sized(sent, bits), State(x, tree.sub(v, sent), sent, memory)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(x=tree.axpy(self.gamma, tree.sub(inbox, state.sent), state.x)), {}

    def model(self, state: State) -> PyTree:
        return state.x
