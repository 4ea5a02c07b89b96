"""D2: decentralized training over decentralized data."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number

__all__ = ["D2"]


class State(NamedTuple):
    x: PyTree  # the model; between send and recv, the message that was sent
    y: PyTree  # the dual variable: the sum of what mixing subtracted so far; sums to zero over nodes


@struct.dataclass
class D2:
    """D2, exact under heterogeneity: x <- W (2 x - x- - lr (g(x) - g(x-))),  x_1 = W (x_0 - lr g(x_0)).

    The code uses the primal-dual form, z = x - lr g(x) - y; x+ = W z; y+ = y + z - x+, y_0 = 0. It has the same
    iterates, while the two-term form drifts away from the optimum in float32, linearly in the number of rounds.

    D2 is stable only if the smallest eigenvalue of W is above -1/3. An even ring with Metropolis weights has the
    eigenvalue -1/3 and is therefore excluded. `ExactDiffusion` is D2 on (I + W)/2 and has no such condition.

    Sends:
      the corrected model, once a round.

    Memory:
      2 models per node.

    Args:
      lr: step size.

    References:
      Tang, Lian, Yan, Zhang, Liu 2018, D2: Decentralized Training over Decentralized Data, Algorithm 1.
    """

    lr: float = number(0.1, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, tree.zeros_like(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        z = tree.sub(tree.axpy(-self.lr, g, state.x), state.y)
        return z, state._replace(x=z)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return State(inbox, tree.add(state.y, tree.sub(state.x, inbox))), {}

    def model(self, state: State) -> PyTree:
        return state.x
