"""SCAFFOLD: local steps corrected by control variates."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, local, tree
from jdl.types import FULL, Info, Message, Node, PyTree, number, static

__all__ = ["Scaffold"]


class State(NamedTuple):
    x: PyTree  # the server's model
    c: PyTree  # the server's control variate: the mean of c_i over all n clients


class Changes(NamedTuple):
    x: PyTree  # the client's change of the model by local steps
    c: PyTree  # the change of the client's control variate


@struct.dataclass
class Scaffold:
    """SCAFFOLD, local steps free of drift: y <- y - lr (g_i(y) - c_i + c);  x <- x + server_lr mean (y_i - x).

    c_i estimates the gradient of client i at the server's model and c = mean over all n of c_i, so that every client
    steps along the mean gradient. Afterwards c_i+ = c_i - c + (x - y) / (H lr), which is the mean of the H gradients of
    the round (option 2), or the full gradient at x, which takes one more pass over the data (option 1). Then
    c <- c + (m/n) mean (c_i+ - c_i). c and all c_i start at zero. c is the mean of all c_i as long as no message of a
    client is lost.

    The method is exact: for any H it converges to the optimum, for any difference between the clients' data, also with
    a sample of clients. With one client it is SGD; with H = 1 and all clients it is gradient descent. Under partial
    participation it needs smaller steps than FedAvg.

    Sends:
      the server sends its model and c to m clients; each client returns its changes of both: twice as much as FedAvg.

    Memory:
      2 models on the server, 1 on every client.

    Args:
      lr: step size of the clients' steps.
      server_lr: factor on the mean change of the clients.
      local_steps: number H of gradient steps of each client in a round; where a budget allows fewer, H is the number of
        steps taken.
      option: update of c_i: 1 (the full gradient at x, which the problem must provide) or 2 (the mean of the round's
        gradients).

    Raises:
      InputError: if `option` is neither 1 nor 2; raised when the simulation is built.

    References:
      Karimireddy, Kale, Mohri, Reddi, Stich, Suresh 2020, SCAFFOLD: Stochastic Controlled Averaging for Federated
      Learning, Algorithm 1.
    """

    lr: float = number(0.1, minimum=0)
    server_lr: float = number(1.0, minimum=0)
    local_steps: int = static(1, minimum=1)
    option: int = static(2, minimum=1)

    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"server", "reliable", "grad"} | ({"full"} if self.option == 1 else set()))

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        if self.option not in (1, 2):
            raise checks.InputError(f"got option={self.option!r}, need 1 (a full gradient) or 2 (none); try option=2")
        return State(params, tree.zeros_like(params))

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return tree.zeros_like(params)

    def broadcast(self, server_state: State) -> Message:
        return server_state

    def client(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        (x, c), c_i = broadcast, client_state
        correction = tree.sub(c, c_i)

        def gradient(y: PyTree, k: jax.Array) -> PyTree:
            return tree.add(node.grad(y, k)[0], correction)

        y, total = local.local_steps(x, tree.zeros_like(x), node, self.lr, self.local_steps, local.SUMMED, gradient)
        if self.option == 1:
            new = node.grad(x, FULL)[0]
        else:
            done = local.steps_done(node, self.local_steps)
            mean = jax.tree.map(lambda total: total / jnp.maximum(done, 1).astype(total.dtype), total)
            new = tree.where(done > 0, tree.sub(mean, correction), c_i)
        # The client sends the change that it makes to c_i, as rounded, so that c stays the mean of all c_i in float32.
        return Changes(tree.sub(y, x), tree.sub(new, c_i)), new

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones((), jnp.result_type(float))

    def server(self, server_state: State, aggregate: Changes, info: Info) -> State:
        x = tree.axpy(self.server_lr, aggregate.x, server_state.x)
        return State(x, tree.axpy(info["participation"], aggregate.c, server_state.c))

    def model(self, server_state: State) -> PyTree:
        return server_state.x
