"""The expected contraction of a random schedule, estimated from sampled rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from scipy.sparse import csr_array, linalg

from jdl import checks
from jdl import plan as plans
from jdl.rng import key_of
from jdl.topology.spectrum import walks
from jdl.topology.spectrum.neighbours import EffectiveNeighbours, neighbours_of
from jdl.types import Plan, Schedule, Server

__all__ = ["Expected", "effective_neighbours_of_rounds", "expected_contraction", "sample_rounds", "weights_of"]


class Expected(NamedTuple):
    """The expected contraction of a round: an estimate from below with its standard error, and a bound from above."""

    round: float
    error: float
    at_most: float
    rounds: int


def weights_of(plan: Plan) -> csr_array:
    """W of a plan as a `csr_array [m, m]`, diagonal included; also for sizes too large for a dense matrix.

    >>> from jdl.topology import ring
    >>> print(weights_of(ring(3).plan("slots")).toarray().round(2))
    [[0.33 0.33 0.33]
     [0.33 0.33 0.33]
     [0.33 0.33 0.33]]
    """
    need = "got a plan with a server, which has no W; use a plan between peers"
    checks.require(not isinstance(plan.links, Server), need)
    links, m = plans.one_by_one(plan).links, plans.rows(plan)
    parts = links.weights, plans.receivers(links), plans.senders(links)
    weights, receivers, senders = (np.asarray(part).ravel() for part in parts)
    diagonal = np.arange(m)
    values = np.concatenate([weights, np.asarray(plan.self_weights)]).astype(np.float64)
    rows, columns = np.concatenate([receivers, diagonal]), np.concatenate([senders, diagonal])
    W = csr_array((values, (rows, columns)), shape=(m, m))
    W.eliminate_zeros()
    return W


def sample_rounds(schedule: Schedule, rounds: int, seed: int = 0) -> list[csr_array]:
    """W of the first `rounds` rounds of a run with this seed, in order.

    >>> from jdl.schedule import Matching
    >>> [W.nnz for W in sample_rounds(Matching(4), rounds=2)]
    [8, 8]

    Args:
      schedule: schedule between all n nodes.
      rounds: number of rounds.
      seed: seed of the run.

    Returns:
      One `csr_array [n, n]` for each round.
    """
    rounds = checks.whole("rounds", rounds, 1)
    root, step = jax.random.key(checks.whole("seed", seed, 0)), jax.jit(lambda memory, t, key: schedule(memory, t, key))
    memory, matrices = schedule.init(key_of(root, "schedule_state", 0)), []
    for t in range(rounds):
        plan, memory = step(memory, jax.numpy.int32(t), key_of(root, "schedule", t))
        need = "got a schedule in which only some nodes have a row, need one between all; leave the sampling out"
        checks.require(plan.participants is None, need)
        matrices.append(weights_of(plan))
    return matrices


def expected_contraction(rounds: Sequence[csr_array]) -> Expected:
    """The root of the spectral radius of E[W' (I - J) W]: the factor on disagreement in a random round, at worst.

    E||W x - mean||^2 <= rho ||x - mean||^2 if rounds are independent. The spectral radius of the mean over sampled
    rounds is too large in expectation (the largest eigenvalue is a convex function), and more so for fewer rounds; it
    gives `at_most`. The leading eigenvector of one half of the rounds, applied to the other half, gives a factor that
    is too small in expectation, and correct if all directions contract equally, as in a random matching of all nodes;
    it gives `round`. The two converge to each other as rounds are added.

    Args:
      rounds: W of at least two sampled rounds; see `sample_rounds`.

    Raises:
      InputError: if there are fewer than two rounds.

    >>> from jdl.schedule import Matching
    >>> found = expected_contraction(sample_rounds(Matching(8), rounds=400))
    >>> abs(found.round**2 - 6 / 14) < 0.03
    True

    References:
      Boyd, Ghosh, Prabhakar, Shah, "Randomized gossip algorithms", IEEE Transactions on Information Theory 52, 2006.
    """
    half = len(rounds) // 2
    need = f"got {len(rounds)} rounds, an estimate needs two or more; try rounds=100"
    checks.require(half > 0, need)
    if rounds[0].shape[0] == 1:
        return Expected(0.0, 0.0, 0.0, len(rounds))
    left = _left(rounds[half:], _leading(rounds[:half])[1])
    low = float(np.sqrt(left.mean()))
    error = float(left.std() / np.sqrt(len(left)) / (2 * low)) if low > 0 else 0.0  # of the square root
    high = float(np.sqrt(max(0.0, _leading(rounds)[0])))
    return Expected(low, error, max(low, high), len(rounds))


def effective_neighbours_of_rounds(rounds: Sequence[csr_array], gamma: float, doubly: bool) -> EffectiveNeighbours:
    """`effective_neighbours` of a random schedule, from sampled rounds that are reused."""
    variance, error = walks.variances([walks.of_matrix(W) for W in rounds], gamma, doubly)
    return neighbours_of(variance, gamma, error)


def _left(rounds: Sequence[csr_array], x: np.ndarray) -> np.ndarray:
    """||W x - mean||^2 of each round, for x of norm one and mean zero."""
    images = [W @ x for W in rounds]
    return np.array([np.sum((image - image.mean()) ** 2) for image in images])


def _leading(rounds: Sequence[csr_array]) -> tuple[float, np.ndarray]:
    """The largest eigenvalue and eigenvector of the mean over rounds of W' (I - J) W, among vectors of mean zero."""
    n = rounds[0].shape[0]

    def mean(x):
        x = x - x.mean()
        images = (W @ x for W in rounds)
        total = sum(W.T @ (image - image.mean()) for W, image in zip(rounds, images, strict=True))
        return (total - total.mean()) / len(rounds)

    start = np.random.default_rng(0).standard_normal(n)
    start -= start.mean()
    if n < 3 or np.linalg.norm(mean(start)) < 1e-24 * np.linalg.norm(start):
        direction = start / np.linalg.norm(start)
        return float(_left(rounds, direction).mean()), direction
    operator = linalg.LinearOperator((n, n), matvec=mean, dtype=np.float64)
    # One percent is below the sampling error.
    values, vectors = linalg.eigsh(operator, k=1, which="LA", v0=start, ncv=min(n, 20), tol=1e-2, maxiter=1000)
    return float(values[0]), vectors[:, 0] / np.linalg.norm(vectors[:, 0])
