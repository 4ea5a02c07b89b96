"""The extreme eigenvalues of a sparse W without a closed form."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csr_array, linalg

from jdl import checks

__all__ = ["bounds", "second_modulus", "smallest", "top"]

BASIS = 40  # the number of vectors that Lanczos keeps
# 40 restarts are some 800 products with W: enough unless eigenvalues are dense at the end, as a chain's are at 1.
RESTARTS = 40
# If Lanczos fails, W - shift I is factored instead, this far outside the spectrum. Nearer, the factors would lose
# digits; further away, eigenvalues that lie 1e-9 below 1 could no longer be distinguished.
BEYOND = 1e-6
# The factor of a graph without small cuts becomes dense and takes hours. Such a graph has a large gap, by Cheeger's
# inequality: if the eigenvalue has this distance from the bound, the iteration continues instead.
HEALTHY = 0.005
PATIENCE = 20  # the factor on the number of restarts in that case
MOST_LINKS = 5_000_000
STUCK = "eigenvalues lie too close together for the iterative solver; use a graph with a closed form, or a smaller n"


def top(W: csr_array) -> float:
    """The second largest eigenvalue of a symmetric W whose rows sum to one, by value; n >= 2.

    It uses Lanczos iteration on W - 2J. If that does not converge, it uses Lanczos on (W - shift I)^-1, with a sparse
    factor. The result is accurate to about 1e-10 without a factor (usually to 1e-14), and to 1e-14 with one.
    """

    def deflated(x):
        return W @ x - 2.0 * x.mean()  # shifts the eigenvalue 1 of the constant vector to -1

    return _end(W, linalg.LinearOperator(W.shape, matvec=deflated, dtype=np.float64), "LA", bounds(W)[1])


def smallest(W: csr_array) -> float:
    """The smallest eigenvalue of a symmetric W; see `top`."""
    return _end(W, linalg.aslinearoperator(W), "SA", bounds(W)[0])


def second_modulus(W: csr_array) -> float:
    """The second largest modulus of an eigenvalue of any stochastic W, by Arnoldi iteration, accurate to about 1e-8."""
    start = np.random.default_rng(0).standard_normal(W.shape[0])
    settings = {"v0": start, "ncv": min(W.shape[0] - 1, 2 * BASIS), "tol": 1e-10, "return_eigenvectors": False}
    try:
        values = linalg.eigs(W, k=2, which="LM", **settings)
    except linalg.ArpackNoConvergence as error:
        raise checks.InputError(f"got n={W.shape[0]} nodes whose leading {STUCK}") from error
    return float(np.sort(np.abs(values))[0])


def bounds(W: csr_array) -> tuple[float, float]:
    """Two numbers between which all eigenvalues of a symmetric W lie, by Gershgorin's theorem.

    >>> from jdl.topology import ring
    >>> low, high = bounds(ring(8).weights)
    >>> round(low, 4), round(high, 4)
    (-0.3333, 1.0)
    """
    diagonal = W.diagonal()
    reach = np.asarray(abs(W).sum(axis=1)) - np.abs(diagonal)
    return float((diagonal - reach).min()), float((diagonal + reach).max())


def _end(W: csr_array, operator: linalg.LinearOperator, which: str, bound: float) -> float:
    """The eigenvalue at one end of the spectrum, next to the bound there."""
    value = _lanczos(operator, which)
    if value is None:
        rough = _lanczos(operator, which, tolerance=1e-3)
        if rough is not None and abs(bound - rough) > HEALTHY:
            value = _lanczos(operator, which, RESTARTS * PATIENCE, tolerance=1e-8)
    return _beyond(W, bound + BEYOND if which == "LA" else bound - BEYOND) if value is None else value


def _lanczos(
    operator: linalg.LinearOperator, which: str, restarts: int = RESTARTS, tolerance: float = 1e-10
) -> float | None:
    """The eigenvalue at one end, from a fixed start vector; None if the iteration does not converge in time."""
    n = operator.shape[0]
    start = np.random.default_rng(0).standard_normal(n)
    start -= start.mean()
    image = operator @ start
    if np.linalg.norm(image) < 1e-12 * np.linalg.norm(start):
        return 0.0  # exact averaging: the operator is zero, which ARPACK refuses
    settings = {"v0": start, "ncv": min(n, BASIS), "tol": tolerance, "maxiter": restarts}
    settings["return_eigenvectors"] = False
    try:
        return float(linalg.eigsh(operator, k=1, which=which, **settings)[0])
    except linalg.ArpackNoConvergence:
        return None


def _beyond(W: csr_array, shift: float) -> float:
    """The eigenvalue of W nearest to `shift`, which lies outside the spectrum; the constant vector is excluded."""
    n = W.shape[0]
    if W.nnz > MOST_LINKS:
        raise checks.InputError(f"got n={n} nodes and {W.nnz:,} links whose leading {STUCK}")
    shifted = sparse.csc_array(W - shift * sparse.eye_array(n))
    # W - shift I is definite, so no pivoting is needed, and a symmetric ordering keeps the factor sparse.
    factor = linalg.splu(shifted, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})

    def solve(x):
        y = factor.solve(x - x.mean())
        return y - y.mean()

    start = np.random.default_rng(0).standard_normal(n)
    inverse = linalg.LinearOperator(W.shape, matvec=solve, dtype=np.float64)
    settings = {"v0": start - start.mean(), "ncv": min(n, BASIS), "tol": 1e-10, "return_eigenvectors": False}
    try:
        return float(linalg.eigsh(W, k=1, sigma=shift, which="LM", OPinv=inverse, **settings)[0])
    except linalg.ArpackNoConvergence as error:
        raise checks.InputError(f"got n={n} nodes whose leading {STUCK}") from error
