"""Accelerated gossip: the best polynomial of W in place of a power of it."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl.exchange.linear import Linear
from jdl.exchange.repeated import steps
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number, static

__all__ = ["Chebyshev"]


@struct.dataclass
class Chebyshev:
    """Chebyshev gossip: of all polynomials of W of one degree, that which brings models together fastest.

    inbox = T_K(W / rho) own / T_K(1 / rho), with K = `times` and T_K Chebyshev's polynomial. Disagreement shrinks by
    1 / T_K(1 / rho) a round, about 2 exp(-K sqrt(2 (1 - rho))), where K steps of plain gossip give rho^K. The mean is
    kept. A rho that is too small or too large costs speed and nothing else. For symmetric W; weights of the polynomial
    may be negative. As in `Repeated`, what comes before it in the network acts on the first step alone.

    T_{K+1}(z) = 2 z T_K(z) - T_{K-1}(z) gives x_{k+1} = x_{k-1} + w_{k+1} (W x_k - x_{k-1}), where, with
    c_k = T_{k-1}(1/rho) / T_k(1/rho), w_{k+1} = 2 / (2 - rho c_k), c_{k+1} = rho w_{k+1} / 2 and c_1 = rho. In this
    form equal models stay equal, and nothing is divided by rho.

    Sends:
      the message, `times` times a round on every link.

    Args:
      times: gossip steps a round, K; 1 is plain gossip.
      rho: largest modulus of an eigenvalue of W but the first, `jdl.topology.lambda_2(topology)`, 0 to 1.
      inner: the exchange that makes one gossip step.

    Raises:
      InputError: if rho is None, as it is for a graph whose eigenvalues are not known.

    References:
      Scaman, Bach, Bubeck, Lee, Massoulie 2017, Optimal Algorithms for Smooth and Strongly Convex Distributed
      Optimization in Networks, Algorithm 2.
      Auzinger, Melenk 2011, Iterative Solution of Large Linear Systems.
    """

    times: int = static(4, minimum=1)
    rho: float = number(0.9, minimum=0, maximum=1)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "at_once"})
    # Some of its weights are negative: x / w of push-sum would mean nothing.
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link", "each", "push"})

    def __post_init__(self) -> None:
        need = "need the largest modulus of an eigenvalue of W but the first; take jdl.topology.lambda_2(topology)"
        checks.require(self.rho is not None, f"got rho=None, {need}")

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        ratio, ahead = jnp.asarray(self.rho), [jnp.ones_like(jnp.asarray(self.rho))]
        for _ in range(self.times - 1):
            ahead.append(2 / (2 - self.rho * ratio))
            ratio = self.rho * ahead[-1] / 2
        ahead = jnp.stack(ahead)

        def combine(k, answer, x, before):
            return tree.axpy(ahead[k], tree.sub(answer, before), before)

        return steps(self.inner, self.times, state, wire, key, combine)
