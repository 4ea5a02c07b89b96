"""What gossip alone does: singular values, the transient, and the limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from jdl import checks
from jdl.theory import assumptions
from jdl.topology.spectrum import eigensolvers
from jdl.topology.spectrum.eigenvalues import DENSE_NODES, lambda_2, others
from jdl.topology.spectrum.periods import cycle_of, period_product
from jdl.topology.topology import Topology

__all__ = ["Transient", "limit_weights", "second_modulus", "sigma_2", "transient"]

MOST_NODES = 2000  # a dense decomposition of this size takes some seconds


class Transient(NamedTuple):
    """Two bounds on ||x_t - 1 pi' x_0||, the disagreement after t periods, over that of x_0; they hold for every x_0.

    Attributes:
      one: the factor of one period, ||P - 1 pi'||_2; t periods leave at most one^t. It may be above 1 if P is not
        doubly stochastic.
      rate: the second largest modulus of an eigenvalue of P, the factor of a period after many of them.
      constant: C with ||P^t - 1 pi'||_2 <= C rate^t for all t. It is 1 for a normal P; infinite if P has no basis of
        eigenvectors, since a polynomial in t then multiplies rate^t.
    """

    one: float
    rate: float
    constant: float

    def after(self, periods: int) -> float:
        """The smaller of the bounds one^t and C rate^t."""
        slow = self.constant * self.rate**periods if np.isfinite(self.constant) else np.inf
        return float(min(self.one**periods, slow))


def sigma_2(topology: Topology) -> float:
    """The second largest singular value of W.

    For a doubly stochastic W it equals ||W - J||_2, the factor of a round on disagreement at worst, and so
    `jdl.topology.lambda_2`. For a normal W it is the second largest modulus of an eigenvalue. For a W that is only row
    or column stochastic it bounds nothing by itself: see `transient`.

    Args:
      topology: topology with any W.

    >>> from jdl.topology import exponential, ring
    >>> round(sigma_2(ring(8)), 4), round(sigma_2(exponential(8)), 4)
    (0.8047, 0.5)

    References:
      Xiao, Boyd, "Fast linear iterations for distributed averaging", Systems & Control Letters 53, 2004.
    """
    if assumptions.one_graph("the second singular value of W", topology).n == 1:
        return 0.0
    if topology.stochastic == "doubly":
        return lambda_2(topology)
    _small(topology.n, "second singular value of a W that is not doubly stochastic")
    return float(np.linalg.svd(topology.weights.toarray(), compute_uv=False)[1])


def second_modulus(topology: Topology) -> float:
    """The second largest modulus of an eigenvalue of any W: the factor of a round on disagreement after many rounds.

    It is at most `sigma_2` for a doubly stochastic W, and smaller if W is not normal; it may even be 0, where W^k = J
    for some k.

    Args:
      topology: topology with any W.

    >>> import numpy as np
    >>> from jdl.topology import from_weights
    >>> halves = from_weights(np.kron(np.ones((2, 1)), np.kron(np.eye(2), [[0.5, 0.5]])))
    >>> second_modulus(halves) < 1e-6, sigma_2(halves)
    (True, 1.0)
    """
    if assumptions.one_graph("the second largest modulus of W", topology).n == 1:
        return 0.0
    if topology.spectrum is not None or topology.n < DENSE_NODES:
        return float(np.abs(others(topology)).max())
    return lambda_2(topology) if topology.symmetric else eigensolvers.second_modulus(csr_array(topology.weights))


def limit_weights(topology: Topology | Sequence[Topology]) -> np.ndarray:
    """The weights pi of the nodes in the limit of gossip, `float[n]`: x_t -> 1 pi' x_0 if the rows of W sum to one.

    They are the left eigenvector of W (of the product of a period) for the eigenvalue 1, sum_i pi_i = 1: 1/n if W is
    doubly stochastic. If only the columns sum to one, they are the right eigenvector: W^t -> pi 1'.

    Args:
      topology: one topology, or one period of a cycle, whose W are all row stochastic, or all column stochastic.

    Raises:
      InputError: if the union of the graphs is not strongly connected, if row and column stochastic rounds mix, or for
        more than 2000 nodes.

    References:
      Perron and Frobenius; DeGroot, "Reaching a consensus", Journal of the American Statistical Association 69, 1974.
    """
    phases, columns = _sums(topology)
    assumptions.connected("the theorem of Perron and Frobenius", phases)
    n = phases[0].n
    if all(phase.stochastic == "doubly" for phase in phases):
        return np.full(n, 1 / n)
    product = period_product(phases)
    values, vectors = np.linalg.eig(product if columns else product.T)
    pi = np.real(vectors[:, np.argmin(np.abs(values - 1))])
    return pi / pi.sum()


def transient(topology: Topology | Sequence[Topology]) -> Transient:
    """How disagreement decays over rounds (over periods of a cycle), also where W is not normal.

    With P the product of a period and 1 pi' (or pi 1') its limit, P - 1 pi' has the eigenvalues of P without the 1, and
    (P - 1 pi')^t = P^t - 1 pi'. So ||P^t - 1 pi'||_2 <= ||P - 1 pi'||_2^t. With eigenvectors P - 1 pi' = V D V^-1 it is
    also at most C rate^t, with C = ||V||_2 ||V^-1||_2.

    Args:
      topology: one topology, or one period of a cycle.

    Returns:
      The two bounds, see `Transient`.

    Raises:
      InputError: as for `limit_weights`.

    >>> from jdl.topology import ring
    >>> bounds = transient(ring(8))
    >>> [round(number, 4) for number in bounds], round(bounds.after(10), 4)
    ([0.8047, 0.8047, 1.0], 0.1139)
    """
    phases, columns = _sums(topology)
    n = phases[0].n
    if n == 1:
        return Transient(0.0, 0.0, 1.0)
    _small(n, "transient")
    pi = limit_weights(phases)
    rest = period_product(phases) - (np.outer(pi, np.ones(n)) if columns else np.outer(np.ones(n), pi))
    one = float(np.linalg.norm(rest, 2))
    if np.abs(rest @ rest.T - rest.T @ rest).max() <= 1e-12:
        return Transient(one, one, 1.0)
    values, vectors = np.linalg.eig(rest)
    size = np.linalg.cond(vectors)
    return Transient(one, float(np.abs(values).max()), float(size) if size < 1e7 else float("inf"))


def _sums(topology: Topology | Sequence[Topology]) -> tuple[list[Topology], bool]:
    """A period, and whether the columns of its product sum to one and the rows do not."""
    phases = cycle_of(topology)
    sums = {phase.stochastic for phase in phases} - {"doubly"}
    need = "got a cycle of row and of column stochastic W, need W of one kind; use weights of one kind"
    checks.require(len(sums) <= 1, need)
    return phases, sums == {"column"}


def _small(n: int, what: str) -> None:
    checks.require(n <= MOST_NODES, f"got n={n}, the {what} needs n of at most {MOST_NODES}; use lambda_2")
