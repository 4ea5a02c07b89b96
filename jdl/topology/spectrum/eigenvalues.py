"""How fast a topology mixes: the eigenvalues of W, and the two that are both called lambda_2."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from jdl import checks
from jdl.topology.spectrum import eigensolvers
from jdl.topology.topology import Topology

__all__ = ["eigenvalues", "extremes", "lambda_2", "second_largest_eigenvalue", "spectral_gap"]

# Below this a dense eigensolver takes well under a second; it needs no care about convergence.
DENSE_NODES = 500
# A dense eigensolver's n^3 work is a minute or two here.
MOST_NODES = 5000


def eigenvalues(topology: Topology) -> np.ndarray:
    """All eigenvalues of W, largest modulus first: `float[n]` where W is symmetric, `complex[n]` elsewhere.

    From the closed form where the topology has one, whatever n. Ring: (1 + 2 cos(2 pi j / n)) / 3 for j < n. Torus:
    (1 + 2 cos(2 pi a / rows) + 2 cos(2 pi b / columns)) / 5. Complete: 1, and 0 for n - 1 times. Any circulant W: the
    discrete Fourier transform of its first row.

    Raises:
      InputError: for more than 5000 nodes without a closed form.

    >>> from jdl.topology import ring
    >>> print(eigenvalues(ring(4)).round(4))
    [ 1.      0.3333  0.3333 -0.3333]
    """
    if topology.spectrum is not None:
        values = np.asarray(topology.spectrum())
    else:
        need = f"got n={topology.n}, all eigenvalues need n of at most {MOST_NODES}; use lambda_2, which needs one"
        checks.require(topology.n <= MOST_NODES, need)
        matrix = topology.weights.toarray()
        values = np.linalg.eigvalsh(matrix) if topology.symmetric else np.linalg.eigvals(matrix)
    return values[np.lexsort((-values.real, -np.abs(values).round(12)))]


def extremes(topology: Topology) -> tuple[float, float]:
    """The second largest and the smallest eigenvalue of a symmetric W, by value; `lambda_2` is the larger modulus.

    A smallest eigenvalue of -1 means that gossip oscillates and never agrees. From the closed form where there is
    one, exact to rounding; else by a dense solver below 500 nodes, and by a sparse one that takes 100,000 nodes and is
    accurate to 1e-10, most often to 1e-14 (see `jdl.topology.spectrum.eigensolvers`). One node: (0, 0).

    Raises:
      InputError: if W is not symmetric, when eigenvalues have no order.

    >>> from jdl.topology import ring
    >>> print(np.round(extremes(ring(8)), 4))
    [ 0.8047 -0.3333]
    """
    need = f"got {topology.name!r} whose W is not symmetric, so its eigenvalues have no order; use lambda_2"
    checks.require(topology.symmetric, need)
    if topology.n == 1:
        return 0.0, 0.0
    if topology.spectrum is not None or topology.n < DENSE_NODES:
        values = others(topology)
        return float(values.max()), float(values.min())
    return eigensolvers.top(topology.weights), eigensolvers.smallest(topology.weights)


def lambda_2(topology: Topology) -> float:
    """The factor by which a round of gossip shrinks disagreement: in modulus, not in value.

    W symmetric: the second largest modulus of an eigenvalue, max(|lambda_2|, |lambda_n|). W doubly stochastic: the
    spectral norm of W - J, its second singular value, which bounds ||W x - mean|| <= lambda_2 ||x - mean|| in every
    round. Both agree where W is normal, as circulant ones are. W row or column stochastic: the second largest modulus,
    the rate after many rounds. 0 for n = 1. Accuracy: see `extremes`.

    Ring, n >= 4: (1 + 2 cos(2 pi / n)) / 3. Torus m x m, m >= 4: (3 + 2 cos(2 pi / m)) / 5. Complete: 0.
    Exponential, n = 2^tau: (tau - 1) / (tau + 1).

    Part of the literature calls another number lambda_2, see `second_largest_eigenvalue`. They differ where the
    negative end of the spectrum is the longer one: a path of two nodes with weights 3/4 across has eigenvalues 1 and
    -1/2, so that disagreement halves (and changes sign) although its second largest eigenvalue is negative.

    >>> from jdl.topology import ring
    >>> round(lambda_2(ring(8)), 4)
    0.8047
    """
    n = topology.n
    if n == 1:
        return 0.0
    normal = topology.symmetric or topology.shifts is not None
    if topology.spectrum is not None and (normal or topology.stochastic != "doubly"):
        return float(np.abs(others(topology)).max())
    W = topology.weights
    if topology.stochastic != "doubly":
        if n < DENSE_NODES:
            return float(np.sort(np.abs(np.linalg.eigvals(W.toarray())))[-2])
        return eigensolvers.second_modulus(W)
    if n < DENSE_NODES:
        return float(np.linalg.norm(W.toarray() - 1 / n, 2))
    if topology.symmetric:
        high = eigensolvers.top(W)
        # No need to find the other end where it cannot be as far out.
        return high if -eigensolvers.bounds(W)[0] <= high else max(high, abs(eigensolvers.smallest(W)))
    return float(np.sqrt(max(0.0, eigensolvers.top(csr_array(W.T @ W)))))


def second_largest_eigenvalue(topology: Topology) -> float:
    """The second largest eigenvalue of a symmetric W by value, which some papers call lambda_2.

    It is at most `lambda_2(topology)`, and less where W has an eigenvalue below minus it. Ring of n = 3: 0.
    Ring of n = 4: 1/3, and lambda_n = -1/3 as for every even n.

    Raises:
      InputError: if W is not symmetric, when eigenvalues have no order, or if n = 1, when there is no second one.

    >>> import numpy as np
    >>> from jdl.topology import from_weights
    >>> pair = from_weights([[0.25, 0.75], [0.75, 0.25]])
    >>> round(second_largest_eigenvalue(pair), 4), round(lambda_2(pair), 4)
    (-0.5, 0.5)
    """
    checks.require(topology.n > 1, "got n=1, a second eigenvalue needs two nodes; try n=2")
    if topology.symmetric and topology.spectrum is None and topology.n >= DENSE_NODES:
        return eigensolvers.top(topology.weights)
    return extremes(topology)[0]


def spectral_gap(topology: Topology) -> float:
    """1 - lambda_2: the part of the disagreement that a round removes. See `lambda_2`.

    >>> from jdl.topology import exponential
    >>> round(spectral_gap(exponential(8)), 4)
    0.5
    """
    return 1.0 - lambda_2(topology)


def others(topology: Topology) -> np.ndarray:
    """All eigenvalues but the 1 that belongs to the constant vector, in any order; from the closed form or densely."""
    values = np.asarray(topology.spectrum() if topology.spectrum is not None else eigenvalues(topology))
    return np.delete(values, np.argmin(np.abs(values - 1)))
