"""FedDyn: dynamic regularization."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["FedDyn"]


class State(NamedTuple):
    x: PyTree  # the server's model
    u: PyTree  # the mean over all n clients of the sum of their changes so far: the paper's -h / alpha


@struct.dataclass
class FedDyn:
    """FedDyn, clients' optima moved onto the server's: y_i = argmin f_i(y) - <g_i, y> + alpha/2 ||y - x||^2.

    Then g_i <- g_i - alpha (y_i - x); h <- h - alpha (1/n) sum over the sample of (y_i - x); x <- mean y_i - h/alpha;
    all start at zero. The minimum is computed exactly (`exact`, where the problem has a proximal operator) or
    approximated by H gradient steps from x. In both cases the only fixed point is the optimum, for any difference
    between the data. g_i converges to the gradient of f_i there, and h = mean g_i as long as no message of a client is
    lost. The dual terms act as
    momentum: the smaller alpha lr H is, the longer they oscillate. `FedSpeed` with rho = 0 and lam = 1 / alpha is the
    same method when all clients take part.

    Sends:
      the server sends its model to m clients; each client returns its change of the model, as in FedAvg.

    Memory:
      2 models on the server, 1 on every client.

    Args:
      lr: step size of the clients' steps; not used with `exact`.
      alpha: weight of the regularization, above zero.
      local_steps: number H of gradient steps of each client in a round; not used with `exact`.
      exact: whether clients solve their problem in closed form.

    References:
      Acar, Zhao, Matas Navarro, Mattina, Whatmough, Saligrama 2021, Federated Learning Based on Dynamic Regularization,
      Algorithm 1; checked against the authors' code, which scales alpha by client as well (not here).
    """

    lr: float = number(0.1, minimum=0)
    alpha: float = number(1.0, minimum=1e-6)
    local_steps: int = static(1, minimum=1)
    exact: bool = static(False)

    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"server", "reliable", "prox" if self.exact else "grad"})

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return State(params, tree.zeros_like(params))

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return tree.zeros_like(params)

    def broadcast(self, server_state: State) -> Message:
        return server_state.x

    def client(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        # d = -g_i / alpha: the sum of this client's changes so far.
        x, d = broadcast, client_state
        anchor = tree.sub(x, d)

        def gradient(y: PyTree, k: jax.Array) -> PyTree:
            return tree.axpy(self.alpha, tree.sub(y, anchor), node.grad(y, k)[0])

        if self.exact:
            y = node.prox(anchor, 1 / self.alpha)
        else:
            start = local.transform("sgd").init(x)
            y, _ = local.local_steps(x, start, node, self.lr, self.local_steps, gradient=gradient)
        new = tree.add(d, tree.sub(y, x))
        # The change of d with its rounding error, so that u stays the mean of all d in float32.
        return tree.sub(new, d), new

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones((), jnp.result_type(float))

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        u = tree.axpy(info["participation"], aggregate, server_state.u)
        return State(tree.add(tree.add(server_state.x, aggregate), u), u)

    def model(self, server_state: State) -> PyTree:
        return server_state.x
