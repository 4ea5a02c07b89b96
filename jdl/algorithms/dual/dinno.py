"""DiNNO: decentralized ADMM whose subproblem is approached by steps of an optimizer."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["DiNNO"]


class State(NamedTuple):
    x: PyTree  # the model
    dual: PyTree  # the multiplier p: the summed disagreement with the neighbours so far; sums to zero over nodes
    opt: PyTree  # state of the local optimizer, never sent; () where each round begins with a fresh one


@struct.dataclass
class DiNNO:
    """DiNNO: p += rho (x - W x);  H optimizer steps on f_i(u) + p^T u + rho sum_j W_ij |u - (x_i + x_j)/2|^2.

    It is `ADMM` for neural networks: Adam replaces exact minimisation, and rho can grow by a factor in every round.
    With plain gradient steps and a constant rho it is `ADMM` with `local_steps`, whose limit is the exact optimum under
    heterogeneity; with Adam the same point is fixed, but steps of constant size do not settle on it. The penalty of an
    edge is rho W_ij where the paper has rho, so that the mixed inbox is all that a node must know of its neighbours.

    Sends:
      the model, once a round.

    Memory:
      2 models per node, and the state of the optimizer.

    Args:
      lr: step size of the local steps.
      penalty: rho, the penalty of an edge of weight 1.
      growth: factor on the penalty in every round, also in the first.
      local_steps: number H of optimizer steps in a round.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      persistent: whether the state of the optimizer is kept from round to round. The authors' experiments begin every
        round with a fresh one.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Yu, Vincent, Schwager 2022, DiNNO: Distributed Neural Network Optimization for Multi-Robot Collaborative Learning,
      Algorithm 1 (abstract read; the iteration and its defaults read in the authors' code, nn_distributed_training, and
      in the third-party code of decent_bench).
    """

    lr: float = number(0.005, minimum=0)
    penalty: float = number(0.5, minimum=0)
    growth: float = number(1.0, minimum=0)
    local_steps: int = static(5, minimum=1)
    optimizer: local.Optimizer = static("adam")
    persistent: bool = static(False)
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "doubly_stochastic", "symmetric", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        opt = local.transform(self.optimizer).init(params) if self.persistent else ()
        return State(params, tree.zeros_like(params), opt)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        return state.x, state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        rho = self.penalty * self.growth ** (node.t + 1).astype(node.self_weight.dtype)
        apart = tree.sub(state.x, inbox)
        dual = tree.axpy(rho, apart, state.dual)
        curvature = 2 * rho * (1 - node.self_weight)

        def gradient(u, k):
            pull = tree.axpy(curvature, tree.sub(u, state.x), tree.axpy(rho, apart, dual))
            return tree.add(node.grad(u, k)[0], pull)

        lr, opt = local.rate(self.lr, self.decay, node.t), state.opt
        opt = opt if self.persistent else local.transform(self.optimizer).init(state.x)
        x, opt = local.local_steps(state.x, opt, node, lr, self.local_steps, self.optimizer, gradient)
        return State(x, dual, opt if self.persistent else ()), {}

    def model(self, state: State) -> PyTree:
        return state.x
