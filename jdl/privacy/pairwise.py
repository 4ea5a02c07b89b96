"""What one node learns of another by gossip of values that got noise once: a matrix over pairs of nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdl import checks
from jdl.privacy.gaussian import mu_of
from jdl.privacy.weights import weights_of

__all__ = ["decor_mu", "muffliato_renyi", "pairwise_mu"]


def pairwise_mu(
    W: Any,
    steps: int | None = None,
    *,
    noise: float = 1.0,
    sensitivity: float = 1.0,
    covariance: np.ndarray | None = None,
) -> np.ndarray:
    """What node j learns of node i's value when noisy values are averaged by gossip: exact, mu[i, j].

    Every node adds noise to its value once, x = v + N(0, noise^2 I), and steps of gossip follow, x <- W x. Node j reads
    what its neighbours send before each step, and knows its own value and noise. If v_i changes by `sensitivity`, the
    Gaussian that j sees moves by mu[i, j] of its standard deviations: mu = sensitivity / noise times the length of e_i
    projected on the rows of all that j sees. So the Renyi divergence of order alpha is alpha mu^2 / 2, and
    `epsilon_of_mu` gives epsilon. mu is at most sensitivity / noise, what a message by itself tells.

    Args:
      W: f[n, n], where W[i, j] is the weight that receiver i gives to sender j, or a topology; or a list of these, one
        for each step.
      steps: T, the number of gossip steps, at least 1; None for one, or, if W is a list, for its length.
      noise: the standard deviation of the noise, above 0.
      sensitivity: the largest change of a value, at least 0.
      covariance: f[n, n], of the noise of the nodes in units of noise^2; None: independent, the identity.

    Returns:
      mu: f[n, n], infinite on the diagonal, since a node knows its own value; and where the covariance is singular and
        something of a value arrives without noise.

    Raises:
      InputError: if W is not square, or the noise is not above 0.

    References:
      Cyffers, Even, Bellet, Massoulie 2022, Muffliato: Peer-to-Peer Privacy Amplification for Decentralized
      Optimization and Averaging (the setting; for their sum see `muffliato_renyi`).

    >>> from jdl.topology import complete
    >>> pairwise_mu(complete(3), steps=1, noise=2.0)[0]
    array([inf, 0.5, 0.5])
    """
    weights = weights_of(W, steps)
    checks.require(noise > 0, f"got noise={noise}, need a standard deviation above 0")
    n = len(weights[0])
    root = np.eye(n) if covariance is None else _root(np.asarray(covariance, float))
    mu = np.full((n, n), np.inf)
    for j in range(n):
        seen, power = [np.eye(n)[j : j + 1]], np.eye(n)
        for matrix in weights:
            near = np.flatnonzero(matrix[j] * (np.arange(n) != j))
            seen.append(power[near])
            power = matrix @ power
        others = np.delete(np.arange(n), j)
        rows = np.concatenate(seen)[1:]
        rows = rows - np.outer(rows[:, j], np.eye(n)[j])  # its own value and noise are known
        noises = rows @ (root if covariance is None else _without(root, j))
        mu[others, j] = mu_of(sensitivity * rows[:, others], noise * noises)
    return mu


def muffliato_renyi(
    W: Any, steps: int | None = None, *, order: float = 2.0, noise: float = 1.0, sensitivity: float = 1.0
) -> np.ndarray:
    """The sum of Muffliato for what node j learns of node i by gossip: a Renyi divergence for each pair, [i, j].

    (order sensitivity^2 / (2 noise^2)) sum_{t < T} sum_{w in N_j} (W^t)_{wi}^2 / ||(W^t)_w||^2: what each message tells
    by itself, added up, as if the noise of messages were independent. It is not: differences of messages cancel noise,
    and on a ring with T = 2 a node learns all of the value two steps away, where the sum says a third. So this function
    gives the numbers of the paper's figures, and `pairwise_mu` the true loss.

    Args:
      W: as in `pairwise_mu`.
      steps: as in `pairwise_mu`.
      order: alpha, above 1.
      noise: as in `pairwise_mu`.
      sensitivity: as in `pairwise_mu`.

    Returns:
      f[n, n], infinite on the diagonal.

    Raises:
      InputError: as in `pairwise_mu`.

    >>> from jdl.topology import ring
    >>> muffliato_renyi(ring(4).weights.toarray(), steps=1)[0]
    array([inf,  1.,  0.,  1.])
    """
    weights = weights_of(W, steps)
    checks.require(noise > 0, f"got noise={noise}, need a standard deviation above 0")
    n = len(weights[0])
    power, told = np.eye(n), np.zeros((n, n))
    for matrix in weights:
        each = power**2 / np.sum(power**2, axis=1, keepdims=True)  # [w, i]
        near = (matrix != 0) & ~np.eye(n, dtype=bool)  # [j, w]
        told += (near @ each).T
        power = matrix @ power
    np.fill_diagonal(told, np.inf)
    return order * sensitivity**2 / (2 * noise**2) * told


def decor_mu(
    adjacency: Any, *, independent: float = 1.0, correlated: float = 1.0, sensitivity: float = 1.0
) -> np.ndarray:
    """What node j learns of node i's message from all messages of a round under `jdl.exchange.Decor`: mu[i, j].

    The noise of the nodes has the covariance independent^2 I + correlated^2 L, with L the Laplacian of the graph of
    shared seeds. Node j knows its own seeds, so its row and column leave the graph: mu[i, j]^2 = sensitivity^2
    (C^-1)_{ii} with the C of the graph without j.

    Args:
      adjacency: [n, n], which pairs share a seed: those whose entry off the diagonal is not zero.
      independent: the standard deviation of a node's own noise, above 0.
      correlated: the standard deviation of the noise of a pair, at least 0.
      sensitivity: the largest change of a message, at least 0.

    Returns:
      f[n, n], infinite on the diagonal.

    Raises:
      InputError: if the matrix is not square and symmetric, or `independent` is not above 0.

    References:
      Allouah, Koloskova, El Firdoussi, Jaggi, Guerraoui 2024, The Privacy Power of Correlated Noise in Decentralized
      Learning (the noise; the covariance is derived here).

    >>> import numpy as np
    >>> decor_mu(1 - np.eye(2), correlated=9.0)[0].tolist()
    [inf, 1.0]
    """
    shared = weights_of(adjacency, 1)[0] != 0
    np.fill_diagonal(shared, False)
    checks.require(bool(np.all(shared == shared.T)), "got pairs that share a seed one way, need a symmetric matrix")
    checks.require(independent > 0, f"got independent={independent}, need a standard deviation above 0")
    n = len(shared)
    mu = np.full((n, n), np.inf)
    for j in range(n):
        others = np.delete(np.arange(n), j)
        links = shared[np.ix_(others, others)].astype(float)
        laplacian = np.diag(links.sum(axis=1)) - links
        covariance = independent**2 * np.eye(n - 1) + correlated**2 * laplacian
        mu[others, j] = sensitivity * np.sqrt(np.diag(np.linalg.inv(covariance)))
    return mu


def _root(covariance: np.ndarray) -> np.ndarray:
    """A square root of a covariance, from its eigenvectors: it may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0))


def _without(root: np.ndarray, j: int) -> np.ndarray:
    """The root of the covariance of the others' noise when that of node j is known (what remains of a regression)."""
    length = np.linalg.norm(root[j])
    along = root[j] / length if length > 0 else root[j]
    return root - np.outer(root @ along, along)
