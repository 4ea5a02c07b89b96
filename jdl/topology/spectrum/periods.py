"""What a cycle of topologies does to disagreement: its product, its rate of contraction, whether it is exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import linalg

from jdl import checks
from jdl.topology.topology import Topology, fourier

__all__ = ["Contraction", "contraction", "cycle_of", "exact_after_rounds", "gossip", "period_product"]

# Up to this n, products are computed as matrices, and their norms by a dense solver.
DENSE_NODES = 500
MOST_NODES = 5000
EXACT = 1e-10
PROBES = 4


class Contraction(NamedTuple):
    """The factor on disagreement over one period, and its geometric mean over the rounds."""

    period: float
    round: float


def period_product(topologies: Sequence[Topology]) -> np.ndarray:
    """W(T-1) ... W(1) W(0), the matrix of one period: `float[n, n]`.

    Args:
      topologies: one period of a cycle, or a single topology.

    Raises:
      InputError: for more than 5000 nodes; `contraction` and `exact_after_rounds` do not need the matrix.

    >>> from jdl.topology import one_peer_exponential
    >>> print(period_product(one_peer_exponential(4)))
    [[0.25 0.25 0.25 0.25]
     [0.25 0.25 0.25 0.25]
     [0.25 0.25 0.25 0.25]
     [0.25 0.25 0.25 0.25]]
    """
    phases = cycle_of(topologies)
    n = phases[0].n
    need = f"got n={n}, a product needs n of at most {MOST_NODES}; use contraction or exact_after_rounds"
    checks.require(n <= MOST_NODES, need)
    product = np.eye(n)
    for phase in phases:
        product = gossip(phase, product)
    return product


def contraction(topologies: Sequence[Topology]) -> Contraction:
    """The factor by which one period shrinks disagreement, and its geometric mean over the rounds.

    It is the spectral norm of P - J for the product P of a period of doubly stochastic phases, as `lambda_2` is for one
    round. If some phase is only row or column stochastic, it is the second largest modulus of an eigenvalue of P. A
    cycle that averages exactly has 0, up to rounding.

    It is computed by Fourier transform if all phases are circulant, by a dense solver up to 500 nodes, and by iteration
    for more nodes, accurate to about 1e-8.

    >>> from jdl.topology import one_peer_exponential
    >>> contraction(one_peer_exponential(8)).period < 1e-12, round(contraction(one_peer_exponential(6)).round, 4)
    (True, 0.6005)

    Args:
      topologies: one period of a cycle, or a single topology.

    Raises:
      InputError: if the iteration does not converge.
    """
    phases = cycle_of(topologies)
    factor = _factor(phases) if phases[0].n > 1 else 0.0
    factor = 0.0 if factor < 1e-14 * len(phases) else factor
    return Contraction(factor, factor ** (1 / len(phases)))


def exact_after_rounds(topologies: Sequence[Topology]) -> int | None:
    """The smallest number of rounds, from round 0, after which all nodes hold the exact mean; None if there is none.

    It is the smallest k within a period with W(k-1) ... W(0) = J, to 1e-10. The test uses four random vectors, which a
    product other than J maps to their means with probability zero; so n is arbitrary. One node: 0.

    >>> from jdl.topology import one_peer_exponential, ring
    >>> exact_after_rounds(one_peer_exponential(16)), exact_after_rounds([ring(16)]), exact_after_rounds([ring(3)])
    (4, None, 1)

    Args:
      topologies: one period of a cycle, or a single topology.
    """
    phases = cycle_of(topologies)
    x = np.random.default_rng(0).standard_normal((phases[0].n, PROBES))
    mean = x.mean(axis=0, keepdims=True)
    for done, phase in enumerate([None, *phases]):
        x = x if phase is None else gossip(phase, x)
        if np.abs(x - mean).max() <= EXACT:
            return done
    return None


def gossip(topology: Topology, x: np.ndarray, transposed: bool = False) -> np.ndarray:
    """W x, or W' x, for `x: float[n, k]`; computed without W where it averages within groups."""
    if topology.groups is None:
        return (topology.weights.T if transposed else topology.weights) @ x
    size = np.bincount(topology.groups)
    order = np.argsort(topology.groups, kind="stable")
    sums = np.add.reduceat(x[order], np.cumsum(size) - size, axis=0)
    return (sums / size[:, None])[topology.groups]


def cycle_of(topologies: Topology | Sequence[Topology]) -> list[Topology]:
    """One period as a list; a single topology becomes a list of one.

    Raises:
      InputError: if there is no topology, if their numbers of nodes differ, or if something else is given.
    """
    phases = list(topologies) if isinstance(topologies, Sequence | Iterator) else [topologies]
    other = next((phase for phase in phases if not isinstance(phase, Topology)), None)
    do = "make one by jdl.topology.from_graph or from_weights"
    checks.require(other is None, f"got a {type(other).__name__}, need a topology, or a list of one period; {do}")
    checks.require(len(phases) > 0, "got no topologies, a cycle needs at least one; pass [ring(n)], for example")
    sizes = sorted({phase.n for phase in phases})
    got = " and ".join(f"n={n}" for n in sizes)
    checks.require(len(sizes) == 1, f"got topologies of {got}, a cycle needs one n; make them all with n={sizes[-1]}")
    return phases


def _factor(phases: list[Topology]) -> float:
    n = phases[0].n
    if all(phase.shifts is not None for phase in phases):
        return float(np.abs(np.prod([fourier(phase.weights) for phase in phases], axis=0))[1:].max())
    doubly = all(phase.stochastic == "doubly" for phase in phases)
    if n < DENSE_NODES:
        product = period_product(phases)
        return float(np.linalg.norm(product - 1 / n, 2) if doubly else _second(np.linalg.eigvals(product)))

    def forward(x):
        x = x.reshape(n, 1) - doubly * x.mean()
        for phase in phases:
            x = gossip(phase, x)
        return x[:, 0]

    def there_and_back(x):
        x = forward(x)[:, None]
        for phase in reversed(phases):
            x = gossip(phase, x, transposed=True)
        return x[:, 0] - x.mean()

    start = np.random.default_rng(0).standard_normal(n)
    if np.linalg.norm(there_and_back(start)) < 1e-24 * np.linalg.norm(start):
        return 0.0
    settings = {"v0": start, "ncv": 60, "tol": 1e-8, "return_eigenvectors": False}
    try:
        if doubly:
            square = linalg.LinearOperator((n, n), matvec=there_and_back, dtype=np.float64)
            return float(np.sqrt(np.abs(linalg.eigsh(square, k=1, which="LM", **settings)[0])))
        product = linalg.LinearOperator((n, n), matvec=forward, dtype=np.float64)
        return _second(linalg.eigs(product, k=2, which="LM", **settings))
    except linalg.ArpackNoConvergence as error:
        stuck = "eigenvalues lie too close together for the iterative solver; use a smaller n"
        raise checks.InputError(f"got a cycle of n={n} nodes whose leading {stuck}") from error


def _second(values: np.ndarray) -> float:
    return float(np.sort(np.abs(values))[-2])
