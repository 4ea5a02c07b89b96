"""The part of the state that a run can reach and on which its models depend; it decides the rate."""

from __future__ import annotations

import numpy as np

from jdl.theory.linear.law import Law

__all__ = ["reachable", "restricted", "seen_in_models", "unconserved"]

# A singular value below ZERO times the largest is rounding in float64. One step of the search for reachable directions
# multiplies earlier rounding by at most 1 / SMALLEST.
ZERO, SMALLEST = 1e-9, 1e-6
# Where laws are off by more than ZERO, as in float32, what counts as zero is this many times their error.
MARGIN = 30
# Of a random round, this many draws are followed; what they have in common is taken to hold for all.
FOLLOWED = 24


def reachable(laws: list[Law], start: np.ndarray, rounding: float = 0.0) -> np.ndarray:
    """An orthonormal basis f[D, r] of the changes that rounds can make from a start.

    Some methods conserve sums: gradient tracking keeps the sum of its trackers equal to that of its gradients. Along
    these the matrix of a round has eigenvalue 1, but no run moves there. So conserved sums are taken out first; of what
    remains, the basis is the smallest subspace that holds the first changes, all noise, and its own image under every
    round.

    Args:
      laws: the laws of a period.
      start: f[D], a start in general position.
      rounding: by how much laws are off, relative to the size of the vector.
    """
    zero = max(ZERO, MARGIN * rounding)
    free = unconserved(laws, rounding)
    few = [law._replace(A=law.A[:FOLLOWED], b=law.b[:FOLLOWED]) for law in laws]
    few = [restricted(law, free, start) for law in few]
    x, changes = np.zeros(free.shape[1]), []
    for law in [*few, *few]:
        steps = law.A @ x + law.b - x
        changes += [*steps]
        x = x + steps[0]
    noise = [_range(law.Q, zero) for law in few]
    small = max(SMALLEST, MARGIN * rounding)
    basis = _grown(np.zeros((free.shape[1], 0)), np.concatenate([np.stack(changes, axis=1), *noise], axis=1), small)
    new = basis
    while new.shape[1]:
        size = basis.shape[1]
        basis = _grown(basis, np.concatenate([A @ new for law in few for A in law.A], axis=1), small)
        new = basis[:, size:]
    return free @ basis


def seen_in_models(laws: list[Law], rounding: float = 0.0) -> np.ndarray:
    """An orthonormal basis f[D, r] of the part of a vector on which the models depend, now or in later rounds.

    What clients remember, for example, may settle more slowly than the server's model that no longer uses it.

    Args:
      laws: the laws of a period.
      rounding: by how much laws are off, relative to the size of the vector.
    """
    small = max(SMALLEST, MARGIN * rounding)
    empty = np.zeros((laws[0].A.shape[1], 0))
    basis = new = _grown(empty, np.concatenate([law.M.T for law in laws], axis=1), small)
    while new.shape[1]:
        size = basis.shape[1]
        images = [A.T @ new for law in laws for A in law.A[:FOLLOWED]]
        basis = _grown(basis, np.concatenate(images, axis=1), small)
        new = basis[:, size:]
    return basis


def restricted(law: Law, basis: np.ndarray, centre: np.ndarray) -> Law:
    """A law in the coordinates u of `x = centre + basis u`."""
    A = basis.T @ law.A @ basis
    b = (law.A @ centre + law.b - centre) @ basis
    return Law(A, b, law.weights, basis.T @ law.Q @ basis, law.M @ basis, law.M @ centre + law.c)


def unconserved(laws: list[Law], rounding: float = 0.0) -> np.ndarray:
    """An orthonormal basis f[D, r] of all that is orthogonal to sums which no round changes.

    Such a sum c'x has c'A = c', c'b = 0 and c'Q = 0.
    """
    eye = np.eye(laws[0].A.shape[1])
    rows = [A.T - eye for law in laws for A in law.A[:FOLLOWED]]
    rows += [part for law in laws for part in (law.b, law.Q)]
    _, sizes, vectors = np.linalg.svd(np.concatenate(rows), full_matrices=False)
    conserved = vectors[sizes <= max(ZERO, MARGIN * rounding) * max(sizes[0], 1.0)].T
    return np.linalg.qr(conserved, mode="complete")[0][:, conserved.shape[1] :]


def _range(Q: np.ndarray, zero: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(Q)
    return vectors[:, values > zero * np.max(values, initial=1e-300)]


def _grown(basis: np.ndarray, vectors: np.ndarray, small: float) -> np.ndarray:
    """The basis with the directions of some vectors that it lacks."""
    sizes = np.linalg.norm(vectors, axis=0)
    vectors = vectors[:, sizes > 0] / sizes[sizes > 0]
    for _ in range(2):  # the second time takes out what rounding left
        vectors = vectors - basis @ (basis.T @ vectors)
    if not vectors.size:
        return basis
    left, sizes, _ = np.linalg.svd(vectors, full_matrices=False)
    return np.concatenate([basis, left[:, sizes > small]], axis=1)
