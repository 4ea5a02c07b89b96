"""FedSpeed: corrected proximal steps along perturbed gradients."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, local, tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["FedSpeed"]


class State(NamedTuple):
    x: PyTree  # the server's model
    u: PyTree  # the mean over all n clients of the sum of their changes so far; () with `corrects="sample"`


@struct.dataclass
class FedSpeed:
    """FedSpeed, corrected proximal steps along perturbed gradients: y <- y - lr (s_i(y) - g_i + (y - x) / lam).

    s_i(y) = (1 - alpha) g(y) + alpha g(y + rho g(y) / ||g(y)||), both on one minibatch, is the gradient of
    sharpness-aware minimization. After H steps g_i <- g_i - (y_i - x) / lam and x <- mean (y_i - lam g_i), with g_i = 0
    at the start. The correction g_i removes the bias that the proximal term alone has (`FedProx`): with rho = 0 the
    only fixed point is the optimum. With rho = 0 and all clients it is `FedDyn` with alpha = 1 / lam.

    The mean of lam g_i is over the sampled clients in the paper, and over all n in the authors' code (`corrects`). With
    all clients these are the same. With a sample, only the second is exact, and the first does not settle. The second
    is the mean of all lam g_i as long as no message of a client is lost.

    Sends:
      the server sends its model to m clients; each client returns one change, as in FedAvg. A local step computes two
      gradients.

    Memory:
      1 model on the server (2 with `corrects="all"`), 1 on every client.

    Args:
      lr: step size of the clients' steps.
      rho: Euclidean length of the perturbation along the gradient.
      lam: inverse weight of the proximal term.
      alpha: share of the perturbed gradient in a step, from 0 (none) to 1.
      local_steps: number H of gradient steps of each client in a round.
      corrects: clients whose g_i correct the mean: "sample" or "all".

    Raises:
      InputError: if `corrects` is neither "sample" nor "all"; raised when the simulation is built.

    References:
      Sun, Shen, Huang, Ding, Tao 2023, FedSpeed: Larger Local Interval, Less Communication Round, and Higher
      Generalization Accuracy, Algorithm 1; checked against the authors' code (the paper's server step is from memory).
    """

    lr: float = number(0.1, minimum=0)
    rho: float = number(0.05, minimum=0)
    lam: float = number(1.0, minimum=1e-6)
    alpha: float = number(1.0, minimum=0, maximum=1)
    local_steps: int = static(1, minimum=1)
    corrects: str = static("sample")

    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"server", "grad"} | ({"reliable"} if self.corrects == "all" else set()))

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        if self.corrects not in ("sample", "all"):
            raise checks.InputError(f'got corrects={self.corrects!r}, need "sample" or "all"; try corrects="sample"')
        return State(params, tree.zeros_like(params) if self.corrects == "all" else ())

    def client_init(self, params: PyTree, node: Node) -> PyTree:
        return tree.zeros_like(params)

    def broadcast(self, server_state: State) -> Message:
        return server_state.x

    def client(self, broadcast: Message, client_state: PyTree, node: Node) -> tuple[Message, PyTree]:
        # d = -lam g_i: the sum of this client's changes so far.
        x, d = broadcast, client_state
        anchor = tree.sub(x, d)

        def gradient(y: PyTree, k: jax.Array) -> PyTree:
            g, _ = node.grad(y, k)
            norm = jnp.sqrt(tree.norm_squared(g))
            length = self.rho / jnp.where(norm > 0, norm, 1)
            uphill, _ = node.grad(tree.axpy(length, g, y), k)
            mixed = tree.axpy(self.alpha, tree.sub(uphill, g), g)
            return tree.axpy(1 / self.lam, tree.sub(y, anchor), mixed)

        start = local.transform("sgd").init(x)
        y, _ = local.local_steps(x, start, node, self.lr, self.local_steps, gradient=gradient)
        new = tree.add(d, tree.sub(y, x))
        # The change of d with its rounding error, so that u stays the mean of all d in float32.
        change = tree.sub(new, d)
        return change if self.corrects == "all" else tree.add(change, new), new

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones((), jnp.result_type(float))

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        x, u = tree.add(server_state.x, aggregate), server_state.u
        if self.corrects == "all":
            u = tree.axpy(info["participation"], aggregate, u)
            x = tree.add(x, u)
        return State(x, u)

    def model(self, server_state: State) -> PyTree:
        return server_state.x
