"""Decentralized SGD on a loss averaged over random directions."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
from flax import struct

from jdl import tree
from jdl.types import Info, Message, Node, PyTree, number, static

__all__ = ["AverageDirectionSAM"]


class State(NamedTuple):
    x: PyTree  # the model


@struct.dataclass
class AverageDirectionSAM:
    """Average-direction SAM: x <- W (x - lr mean_s g(x + e_s)), e_s ~ N(0, rho^2 I), all on one minibatch.

    This method makes explicit what D-SGD does implicitly: the mean model of D-SGD descends the loss averaged over the
    scatter of the models, along grad f(m) + f'''(m) S / 2 + ... with S the covariance of the models. Here S = rho^2 I
    by design, on every node. Directions come in pairs e and -e, so that a loss without third derivatives gives `DPSGD`
    for every rho.

    Sends:
      the model after the step, once a round.

    Memory:
      1 model per node. A step computes two gradients for each sample.

    Args:
      lr: step size of the gradient step.
      rho: standard deviation of the perturbation of each parameter.
      samples: number of pairs of directions in a step.

    References:
      Zhu, He, Chen, Song, Tao 2023, Decentralized SGD and Average-direction SAM are Asymptotically Equivalent, Theorem
      1 (number from memory).
    """

    lr: float = number(0.1, minimum=0)
    rho: float = number(0.01, minimum=0)
    samples: int = static(2, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "row_stochastic", "grad"})
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params: PyTree, node: Node) -> State:
        return State(params)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        def add_pair(total, key):
            e = self._direction(state.x, key)
            for side in (self.rho, -self.rho):
                total = tree.add(total, node.grad(tree.axpy(side, e, state.x))[0])
            return total, None

        keys = jax.random.split(node.key, self.samples)
        total, _ = jax.lax.scan(add_pair, tree.zeros_like(state.x), keys)
        return tree.axpy(-self.lr / (2 * self.samples), total, state.x), state

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        return State(inbox), {}

    def _direction(self, x: PyTree, key: jax.Array) -> PyTree:
        """A tree of the shape of `x` with independent standard normal entries."""
        leaves, shape = jax.tree.flatten(x)
        keys = jax.random.split(key, len(leaves))
        drawn = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
        return jax.tree.unflatten(shape, drawn)

    def model(self, state: State) -> PyTree:
        return state.x
