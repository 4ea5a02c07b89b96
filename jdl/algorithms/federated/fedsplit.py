"""FedSplit: operator splitting with a server."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, State, number, static

__all__ = ["FedSplit"]


@struct.dataclass
class FedSplit:
    """FedSplit, reflected proximal steps: u_i = prox_{step f_i}(2 x - z_i);  z_i += 2 (u_i - x);  x <- mean_i z_i.

    This is Peaceman-Rachford splitting, with z_i = x at the start. It is exact: it converges to the optimum of mean_i
    f_i for any difference between the clients' data, while `FedProx`, which takes proximal steps from x itself, is
    biased. The proximal operator is that of the problem (`exact`), or H gradient steps from x on f_i(u) + ||u - (2
    x - z_i)||^2 / (2 step). The steps have the same limit, since there u = x. Clients outside the round's sample keep
    their z_i, and still count. x is the mean of all z_i as long as no message of a client is lost.

    Sends:
      the server sends its model; each client returns its change of z_i.

    Memory:
      1 model on the server, 1 on every client.

    Args:
      lr: step size of the local steps, below `step`; not used with `exact`.
      step: step size of the proximal operator.
      local_steps: number H of gradient steps of each client in a round; not used with `exact`.
      exact: whether to use the problem's proximal operator in closed form.

    References:
      Pathak, Wainwright 2020, FedSplit: An Algorithmic Framework for Fast Federated Optimization, Algorithm 1 (read in
      fl-sim's account of it).
    """

    lr: float = number(0.1, minimum=0)
    step: float = number(1.0, minimum=1e-6)
    local_steps: int = static(5, minimum=1)
    exact: bool = static(False)

    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"server", "reliable", "prox" if self.exact else "grad"})

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return params

    def client_init(self, params: PyTree, node: Node) -> State:
        return params

    def broadcast(self, server_state: State) -> Message:
        return server_state

    def client(self, broadcast: Message, client_state: State, node: Node) -> tuple[Message, State]:
        x, z = broadcast, client_state
        centre = tree.sub(tree.scale(2, x), z)

        def gradient(u: PyTree, k: jax.Array) -> PyTree:
            return tree.axpy(1 / self.step, tree.sub(u, centre), node.grad(u, k)[0])

        if self.exact:
            u = node.prox(centre, self.step)
        else:
            start = local.transform("sgd").init(x)
            u, _ = local.local_steps(x, start, node, self.lr, self.local_steps, gradient=gradient)
        new = tree.axpy(2, tree.sub(u, x), z)
        return tree.sub(new, z), new

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones((), jnp.result_type(float))

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        return tree.axpy(info["participation"], aggregate, server_state)

    def model(self, server_state: State) -> PyTree:
        return server_state
