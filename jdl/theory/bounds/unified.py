"""D-SGD with changing graphs and local steps: one theorem for all (Koloskova et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from jdl import checks
from jdl.theory import assumptions
from jdl.topology.spectrum.periods import contraction
from jdl.topology.topology import Topology

__all__ = ["Mixing", "Order", "dsgd_rounds", "mixing"]

ASSUMPTION_4 = "Assumption 4 of Koloskova et al. 2020 (expected consensus rate)"
THEOREM_2 = "Theorem 2 of Koloskova et al. 2020 (unified D-SGD)"
CASES = ("nonconvex", "convex", "strongly convex")


class Mixing(NamedTuple):
    """p and tau of Assumption 4: tau rounds leave on average at most the share 1 - p of squared disagreement."""

    p: float
    tau: int


class Order(NamedTuple):
    """Numbers of rounds up to constant (and, if strongly convex, logarithmic) factors, which the theorem leaves open.

    Attributes:
      noise: the term of the noise averaged over nodes, which the graph does not change.
      drift: the term of heterogeneity and noise that the graph has to average.
      smooth: the term that remains without noise and heterogeneity.
      total: their sum.
    """

    noise: float
    drift: float
    smooth: float
    total: float


def mixing(topology: Topology | Sequence[Topology], tau: int | None = None, local_steps: int = 1) -> Mixing:
    """p and tau of a graph or of a cycle of graphs, with local steps in between.

    Assumption 4: E||X W_{l,tau} - mean||^2 <= (1 - p) ||X - mean||^2 for the product W_{l,tau} of the rounds l tau to
    (l + 1) tau - 1, for every l. Here it holds with equality for the worst X and l: p = 1 - max_l ||W_{l,tau} - J||^2.
    With H local steps, H - 1 of every H steps have W = I: then tau counts steps.

    For random rounds that are independent, p = 1 - `random_contraction`^2 and tau = 1.

    Args:
      topology: one topology, or one period of a cycle, doubly stochastic.
      tau: number of steps of a block; None for one period, times the local steps.
      local_steps: H, steps from one round to the next.

    Returns:
      p and tau. p = 0 says that this tau is too short.

    Raises:
      InputError: if some W is not doubly stochastic, or tau is no whole number.

    >>> from jdl.topology import one_peer_exponential, ring
    >>> mixing(one_peer_exponential(8)), round(mixing(ring(8), local_steps=5).p, 4)
    (Mixing(p=1.0, tau=3), 0.3524)

    References:
      Koloskova, Loizou, Boreiri, Jaggi, Stich, "A Unified Theory of Decentralized SGD with Changing Topology and Local
      Updates", ICML 2020, Assumption 4. Verified: from memory of the paper (its abstract was read); p against norms of
      products of matrices.
    """
    phases = assumptions.doubly_stochastic(ASSUMPTION_4, topology)
    local_steps = checks.whole("local_steps", local_steps, 1)
    steps = len(phases) * local_steps
    tau = checks.whole("tau", steps if tau is None else tau, 1)
    worst = 0.0
    for start in range(0, math.lcm(steps, tau), tau):
        block = [phases[(t // local_steps) % len(phases)] for t in range(start, start + tau) if t % local_steps == 0]
        worst = max(worst, contraction(block).period if block else 1.0)
    return Mixing(max(0.0, 1 - worst**2), tau)


def dsgd_rounds(
    rate: Mixing,
    n: int,
    L: float,
    eps: float,
    sigma_squared: float,
    zeta_squared: float,
    start: float,
    mu: float | None = None,
    case: str = "nonconvex",
) -> Order:
    """The order of the number of rounds in which D-SGD reaches accuracy eps, with the best constant step size.

    - "nonconvex", for the mean of E||grad f(mean x)||^2, start = f(x_0) - inf f:
      (sigma^2 / (n eps^2) + (zeta tau + sigma sqrt(p tau)) / (p eps^1.5) + tau / (p eps)) L start.
    - "convex", for f(average) - f*, start = ||x_0 - x*||^2:
      (sigma^2 / (n eps^2) + sqrt(L) (zeta tau + sigma sqrt(p tau)) / (p eps^1.5) + L tau / (p eps)) start.
    - "strongly convex", for the same and mu ||x - x*||^2, start in the logarithm only:
      sigma^2 / (mu n eps) + sqrt(L) (zeta tau + sigma sqrt(p tau)) / (mu p sqrt(eps))
      + L tau / (mu p) log(start / eps).

    Assumptions: f_i L-smooth (and convex, or mu-strongly convex); Assumption 4 with p and tau; noise and heterogeneity
    bounded by sigma^2 and zeta^2 (M = P = 0 in the paper): everywhere if nonconvex, at x* if convex.

    Args:
      rate: p and tau, see `mixing`.
      n: number of nodes.
      L: smoothness.
      eps: the accuracy to reach.
      sigma_squared: variance of a node's stochastic gradient.
      zeta_squared: heterogeneity, the mean over nodes of ||grad f_i - grad f||^2.
      start: see above.
      mu: strong convexity, in that case.
      case: "nonconvex", "convex" or "strongly convex".

    Returns:
      The terms, up to constant factors that the theorem does not give.

    Raises:
      InputError: if a constant is missing, if p is not above 0, or if `rate` is no `Mixing`.

    >>> from jdl.topology import ring
    >>> order = dsgd_rounds(mixing(ring(8)), 8, L=1.0, eps=0.01, sigma_squared=1.0, zeta_squared=0.0, start=1.0)
    >>> [round(term) for term in order]
    [1250, 1685, 284, 3218]

    References:
      Koloskova et al. 2020, Theorem 2. Verified: from memory of the paper (its abstract was read); with p = tau = 1 and
      one node the terms are those of SGD; without noise, simulations over graphs need fewer rounds.
    """
    case = checks.known("case", case, CASES)
    given = f"got rate={rate!r}, {THEOREM_2} needs p and tau; give mixing(topology), or Mixing(p, tau)"
    checks.require(isinstance(rate, Mixing), given)
    p, tau = assumptions.constant(THEOREM_2, "p", rate.p), rate.tau
    checks.require(p <= 1 + 1e-9, f"got p={p:g}, {ASSUMPTION_4} needs p of at most 1; see mixing")
    n, L = checks.whole("n", n, 1), assumptions.constant(THEOREM_2, "L", L)
    eps, start = assumptions.constant(THEOREM_2, "eps", eps), assumptions.constant(THEOREM_2, "start", start)
    noise = assumptions.constant(THEOREM_2, "sigma_squared", sigma_squared, strict=False)
    zeta = math.sqrt(assumptions.constant(THEOREM_2, "zeta_squared", zeta_squared, strict=False))
    travel = (zeta * tau + math.sqrt(noise * p * tau)) / p
    if case == "nonconvex":
        terms = (noise / (n * eps**2) * L * start, travel / eps**1.5 * L * start, tau / (p * eps) * L * start)
    elif case == "convex":
        terms = (
            noise / (n * eps**2) * start,
            math.sqrt(L) * travel / eps**1.5 * start,
            L * tau / (p * eps) * start,
        )
    else:
        L, mu = assumptions.curvature(THEOREM_2, L, mu)
        logarithm = max(1.0, math.log(start / eps))
        terms = (
            noise / (mu * n * eps),
            math.sqrt(L) * travel / (mu * math.sqrt(eps)),
            L * tau / (mu * p) * logarithm,
        )
    return Order(*terms, sum(terms))
