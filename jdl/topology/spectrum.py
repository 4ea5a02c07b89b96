"""How fast a topology mixes: the eigenvalues of W, and the two that are both called lambda_2."""

from __future__ import annotations

import numpy as np
from scipy.sparse import linalg

from jdl import checks
from jdl.topology.topology import Topology

__all__ = ["eigenvalues", "lambda_2", "second_largest_eigenvalue", "spectral_gap"]

# Below this a dense eigensolver takes well under a second; it needs no care about convergence.
DENSE_NODES = 500
# A dense eigensolver's n^3 work is a minute or two here.
MOST_NODES = 5000


def eigenvalues(topology: Topology) -> np.ndarray:
    """All eigenvalues of W, largest modulus first: `float[n]` where W is symmetric, `complex[n]` elsewhere.

    Ring: (1 + 2 cos(2 pi j / n)) / 3 for j < n. Torus: (1 + 2 cos(2 pi a / rows) + 2 cos(2 pi b / columns)) / 5.
    Complete: 1, and 0 for n - 1 times. Any circulant W: the discrete Fourier transform of its first row.

    Raises:
      InputError: for more than 5000 nodes, unless W is circulant.

    >>> from jdl.topology import ring
    >>> print(eigenvalues(ring(4)).round(4))
    [ 1.      0.3333  0.3333 -0.3333]
    """
    if topology.shifts is not None:
        values = fourier(topology)
    else:
        need = f"got n={topology.n}, all eigenvalues need n of at most {MOST_NODES}; use lambda_2, which needs one"
        checks.require(topology.n <= MOST_NODES, need)
        matrix = topology.weights.toarray()
        values = np.linalg.eigvalsh(matrix) if topology.symmetric else np.linalg.eigvals(matrix)
    return values[np.lexsort((-values.real, -np.abs(values).round(12)))]


def lambda_2(topology: Topology) -> float:
    """The factor by which a round of gossip shrinks disagreement: in modulus, not in value.

    W symmetric: the second largest modulus of an eigenvalue, max(|lambda_2|, |lambda_n|). W doubly stochastic: the
    spectral norm of W - J, its second singular value, which bounds ||W x - mean|| <= lambda_2 ||x - mean|| in every
    round. Both agree where W is normal, as circulant ones are. W row or column stochastic: the second largest modulus,
    the rate after many rounds. 0 for n = 1.

    Ring, n >= 4: (1 + 2 cos(2 pi / n)) / 3. Torus m x m, m >= 4: (3 + 2 cos(2 pi / m)) / 5. Complete: 0.
    Exponential, n = 2^tau: (tau - 1) / (tau + 1).

    Part of the literature calls another number lambda_2, see `second_largest_eigenvalue`. They differ where the
    negative end of the spectrum is the longer one: a path of two nodes with weights 3/4 across has eigenvalues 1 and
    -1/2, so that disagreement halves (and changes sign) although its second largest eigenvalue is negative.

    >>> from jdl.topology import ring
    >>> round(lambda_2(ring(8)), 4)
    0.8047
    """
    n, W = topology.n, topology.weights
    if n == 1:
        return 0.0
    if topology.shifts is not None:
        return float(np.abs(fourier(topology)[1:]).max())
    if not topology.symmetric and topology.kind != "doubly":
        if n < DENSE_NODES:
            return float(np.sort(np.abs(np.linalg.eigvals(W.toarray())))[-2])
        moduli = converged(linalg.eigs, W, n, k=2, which="LM")
        return float(np.sort(np.abs(moduli))[-2])
    if n < DENSE_NODES:
        return float(np.linalg.norm(W.toarray() - 1 / n, 2))
    if topology.symmetric:
        return float(np.abs(converged(linalg.eigsh, minus_mean(W, 1.0), n, k=1, which="LM"))[0])
    centred, transposed = minus_mean(W, 1.0), minus_mean(W.T, 1.0)
    return float(np.sqrt(np.abs(converged(linalg.eigsh, transposed @ centred, n, k=1, which="LM"))[0]))


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
    n = topology.n
    checks.require(n > 1, "got n=1, a second eigenvalue needs two nodes; try n=2")
    need = f"got {topology.name!r} whose W is not symmetric, so its eigenvalues have no order; use lambda_2"
    checks.require(topology.symmetric, need)
    if topology.shifts is not None:
        return float(fourier(topology)[1:].max())
    if n < DENSE_NODES:
        return float(np.linalg.eigvalsh(topology.weights.toarray())[-2])
    # W - 2J moves the eigenvalue 1 to -1, below all the others.
    return float(converged(linalg.eigsh, minus_mean(topology.weights, 2.0), n, k=1, which="LA")[0])


def spectral_gap(topology: Topology) -> float:
    """1 - lambda_2: the part of the disagreement that a round removes. See `lambda_2`.

    >>> from jdl.topology import exponential
    >>> round(spectral_gap(exponential(8)), 4)
    0.5
    """
    return 1.0 - lambda_2(topology)


def fourier(topology: Topology) -> np.ndarray:
    """The eigenvalues of a circulant W, that of the constant vector first."""
    values = np.fft.fft(topology.weights[[0], :].toarray()[0])
    return values.real if topology.symmetric else values


def minus_mean(W, times: float) -> linalg.LinearOperator:
    """W - times J as an operator, without making J."""
    return linalg.LinearOperator(W.shape, matvec=lambda x: W @ x - times * x.mean(), dtype=np.float64)


def converged(solver, operator, n: int, **which) -> np.ndarray:
    """Extreme eigenvalues by Lanczos or Arnoldi iteration, from the same start every time."""
    start = np.random.default_rng(0).standard_normal(n)
    if np.linalg.norm(operator @ start) < 1e-12 * np.linalg.norm(start):
        return np.zeros(which["k"])  # exact averaging: nothing is left to iterate on
    try:
        return solver(operator, v0=start, ncv=min(n, 60), tol=1e-10, return_eigenvectors=False, **which)
    except linalg.ArpackNoConvergence as error:
        raise checks.InputError(
            f"got n={n} nodes whose leading eigenvalues lie too close together for the iterative solver; "
            "use a closed form, or a smaller n"
        ) from error
