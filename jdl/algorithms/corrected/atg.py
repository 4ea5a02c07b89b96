"""ATG: gradient tracking whose averages are computed by ADMM."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PerLink, PyTree, number

__all__ = ["ATG"]


class State(NamedTuple):
    x: PyTree  # the model
    z: PyTree  # {"y", "s"}: [k, ...], for each neighbour the variable of this end of the edge


@struct.dataclass
class ATG:
    """ATG, averages by ADMM: (y, s) = ((x, g(x)) + sum_j z_ij) / (1 + rho d);  x <- x + mixing (y - x) - lr s.

    Then z_ij <- (1 - relaxation) z_ij + relaxation (2 rho (y_j, s_j) - z_ji). Distributed ADMM computes the averages of
    models and gradients that gradient tracking computes by a linear filter: y and s follow the means of x and of g(x).
    A variable of an edge stays as it is when its message is lost, and the fixed point does not depend on where these
    variables start. So the method stays exact under heterogeneity where single messages are lost; a tracker, which must
    keep its sum, does not. The values of W are not used: all edges have the penalty rho, d is the number of neighbours,
    and the links are the same in every round.

    At the start z_ij is rho x_i for the models and zero for the gradients; the paper permits any start.

    Sends:
      to each neighbour 2 rho (y, s) - z_ij, two models which differ between neighbours, once a round.

    Memory:
      1 + 2 k models for k neighbours, and 2 k for the message.

    Args:
      lr: step size, gamma delta in the paper.
      mixing: step from the model towards the estimate of the mean model, gamma in the paper.
      penalty: rho, the penalty of an edge.
      relaxation: alpha, between 0 and 1.

    References:
      Carnevale, Bastianello, Notarstefano, Carli 2025, ADMM-Tracking Gradient for Distributed Optimization over
      Asynchronous and Unreliable Networks (abstract read; the iteration, and what a lost message changes, read in the
      third-party code of decent_bench, whose authors include one of the paper's).
    """

    lr: float = number(0.1, minimum=0)
    mixing: float = number(0.5, minimum=0)
    penalty: float = number(1.0, minimum=0)
    relaxation: float = number(0.5, minimum=0, maximum=1)

    needs: ClassVar[frozenset[str]] = frozenset(
        {"peers", "links", "symmetric", "per_link", "one_by_one", "fixed_links", "grad"}
    )
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        used = node.links.used
        rows = lambda x: jnp.where(_along(used, x), jnp.broadcast_to(x, (used.shape[0], *x.shape)), 0).astype(x.dtype)
        z = tree.scale(self.penalty, jax.tree.map(rows, params))
        return State(params, {"y": z, "s": tree.zeros_like(z)})

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        g, _ = node.grad(state.x)
        share = 1 / (1 + self.penalty * jnp.sum(node.links.used).astype(jnp.result_type(float)))
        sums = jax.tree.map(lambda z: jnp.sum(z, axis=0), state.z)
        means = tree.scale(share, tree.add({"y": state.x, "s": g}, sums))
        twice = tree.scale(2 * self.penalty, means)
        message = jax.tree.map(lambda twice, z: twice[None] - z, twice, state.z)
        moved = tree.axpy(self.mixing, tree.sub(means["y"], state.x), state.x)
        return PerLink(message), state._replace(x=tree.axpy(-self.lr, means["s"], moved))

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        def update(z, heard):
            step = jnp.asarray(self.relaxation, z.dtype) * (heard - z)
            return jnp.where(_along(inbox.arrived, z[0]), z + step, z)

        return state._replace(z=jax.tree.map(update, state.z, inbox.content)), {}

    def model(self, state: State) -> PyTree:
        return state.x


def _along(rows: jax.Array, x: jax.Array) -> jax.Array:
    """`rows: [k]` with one more axis for each of `x`."""
    return rows.reshape(-1, *(1,) * x.ndim)
