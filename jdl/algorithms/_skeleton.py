"""The method in a few words.

Copy this file to `<family>/<name>.py`; the name of the file is the method's name on the command line.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["Skeleton"]


class State(NamedTuple):
    x: PyTree  # the model; add whatever else the next round needs, and nothing more


@struct.dataclass
class Skeleton:
    """Short name, the idea in three words: x_i <- sum_j W_ij (x_j - lr g_j(x_j)).

    Say which problem the method solves, where it is stable, and to which methods it reduces. It is written for one
    node: it has no node axis, no W and no other node.

    Sends:
      the message of a round, in words.

    Memory:
      1 model per node.

    Args:
      lr: step size of the gradient step.

    References:
      Authors, year, Title, Algorithm number.
    """

    lr: float = number(0.1, minimum=0)  # an array leaf, so that it can be swept; `static` for what changes shapes

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        return State(params)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        return tree.axpy(-self.lr, g, state.x), state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return State(inbox), {}

    def model(self, state: State) -> PyTree:
        return state.x
