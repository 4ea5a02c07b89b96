"""Push-pull, or AB: gradient tracking on directed graphs.

    x_i <- sum_j A_ij (x_j - lr y_j)            A: the weights of the plan, whose rows sum to one
    y_i <- sum_j B_ij y_j + g_i(x_i+) - g_i(x_i)    B: equal shares among the out-neighbours, whose columns sum to one

The sum of the trackers y stays the sum of the gradients, and all models end at the optimum, without a doubly
stochastic W. The two parts of one message are mixed in two ways: `x` is a plain part and `y` is a `Push` part.

Sources: Xin, Khan 2018, A Linear Algorithm for Optimization over Directed Graphs with Geometric Convergence; Pu, Shi,
Xu, Nedic 2018, Push-Pull Gradient Methods for Distributed Optimization in Networks (this order of the step).
"""

from typing import NamedTuple

from flax import struct

from jdl import tree
from jdl.types import Push, PyTree, number


class State(NamedTuple):
    x: PyTree  # the model
    y: PyTree  # the tracker of the sum of gradients, a share of it
    g: PyTree  # the newest gradient


@struct.dataclass
class PushPull:
    lr: float = number(0.1, minimum=0)

    needs = frozenset({"peers", "row_stochastic", "push", "grad"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        zero = tree.zeros_like(params)
        return State(params, zero, zero)

    def send(self, state, node):
        # The gradient at the model of the last round enters the tracker before the tracker is used.
        g, _ = node.grad(state.x)
        y = tree.add(state.y, tree.sub(g, state.g))
        return {"x": tree.axpy(-self.lr, y, state.x), "y": Push(y)}, state._replace(g=g)

    def recv(self, state, inbox, node):
        return state._replace(x=inbox["x"], y=inbox["y"]), {}

    def model(self, state):
        return state.x
