"""How fast a topology mixes: the eigenvalues of W, and the two numbers that the literature calls lambda_2."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from jdl import checks
from jdl.topology.spectrum import eigensolvers
from jdl.topology.topology import Topology

__all__ = ["eigenvalues", "extremes", "lambda_2", "second_largest_eigenvalue", "spectral_gap"]

# Below this a dense eigensolver takes well under a second, and always converges.
DENSE_NODES = 500
# A dense eigensolver's n^3 work is a minute or two here.
MOST_NODES = 5000


def eigenvalues(topology: Topology) -> np.ndarray:
    """All eigenvalues of W, largest modulus first: `float[n]` if W is symmetric, otherwise `complex[n]`.

    They come from the closed form where the topology has one, for any n. Ring: (1 + 2 cos(2 pi j / n)) / 3 for j < n.
    Torus: (1 + 2 cos(2 pi a / rows) + 2 cos(2 pi b / columns)) / 5. Complete: 1 once, and 0 for n - 1 times. Any
    circulant W: the discrete Fourier transform of its first row.

    Args:
      topology: topology with any W.

    Raises:
      InputError: for more than 5000 nodes without a closed form.

    >>> from jdl.topology import ring
    >>> print(eigenvalues(ring(4)).round(4))
    [ 1.      0.3333  0.3333 -0.3333]
    """
    if topology.spectrum is not None:
        values = np.asarray(topology.spectrum())
    else:
        need = f"got n={topology.n}, all eigenvalues need n of at most {MOST_NODES}; use lambda_2, which needs only one"
        checks.require(topology.n <= MOST_NODES, need)
        matrix = topology.weights.toarray()
        values = np.linalg.eigvalsh(matrix) if topology.symmetric else np.linalg.eigvals(matrix)
    return values[np.lexsort((-values.real, -np.abs(values).round(12)))]


def extremes(topology: Topology) -> tuple[float, float]:
    """The second largest and the smallest eigenvalue of a symmetric W, by value; `lambda_2` is their larger modulus.

    A smallest eigenvalue of -1 means that gossip oscillates and never agrees. The values come from the closed form
    where there is one, exact to rounding. Otherwise they come from a dense solver below 500 nodes, and from a sparse
    one for up to 100,000 nodes, accurate to 1e-10 and usually to 1e-14 (see `jdl.topology.spectrum.eigensolvers`). One
    node: (0, 0).

    Args:
      topology: topology with a symmetric W.

    Raises:
      InputError: if W is not symmetric, since its eigenvalues then have no order.

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
    """The factor by which a round of gossip shrinks disagreement: a modulus, not a value.

    For a symmetric W it is the second largest modulus of an eigenvalue, max(|lambda_2|, |lambda_n|). For a doubly
    stochastic W it is the spectral norm of W - J, its second singular value, which bounds ||W x - mean|| <= lambda_2
    ||x - mean|| in every round. Both agree if W is normal, as circulant matrices are. For a row or column stochastic W
    it is the second largest modulus, the rate after many rounds. It is 0 for n = 1. For the accuracy see `extremes`.

    Ring, n >= 4: (1 + 2 cos(2 pi / n)) / 3. Torus m x m, m >= 4: (3 + 2 cos(2 pi / m)) / 5. Complete: 0. Exponential,
    n = 2^tau: (tau - 1) / (tau + 1).

    Part of the literature calls another number lambda_2, see `second_largest_eigenvalue`. They differ where the
    smallest eigenvalue has the larger modulus: a path of two nodes with weight 3/4 on its edge has eigenvalues 1 and
    -1/2, so that disagreement halves (and changes sign) although its second largest eigenvalue is negative.

    >>> from jdl.topology import ring
    >>> round(lambda_2(ring(8)), 4)
    0.8047

    Args:
      topology: topology with any W.
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
        # The smallest eigenvalue is not needed if Gershgorin's bound shows that its modulus is smaller.
        return high if -eigensolvers.bounds(W)[0] <= high else max(high, abs(eigensolvers.smallest(W)))
    return float(np.sqrt(max(0.0, eigensolvers.top(csr_array(W.T @ W)))))


def second_largest_eigenvalue(topology: Topology) -> float:
    """The second largest eigenvalue of a symmetric W by value, which some papers call lambda_2.

    It is at most `lambda_2(topology)`, and smaller if W has an eigenvalue below minus it. Ring of n = 3: 0. Ring of
    n = 4: 1/3, with lambda_n = -1/3 as for every even n.

    Args:
      topology: topology with a symmetric W of at least two nodes.

    Raises:
      InputError: if W is not symmetric, since its eigenvalues then have no order, or if n = 1, which has no second one.

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
    """1 - lambda_2: the fraction of the disagreement that a round removes. See `lambda_2`.

    >>> from jdl.topology import exponential
    >>> round(spectral_gap(exponential(8)), 4)
    0.5

    Args:
      topology: topology with any W.
    """
    return 1.0 - lambda_2(topology)


def others(topology: Topology) -> np.ndarray:
    """All eigenvalues except the 1 of the constant vector, in any order; from the closed form or a dense solver."""
    values = np.asarray(topology.spectrum() if topology.spectrum is not None else eigenvalues(topology))
    return np.delete(values, np.argmin(np.abs(values - 1)))
