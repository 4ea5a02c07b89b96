"""Federated averaging with an adaptive optimizer on the server: FedAdagrad, FedAdam, FedYogi."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["FedOpt"]

# The update of the second moment v by a squared change, as a function of 1 - beta2. The form v + (1 - beta2)(...),
# instead of a mean of two, leaves v exactly unchanged for beta2 = 1.
SECOND_MOMENTS = {
    "adagrad": lambda v, square, rest: v + square,
    "adam": lambda v, square, rest: v + rest * (square - v),
    "yogi": lambda v, square, rest: v - rest * square * jnp.sign(v - square),
}


class State(NamedTuple):
    x: PyTree  # the server's model
    m: PyTree  # the first moment: running mean of the clients' mean changes
    v: PyTree  # the second moment of each parameter; tau^2 at the start


@struct.dataclass
class FedOpt:
    """FedOpt, adaptive steps on the server: m <- b1 m + (1 - b1) d;  x <- x + server_lr m / (sqrt(v) + tau).

    d = sum_k p_k (y_k - x) is the mean change by H local steps of the m sampled clients. `kind` selects the update of
    v: "adagrad" v <- v + d^2; "adam" v <- b2 v + (1 - b2) d^2; "yogi" v <- v - (1 - b2) d^2 sign(v - d^2). As in the
    paper there is NO bias correction of the moments, unlike in `optax.adam`; m_0 = 0 and v_0 = tau^2. With b1 = 0 and
    sqrt(v) + tau kept at 1 it is `FedAvg`. `FedAvgM` is the same idea with plain momentum.

    Sends:
      the server sends its model to m clients; each client returns its change of the model.

    Memory:
      3 models on the server, none on clients between rounds.

    Args:
      lr: step size of the clients' steps.
      server_lr: step size of the server; a parameter moves by about this much in a round.
      beta1: decay b1 of the first moment m.
      beta2: decay b2 of the second moment v; not used with "adagrad".
      tau: constant added to sqrt(v), the paper's degree of adaptivity.
      local_steps: number H of gradient steps of each client in a round.
      kind: update of the second moment: "adagrad", "adam" or "yogi".
      weighted: whether a client's weight is its number of examples (True), or all clients weigh the same (False).
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    Raises:
      InputError: if `kind` is none of the three; raised when the simulation is built.

    References:
      Reddi, Charles, Zaheer, Garrett, Rush, Konecny, Kumar, McMahan 2021, Adaptive Federated Optimization, Algorithm 2.
    """

    lr: float = number(0.1, minimum=0)
    server_lr: float = number(0.03, minimum=0)
    beta1: float = number(0.9, minimum=0, maximum=1)
    beta2: float = number(0.99, minimum=0, maximum=1)
    tau: float = number(1e-3, minimum=1e-12)
    local_steps: int = static(1, minimum=1)
    kind: str = static("adam")
    weighted: bool = static(True)
    decay: local.Decay | None = static(None)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        if self.kind not in SECOND_MOMENTS:
            raise checks.InputError(f'got kind={self.kind!r}, need one of {", ".join(SECOND_MOMENTS)}; try kind="adam"')
        v = jax.tree.map(lambda p: jnp.full(p.shape, jnp.asarray(self.tau, p.dtype) ** 2), params)
        return State(params, tree.zeros_like(params), v)

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return ()

    def broadcast(self, server_state: State) -> Message:
        return server_state.x

    def client(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        lr = local.rate(self.lr, self.decay, node.t)
        start = local.transform("sgd").init(broadcast)
        y, _ = local.local_steps(broadcast, start, node, lr, self.local_steps)
        return tree.sub(y, broadcast), client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        x, m, v = server_state
        second = SECOND_MOMENTS[self.kind]
        m = tree.add(tree.scale(self.beta1, m), tree.scale(1 - self.beta1, aggregate))
        v = jax.tree.map(lambda v, d: second(v, jnp.square(d), jnp.asarray(1 - self.beta2, v.dtype)), v, aggregate)
        step = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + jnp.asarray(self.tau, v.dtype)), m, v)
        return State(tree.axpy(self.server_lr, step, x), m, v)

    def model(self, server_state: State) -> PyTree:
        return server_state.x
