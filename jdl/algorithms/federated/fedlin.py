"""FedLin: local steps corrected by the gradients at the server's model."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, Sized, number, static

__all__ = ["FedLin"]


class State(NamedTuple):
    x: PyTree  # the model
    g: PyTree  # the mean of the clients' gradients at x, between the two exchanges


@struct.dataclass
class FedLin:
    """FedLin, local steps free of drift: y <- y - lr_i (g_i(y) - g_i(x) + mean_j g_j(x));  x <- mean_i y_i.

    lr_i = lr H / (steps that client i can take): slow clients take fewer and larger steps. The method is like
    `Scaffold`, but corrects by gradients at the current model, which a separate exchange collects, so that clients keep
    nothing. It converges linearly to the exact optimum with any H and any heterogeneity. With H = 1 and all clients it
    is gradient descent. With minibatches, g_i(x) is computed on minibatch 0 of the round. The compression of the
    paper's other variants is left out.

    Sends:
      the server sends its model; each client returns its gradient. Then the server sends the mean gradient; each client
      returns its change of the model.

    Memory:
      2 models on the server.

    Args:
      lr: step size of the clients' steps.
      local_steps: number H of gradient steps of each client in a round.

    References:
      Mitra, Jaafar, Pappas, Hassani 2021, Linear Convergence in Federated Learning: Tackling Client Heterogeneity and
      Sparse Gradients, Algorithm 1 (from memory: no public code found).
    """

    lr: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("broadcast_model", "client_gradient", "server_gradient"),
        ("broadcast_gradient", "client_steps", "server_steps"),
    )

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return State(params, tree.zeros_like(params))

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return ()

    def broadcast_model(self, server_state: State) -> Message:
        return server_state.x

    def client_gradient(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        return node.grad(broadcast)[0], client_state

    def server_gradient(self, server_state: State, aggregate: Message, info: Info) -> State:
        return server_state._replace(g=aggregate)

    def broadcast_gradient(self, server_state: State) -> Message:
        return {"x": Sized(server_state.x, jnp.float32(0)), "g": server_state.g}  # clients have x already

    def client_steps(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        x = broadcast["x"]
        correction = tree.sub(broadcast["g"], node.grad(x)[0])  # minibatch 0 again: the gradient that was sent

        def gradient(y: PyTree, k: jax.Array) -> PyTree:
            return tree.add(node.grad(y, k)[0], correction)

        done = jnp.maximum(local.steps_done(node, self.local_steps), 1)
        lr = self.lr * self.local_steps / done.astype(jnp.result_type(float))
        start = local.transform("sgd").init(x)
        y, _ = local.local_steps(x, start, node, lr, self.local_steps, gradient=gradient)
        return tree.sub(y, x), client_state

    def server_steps(self, server_state: State, aggregate: Message, info: Info) -> State:
        return server_state._replace(x=tree.add(server_state.x, aggregate))

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones((), jnp.result_type(float))

    def model(self, server_state: State) -> PyTree:
        return server_state.x
