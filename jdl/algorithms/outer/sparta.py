"""SPARTA: peers that average a random few of their parameters in every round."""

from __future__ import annotations

import itertools
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["SPARTA"]


class State(NamedTuple):
    x: PyTree  # the node's model
    opt: PyTree  # state of the local optimizer, never sent


@struct.dataclass
class SPARTA:
    """SPARTA, sparse averaging of models: y_i = x_i - lr g_i(x_i);  x_i <- y_i + S (sum_j W_ij y_j - y_i), S random.

    S chooses each parameter with probability p, anew in every round and the same at all nodes, so that the places of
    the chosen ones need not be sent. After t rounds the share 1 - (1 - p)^t of the parameters has been averaged at
    least once. The authors average over all nodes (W = J); here W may be any row-stochastic matrix. With p = 1 it is
    `DPSGD`. Their combination with DiLoCo, an outer step every H rounds, is `SlowMo(base=SPARTA())` over a schedule
    that averages exactly in those rounds, with the heavy ball as outer optimizer.

    Sends:
      the chosen parameters, p of a model on average.

    Memory:
      1 model per node, and the optimizer's state.

    Args:
      lr: step size of the local steps.
      fraction: probability p that a parameter is averaged in a round (0.005 in the authors' code).
      local_steps: number H of gradient steps before each exchange.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Beton, Baioumy, van der Ouderaa, Reed, Howes, Cheema, Vrabie 2025, Improving the Efficiency of Distributed
      Training using Sparse Parameter Averaging, whose text was not at hand; the step is that of the authors'
      code, EXO Gym (`sparta.py`, `RandomIndexSelector`).
    """

    lr: float = number(0.1, minimum=0)
    fraction: float = number(0.1, minimum=0, maximum=1)
    local_steps: int = static(1, minimum=1)
    optimizer: local.Optimizer = static("sgd")
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        return State(params, local.transform(self.optimizer).init(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        lr = local.rate(self.lr, self.decay, node.t)
        y, opt = local.local_steps(state.x, state.opt, node, lr, self.local_steps, self.optimizer)
        chosen = self._chosen(y, node)
        sizes = jax.tree.map(lambda at, y: jnp.sum(at, dtype=jnp.float32) * (y.dtype.itemsize * 8), chosen, y)
        message = jax.tree.map(lambda at, y: jnp.where(at, y, 0), chosen, y)
        return Sized(message, sum(jax.tree.leaves(sizes))), State(y, opt)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return state._replace(x=jax.tree.map(jnp.where, self._chosen(inbox, node), inbox, state.x)), {}

    def _chosen(self, params: PyTree, node: Node) -> PyTree:
        """Which parameters are averaged in this round: one draw over all of them, by the key that all nodes share."""
        leaves, structure = jax.tree.flatten(params)
        *ends, total = itertools.accumulate(leaf.size for leaf in leaves)
        parts = jnp.split(jax.random.uniform(node.common, (total,)) < self.fraction, ends)
        return structure.unflatten([part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)])

    def model(self, state: State) -> PyTree:
        return state.x
