"""What one node learns of another when a single model walks from node to node: a matrix over pairs of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jdl import checks

__all__ = ["random_walk_closed_form", "random_walk_renyi", "walk_mu"]


def random_walk_renyi(
    P: Any,
    steps: int,
    *,
    order: float = 2.0,
    noise: float = 1.0,
    sensitivity: float = 1.0,
    first: bool = True,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """What node v learns of node u from a token on a random walk: a Renyi divergence for each pair, [u, v].

    Where the token is, it takes a step with noise N(0, noise^2 I). Node v knows nothing but the token when it comes to
    v. What u adds at a visit is hidden by the noise of that step and of all steps until the token comes to v for the
    first time: of a gap of t steps, the divergence is a(t) = order sensitivity^2 / (2 noise^2 t); exactly so for steps
    that add to the token, and at most this for steps that do not expand distances. For gaps that are random, with
    c = (order - 1) a(1) at most 1, a mixture has at most 1 + c times the mean divergence, since e^x <= 1 + (1 + c) x
    for x <= c. So

      (1 + c) sum_s Pr[token at u at s] sum_t Pr[from u to v in t steps, first] a(t), s + t < steps,

    the sum of what each visit of u tells by itself. It is a bound for each visit. It is none for all of them together
    if u adds the same twice before v looks, which `walk_mu` includes: of steps u, u, v it says 2 a(1), the sum 1.5.

    Args:
      P: f[n, n], where P[u, v] is the probability that the token goes from u to v, or a topology (for symmetric W).
      steps: T, how many nodes the token visits, at least 1.
      order: alpha, above 1.
      noise: the standard deviation of the noise of a step, above 0.
      sensitivity: the largest change of what a node adds in a step, at least 0.
      first: whether gaps end when the token comes to v for the first time, which is tight; or at each of its visits, as
        in the sum of the paper, which is larger.
      start: f[n], where the token begins; None: anywhere, with equal probabilities.

    Returns:
      f[n, n], infinite on the diagonal.

    Raises:
      InputError: if P is no matrix of probabilities, or if c is above 1.

    References:
      Cyffers, Bellet, Upadhyay 2024, Differentially Private Decentralized Learning with Random Walks (the sum, whose
      1 + c is 2; for its closed form see `random_walk_closed_form`).
      Feldman, Mironov, Talwar, Thakurta 2018, Privacy Amplification by Iteration (steps that do not expand; mixtures).

    >>> random_walk_renyi([[0, 1], [1, 0]], 2)[0, 1].item()  # node 0 comes first in half of the cases
    1.0
    """
    matrix, steps = _probabilities(P), checks.whole("steps", steps, 1)
    one = _one(order, noise, sensitivity)
    c = (order - 1) * one
    do = f"give a noise of at least {sensitivity * np.sqrt(order * (order - 1) / 2):.3g}, or a smaller order"
    checks.require(c <= 1, f"got order={order}, noise={noise} and sensitivity={sensitivity}, need more noise; {do}")
    n = len(matrix)
    here = np.full(n, 1 / n) if start is None else np.asarray(start, float)
    visits = [here]  # [k]: the mean number of visits to each node among the first k + 1
    for _ in range(steps - 1):
        here = here @ matrix
        visits.append(visits[-1] + here)
    reached, total = matrix, np.zeros((n, n))
    for t in range(1, steps):
        total += visits[steps - 1 - t][:, None] * reached / t
        reached = matrix @ (reached - np.diag(np.diag(reached)) if first else reached)
    np.fill_diagonal(total, np.inf)
    return (1 + c) * one * total


def random_walk_closed_form(
    W: Any, steps: int, *, order: float = 2.0, noise: float = 1.0, sensitivity: float = 1.0
) -> np.ndarray:
    """The closed form for a token on a random walk of many steps: a Renyi divergence for each pair, [u, v].

    (order sensitivity^2 T / (noise^2 n)) (log(T) / n - log(I - W + J)_{uv}), with J the matrix of 1 / n and the
    logarithm that of a matrix: T / n visits of u, each of whose gaps of t steps ends at v with probability (W^t)_{uv},
    sum_t (W^t - J) / t = -log(I - W + J), sum_{t <= T} 1 / t ~ log T, and 2 for the mixture. On the complete graph with
    W = J it is order sensitivity^2 T log(T) / (noise^2 n^2) for all pairs.

    Args:
      W: f[n, n], symmetric and doubly stochastic, of a connected graph; or a topology.
      steps: T, at least 1.
      order: as in `random_walk_renyi`.
      noise: as in `random_walk_renyi`.
      sensitivity: as in `random_walk_renyi`.

    Returns:
      f[n, n], infinite on the diagonal. Entries of far pairs may be negative where T is small: it is for long walks.

    Raises:
      InputError: if W is not symmetric with rows that sum to one, or if its graph is not connected.

    References:
      Cyffers, Bellet, Upadhyay 2024, Differentially Private Decentralized Learning with Random Walks (the formula as in
      the authors' code, `priv_global` and `logW`, with sensitivity 1).

    >>> random_walk_closed_form(np.full((2, 2), 0.5), 8)[0, 1].round(3).item()  # 2 * 8 log(8) / 4
    8.318
    """
    matrix, steps = _probabilities(W), checks.whole("steps", steps, 1)
    checks.require(bool(np.allclose(matrix, matrix.T)), "got W that is not symmetric, need it so; see jdl.topology")
    n = len(matrix)
    values, vectors = np.linalg.eigh(np.eye(n) - matrix + 1 / n)
    connected = bool(values.min() > 1e-12)
    checks.require(connected, "got W of a graph that is not connected, need one on which a token gets everywhere")
    logarithm = vectors * np.log(values) @ vectors.T
    found = 2 * _one(order, noise, sensitivity) * steps / n * (np.log(steps) / n - logarithm)
    np.fill_diagonal(found, np.inf)
    return found


def walk_mu(walk: Sequence[int], n: int, *, noise: float = 1.0, sensitivity: float = 1.0) -> np.ndarray:
    """What node v learns of node u from a token that took a walk that v knows: exact, mu[u, v].

    Every visited node adds its value with noise N(0, noise^2 I) to the token. Of what v sees, the change from one visit
    to the next one is new: if u was there k times in the g steps of this gap, a change of u's value by `sensitivity`
    moves it by k sensitivity / (sqrt(g) noise) standard deviations. So mu^2 = (sensitivity / noise)^2 sum k^2 / g.

    Args:
      walk: the nodes in the order in which the token visits them.
      n: the number of nodes.
      noise: as in `random_walk_renyi`.
      sensitivity: as in `random_walk_renyi`.

    Returns:
      f[n, n], infinite on the diagonal; the Renyi divergence is order mu^2 / 2.

    >>> (walk_mu([0, 0, 1, 2], 3) ** 2).round(2).tolist()
    [[inf, 2.0, 1.33], [0.0, inf, 0.33], [0.0, 0.0, inf]]
    """
    nodes = np.asarray(walk, int)
    inside = nodes.ndim == 1 and bool(np.all((0 <= nodes) & (nodes < n)))
    checks.require(inside, f"got the walk {walk}, need the numbers of {n} nodes in a row")
    checks.require(noise > 0, f"got noise={noise}, need a standard deviation above 0")
    squares = np.zeros((n, n))
    for v in range(n):
        before = 0
        for at in np.flatnonzero(nodes == v):
            # A node knows what it added itself, so that its own step at the start of a gap hides nothing.
            hidden = nodes[before:at][nodes[before:at] != v]
            counts = np.bincount(hidden, minlength=n)
            squares[:, v] += counts**2 / max(len(hidden), 1)
            before = at
    mu = sensitivity / noise * np.sqrt(squares)
    np.fill_diagonal(mu, np.inf)
    return mu


def _one(order: float, noise: float, sensitivity: float) -> float:
    """The divergence of one message with the noise of one step."""
    checks.require(order > 1, f"got order={order}, need a number above 1; try 2")
    checks.require(noise > 0, f"got noise={noise}, need a standard deviation above 0")
    return order * sensitivity**2 / (2 * noise**2)


def _probabilities(P: Any) -> np.ndarray:
    P = getattr(P, "weights", P)
    matrix = np.asarray(P.toarray() if hasattr(P, "toarray") else P, float)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    good = square and bool(np.all(matrix >= 0) and np.allclose(matrix.sum(axis=1), 1))
    got = f"got P of shape {matrix.shape}"
    checks.require(good, f"{got}, need [n, n] probabilities whose rows sum to one; give topology.weights.toarray()")
    return matrix
