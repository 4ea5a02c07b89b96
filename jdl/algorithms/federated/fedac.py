"""FedAc: federated accelerated SGD."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["FedAc"]


class State(NamedTuple):
    w: PyTree  # the sequence of long steps
    ag: PyTree  # the sequence of short steps: the model


@struct.dataclass
class FedAc:
    """FedAc, Nesterov's acceleration in the local steps: ag <- md - lr g(md);  w <- (1 - 1/a) w + md/a - gamma g(md).

    md = w/b + (1 - 1/b) ag, where a and b are `alpha` and `beta`. Each of m sampled clients takes H such steps from the
    server's pair (w, ag), and the server averages both. For mu-strongly convex f the paper's FedAc-I sets
    gamma = max(sqrt(lr / (mu H)), lr), a = 1 / (gamma mu), b = a + 1. With H = 1 and all clients that is Nesterov's
    method with momentum (1 - q) / (1 + q), q = sqrt(lr mu). With a = b = 1 and gamma = lr it is `FedAvg`.

    Acceleration amplifies the drift of local steps: a smaller gamma is more stable. The method is made for clients with
    equal distributions; where data differ, it is biased like FedAvg.

    Sends:
      the server sends both sequences to m clients; each client returns its change of both: twice FedAvg.

    Memory:
      2 models on the server, none on clients between rounds.

    Args:
      lr: step size of the short steps, the paper's eta.
      alpha: coupling of w to md: w keeps the fraction 1 - 1/alpha of itself; at least 1.
      beta: coupling in md: the weight of w is 1/beta; at least 1.
      gamma: step size of the long steps. (The defaults are FedAc-I for lr = 0.1, mu = 1, H = 1, rounded.)
      local_steps: number H of gradient steps of each client in a round.

    References:
      Yuan, Ma 2020, Federated Accelerated Stochastic Gradient Descent, Algorithm 1; checked against the authors' code.
    """

    lr: float = number(0.1, minimum=0)
    alpha: float = number(3.0, minimum=1)
    beta: float = number(4.0, minimum=1)
    gamma: float = number(0.3, minimum=0)
    local_steps: int = static(1, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return State(params, params)

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return ()

    def broadcast(self, server_state: State) -> Message:
        return server_state

    def client(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        def step(pair: State, k: jax.Array) -> tuple[State, None]:
            # Written as differences, which vanish exactly where both sequences have reached the same point.
            md = tree.axpy(1 / self.beta, tree.sub(pair.w, pair.ag), pair.ag)
            g, _ = node.grad(md, k)
            coupled = tree.axpy(1 / self.alpha, tree.sub(md, pair.w), pair.w)
            new = State(tree.axpy(-self.gamma, g, coupled), tree.axpy(-self.lr, g, md))
            return new if node.steps is None else tree.where(k < node.steps, new, pair), None

        end, _ = jax.lax.scan(step, broadcast, jnp.arange(self.local_steps, dtype=jnp.int32))
        return tree.sub(end, broadcast), client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones((), jnp.result_type(float))

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        return tree.add(server_state, aggregate)

    def model(self, server_state: State) -> PyTree:
        return server_state.ag
