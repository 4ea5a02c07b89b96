"""RelaySGD: sums of models are relayed along a tree."""

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
    start: PyTree  # x^0, which stands in for models that did not arrive; () with `by_count`
    sums: PyTree  # [k, ...], the last sum of models that each neighbour relayed
    counts: jax.Array  # f[k], the number of models in each sum
    opt: PyTree  # state of the local optimizer, never sent


@struct.dataclass
class RelaySGD:
    """RelaySGD, on trees: m_ij <- z_i + sum of m_ki from others than j;  x_i <- (z_i + sum_j m_ji + rest x^0) / n.

    z_i is x_i after the local steps. The model of each node reaches each other node once, after as many rounds as there
    are links between them: x_i^{t+1} = (1/n) sum_j z_j^{t - max(0, dist_ij - 1)}. All models have the same weight, so
    the limit is the exact optimum for any heterogeneity; a larger graph adds delay but does not slow down mixing. On
    the star, and on two nodes, it is large-batch gradient descent with at most one round of delay.

    It runs on trees only, such as `chain`, `star`, `binary_tree`: on a cycle a model would be counted repeatedly. The
    metric `reached` is the number of models that a node's sum holds; it grows to n. The values of W are not used.

    When a message is lost, its models are missing from the sum, and the count says how many models the sum holds.
    `rest` is the number of missing models; x^0 stands in for them. With `by_count` they are left out instead,
    x_i <- (z_i + sum_j m_ji) / count. The paper analyses the former; the latter tolerates losses late in a run, when
    x^0 is far away.

    Sends:
      to each neighbour a sum of models, which differs between neighbours, and the number of models in it, once a round.

    Memory:
      k + 2 models for k neighbours, and k for the message.

    Args:
      lr: step size of the local steps.
      local_steps: number H of gradient steps before each exchange.
      optimizer: local optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.
      by_count: whether to average over the models that arrived, without x^0 for the others.

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
        {"peers", "links", "symmetric", "per_link", "one_by_one", "fixed_links", "tree", "grad"}
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
        # Each neighbour receives the whole sum less the part that it sent itself.
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
        # Cast before the division: counts are small integers and exact in any dtype, their inverses are not.
        x = jax.tree.map(lambda total: total / share.astype(total.dtype), total)
        return state._replace(x=x, sums=sums, counts=counts), {"reached": reached}

    def model(self, state: State) -> PyTree:
        return state.x


def _total(z: PyTree, sums: PyTree) -> PyTree:
    return jax.tree.map(lambda z, sums: z + jnp.sum(sums, axis=0), z, sums)
