"""RelaySGD: sums that are relayed along a tree."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PerLink, PyTree, number, static

__all__ = ["RelaySGD"]


class State(NamedTuple):
    x: PyTree  # the model; between send and recv, after the local steps
    start: PyTree  # x^0, which stands in for models that did not arrive; () where counts do that
    sums: PyTree  # [k, ...], the sum of models that each neighbour relayed last
    counts: jax.Array  # f[k], of how many models
    opt: PyTree  # state of the optimizer, local


@struct.dataclass
class RelaySGD:
    """RelaySGD, on trees: m_ij <- z_i + sum of m_ki from others than j;  x_i <- (z_i + sum_j m_ji + rest x^0) / n.

    z_i is x_i after the local steps. Each node's model reaches each other node once, after as many rounds as there are
    links between them: x_i^{t+1} = (1/n) sum_j z_j^{t - max(0, dist_ij - 1)}. So all weigh the same, the limit is the
    exact optimum whatever the heterogeneity, and mixing does not slow down as the graph grows, only delays do. On the
    star, and on two nodes, it is large-batch gradient descent with at most one round of delay.

    Only for trees, such as `chain`, `star`, `binary_tree`: on a cycle models would be counted again and again. The
    report `reached`, of how many models a node holds, grows to n. Weights are not used (of needs, a stochastic one
    says that a method mixes).

    A message that is lost leaves its models out, and the count says how many: `rest`, the number of models that did not
    arrive, counts as x^0, or with `by_count` not at all, x_i <- (z_i + sum_j m_ji) / count. The former is the one
    analysed; the latter holds against losses late in a run, when x^0 is far away.

    Sends:
      to each neighbour a sum of models of its own, and how many it is of, once a round.

    Memory:
      k + 2 models for k neighbours, and k for the message.

    Args:
      lr: rate.
      local_steps: as in `DPSGD`.
      optimizer: as in `DPSGD`.
      decay: as in `DPSGD`.
      by_count: whether to average over what arrived alone.

    References:
      Vogels, He, Koloskova, Lin, Karimireddy, Stich, Jaggi 2021, RelaySum for Decentralized Deep Learning on
      Heterogeneous Data, Algorithm 1 (RelaySum/Model); `by_count` from the authors' code.
    """

    lr: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)
    optimizer: local.Optimizer = static("sgd")
    decay: local.Decay | None = static(None)
    by_count: bool = static(False)

    needs: ClassVar[frozenset[str]] = frozenset(
        {"peers", "row_stochastic", "symmetric", "per_link", "one_by_one", "fixed_links", "tree", "grad"}
    )
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, node: Node) -> State:
        k = node.links.ids.shape[0]
        sums = jax.tree.map(lambda x: jnp.zeros((k, *x.shape), x.dtype), params)
        start = () if self.by_count else params
        return State(params, start, sums, jnp.zeros(k, jnp.float32), local.transform(self.optimizer).init(params))

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        lr = local.rate(self.lr, self.decay, node.t)
        z, opt = local.local_steps(state.x, state.opt, node, lr, self.local_steps, self.optimizer)
        # To each neighbour all that is known but what it sent itself.
        sums = jax.tree.map(lambda total, sums: total[None] - sums, _total(z, state.sums), state.sums)
        message = {"sum": sums, "count": 1 + jnp.sum(state.counts) - state.counts}
        return PerLink(message), state._replace(x=z, opt=opt)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        sums, counts = inbox.content["sum"], inbox.content["count"]
        reached = 1 + jnp.sum(counts)
        total = _total(state.x, sums)
        share = reached
        if not self.by_count:
            share = node.n.astype(reached.dtype)
            total = tree.axpy(share - reached, state.start, total)
        # Cast before the division: counts are small whole numbers, their inverses are not.
        x = jax.tree.map(lambda total: total / share.astype(total.dtype), total)
        return state._replace(x=x, sums=sums, counts=counts), {"reached": reached}

    def model(self, state: State) -> PyTree:
        return state.x


def _total(own: PyTree, sums: PyTree) -> PyTree:
    return jax.tree.map(lambda own, sums: own + jnp.sum(sums, axis=0), own, sums)
