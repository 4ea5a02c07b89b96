"""Where a simulation ends, how fast it gets there, and how it fluctuates there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.engine.sim import Simulation
from jdl.theory.linear.law import Law, composed
from jdl.theory.linear.predict import after_round
from jdl.theory.linear.reach import reachable, restricted, seen_in_models, unconserved
from jdl.theory.linear.rounds import HORIZON, LinearRounds, linear_rounds
from jdl.types import PyTree

__all__ = ["Stationary", "radius", "stationary"]

# Up to this size all eigenvalues of a map of covariances are computed, without iterations.
SMALL = 100
# Relative to the largest, a singular value of I - A below this is that of a direction which rounds leave alone.
SINGULAR = 1e-8


class Stationary(NamedTuple):
    """The long run of a simulation.

    Attributes:
      fixed_point: f[P], the models in which their mean ends, flattened node by node; in rounds that change
        periodically, after a whole number of periods.
      covariance: f[P, P], the covariance of the models around it.
      spectral_radius: the factor by which the distance of the models' mean to the fixed point shrinks in a round.
      mean_square_radius: the factor by which their mean squared distance shrinks in a round. It is the square of
        `spectral_radius` if rounds are not random, and larger if they are.
      states: the number of directions of the state in which a run can move.
    """

    fixed_point: np.ndarray
    covariance: np.ndarray
    spectral_radius: float
    mean_square_radius: float
    states: int


def stationary(simulation: Simulation, params: PyTree | None = None, samples: int = 512) -> Stationary:
    """The fixed point, the rate of convergence and the stationary covariance of a linear method, exactly.

    With the affine rounds of `jdl.theory.predict`, the fixed point solves `x = E[A] x + E[b]`, the rate is the spectral
    radius of E[A], and the covariance solves the Lyapunov equation `C = E[A C A'] + Cov(A x + b) + Cov(e)`. All three
    are those of the subspace that a run can reach, since along sums that a method conserves E[A] has eigenvalue 1. The
    rates are those of the part of the state on which the models depend.

    Rounds that repeat within the first 64 are taken to repeat for ever.

    Args:
      simulation: the simulation.
      params: the start, see `jdl.sim.init`, which matters to a method that conserves something of it.
      samples: how many draws stand for a random round.

    Returns:
      The fixed point, the rates and the covariance, see `Stationary`.

    Raises:
      InputError: if a round is not affine, if rounds do not repeat (such as with a decaying rate), or if the method
        diverges in the mean square.

    >>> import jdl
    >>> problem = jdl.problems.quadratic(4, 2, condition=4.0)
    >>> simulation = jdl.simulation(problem, jdl.algorithms.DPSGD(lr=0.1), jdl.topology.complete(4))
    >>> 0.9 < stationary(simulation).spectral_radius < 1  # doctest: +SKIP
    True
    """
    linear = linear_rounds(simulation, HORIZON, samples, forever=True)
    cycle, start = composed(linear.cycle()), linear.settled_from(linear.start(params))
    basis = reachable(cycle, start, linear.rounding)
    laws = [restricted(law, basis, start) for law in cycle]
    mean_square = _radii(laws, linear.period)[1]
    grows = f"diverges: its mean squared distance grows by the factor {mean_square:.4g} a round"
    name = type(simulation.algorithm).__name__
    checks.require(mean_square < 1, f"got {name}, which {grows}; take a smaller rate, see jdl.theory.stable_rates")
    # Solved once more in all that is not conserved: the basis lacks directions that are hardly reached.
    fixed = _solved(laws, np.zeros(basis.shape[1]))
    whole = unconserved(cycle, linear.rounding)
    centre = start + basis @ fixed
    centre = centre + whole @ _solved([restricted(law, whole, centre) for law in cycle], np.zeros(whole.shape[1]))
    C = _fixed_covariance(laws, fixed)
    shown = seen_in_models(laws, linear.rounding)
    spectral, mean_square = _radii([restricted(law, shown, fixed) for law in laws], linear.period)
    first = cycle[0]
    spread = first.M @ basis
    return Stationary(first.M @ centre + first.c, spread @ C @ spread.T, spectral, mean_square, basis.shape[1])


def radius(linear: LinearRounds, start: np.ndarray) -> float:
    """The factor of the mean squared distance in a round, in all that a run from a start can reach."""
    cycle, start = composed(linear.cycle()), linear.settled_from(start)
    basis = reachable(cycle, start, linear.rounding)
    return _radii([restricted(law, basis, start) for law in cycle], linear.period)[1]


def _mean_map(laws: list[Law]) -> tuple[np.ndarray, np.ndarray]:
    """The map of the mean over a period, `x <- A x + b`."""
    size = laws[0].A.shape[1]
    A, b = np.eye(size), np.zeros(size)
    for law in laws:
        A, b = law.mean_A @ A, law.mean_A @ b + law.mean_b
    return A, b


def _solved(laws: list[Law], near: np.ndarray) -> np.ndarray:
    """The fixed point of the mean over a period; of several, the one nearest to a point."""
    A, b = _mean_map(laws)
    hold = np.eye(len(near)) - A
    return near + np.linalg.lstsq(hold, b - hold @ near, rcond=SINGULAR)[0]


def _radii(laws: list[Law], period: int) -> tuple[float, float]:
    if not laws[0].A.shape[1]:
        return 0.0, 0.0
    spectral = float(np.abs(np.linalg.eigvals(_mean_map(laws)[0])).max())
    if all(len(law.A) == 1 for law in laws):
        return spectral ** (1 / period), spectral ** (2 / period)
    return spectral ** (1 / period), _mean_square(laws) ** (1 / period)


def _mixed(laws: list[Law], C: np.ndarray) -> np.ndarray:
    for law in laws:
        C = law.mixed(C)
    return C


def _mean_square(laws: list[Law]) -> float:
    """The spectral radius of C -> E[A C A'] over a period.

    The map takes covariances to covariances. So its spectral radius is an eigenvalue, one of whose eigenvectors is a
    covariance (Krein and Rutman), and iterations find it from a positive definite start.
    """
    from scipy.sparse.linalg import LinearOperator, eigs

    size = laws[0].A.shape[1]
    image = lambda C: _mixed(laws, C.reshape(size, size)).reshape(-1)
    start = np.eye(size).reshape(-1)
    if size**2 <= SMALL:
        return float(np.abs(np.linalg.eigvals(np.stack([image(e) for e in np.eye(size**2)], axis=1))).max())
    operator = LinearOperator((size**2, size**2), matvec=image)
    return float(np.abs(eigs(operator, k=1, which="LM", v0=start, tol=1e-10, return_eigenvectors=False)[0]))


def _fixed_covariance(laws: list[Law], fixed: np.ndarray) -> np.ndarray:
    """The covariance that a period keeps, by an iterative method that needs no matrix of size D^2."""
    from scipy.sparse.linalg import LinearOperator, gmres

    size = len(fixed)
    source, mean = np.zeros((size, size)), fixed
    for law in laws:
        source = after_round(law, mean, source)
        mean = law.mean_A @ mean + law.mean_b
    if not source.any():
        return source
    kept = lambda C: (C.reshape(size, size) - _mixed(laws, C.reshape(size, size))).reshape(-1)
    operator = LinearOperator((size**2, size**2), matvec=kept)
    solution, failed = gmres(operator, source.reshape(-1), rtol=1e-10, restart=100, maxiter=200)
    checks.require(not failed, "got a Lyapunov equation that did not converge, need a rate farther from instability")
    C = solution.reshape(size, size)
    return (C + C.T) / 2
