"""Constants of a problem, measured at a model: gradient noise, heterogeneity, and gradient diversity."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jdl import checks
from jdl.theory import assumptions
from jdl.theory.asking import holders, model_at, node_gradients, question, sampled_gradients
from jdl.topology.topology import Topology
from jdl.types import Problem, PyTree

__all__ = [
    "GradientNoise",
    "NeighbourhoodHeterogeneity",
    "gradient_diversity",
    "gradient_noise",
    "heterogeneity",
    "neighbourhood_heterogeneity",
]


class GradientNoise(NamedTuple):
    """The variance of minibatch gradients, as squared norms of vectors.

    Attributes:
      mean: sigma^2, the mean over nodes with data.
      each: `float[n]`, sigma_i^2 of each node.
      error: standard error of `mean`, from the rounds that were drawn.
    """

    mean: float
    each: np.ndarray
    error: float


class NeighbourhoodHeterogeneity(NamedTuple):
    """How far the mean gradient of a neighbourhood is from that of all nodes.

    Attributes:
      total: tau^2 = bias + noise.
      bias: (1 / n) sum_i ||sum_j W_ij grad f_j - mean_j grad f_j||^2.
      noise: (1 / n) sum_ij (W_ij - 1 / n)^2 sigma_j^2.
    """

    total: float
    bias: float
    noise: float


def gradient_noise(
    problem: Problem, params: PyTree | None = None, rounds: int = 100, seed: int = 0, oracle: Any = None
) -> GradientNoise:
    """sigma^2: the mean of E||g_i - grad f_i||^2 over nodes, estimated from the minibatches of a run.

    The gradients are those of minibatch 0 of rounds 0, 1, ... that a run with this seed draws, all at one model. With
    `Quadratic` the exact value is d noise^2.

    Args:
      problem: any problem.
      params: one model; None for the optimum, where the problem knows it.
      rounds: number of minibatches of each node, at least 2.
      seed: seed of the run.
      oracle: None, an oracle, a wrapper, or a list of them, as in a run.

    Returns:
      The estimate, see `GradientNoise`.

    Raises:
      InputError: if `params` is missing and the optimum is not known.

    >>> import jdl
    >>> noise = gradient_noise(jdl.problems.quadratic(nodes=4, dim=3, noise=2.0), rounds=400)
    >>> abs(noise.mean - 3 * 2.0**2) < 4 * noise.error
    True

    References:
      The variance of Assumption 1 of Lian et al. 2017. Verified: exact values of quadratics, and of finite sums by
      enumeration.
    """
    params, rounds = model_at(problem, params, "the noise"), checks.whole("rounds", rounds, 2)
    s, real = question(problem, oracle, seed), holders(problem)
    full = node_gradients(problem, params, oracle, seed)
    squares = np.sum((sampled_gradients(s, params, rounds) - full) ** 2, axis=2)
    means = squares[:, real].mean(axis=1)
    return GradientNoise(float(means.mean()), squares.mean(axis=0), float(means.std(ddof=1) / np.sqrt(rounds)))


def heterogeneity(problem: Problem, params: PyTree | None = None, oracle: Any = None) -> float:
    """zeta^2 at a model: (1 / n) sum_i ||grad f_i - grad f||^2 over nodes with data, grad f their mean.

    Theorems about nonconvex functions need a bound for all models; theorems about convex ones need the value at the
    optimum, which is `problem.heterogeneity` where a problem has it.

    Args:
      problem: any problem.
      params: one model; None for the optimum, where the problem knows it.
      oracle: None, an oracle, a wrapper, or a list of them, as in a run.

    Raises:
      InputError: if `params` is missing and the optimum is not known.

    >>> import jdl
    >>> round(heterogeneity(jdl.problems.quadratic(nodes=4, dim=3, heterogeneity=2.0)), 4)
    2.0

    References:
      Assumption 1 of Lian et al. 2017; Assumption 3 of Koloskova et al. 2020. Verified: exact values.
    """
    gradients = node_gradients(problem, params, oracle)[holders(problem)]
    return float(np.mean(np.sum((gradients - gradients.mean(axis=0)) ** 2, axis=1)))


def neighbourhood_heterogeneity(
    problem: Problem,
    topology: Topology,
    params: PyTree | None = None,
    sigma_squared: float | np.ndarray = 0.0,
    oracle: Any = None,
) -> NeighbourhoodHeterogeneity:
    """tau^2 at a model: the heterogeneity that remains after averaging over neighbours, in place of zeta^2 and W alone.

    (1 / n) sum_i E||sum_j W_ij g_j - (1 / n) sum_j g_j||^2 for stochastic gradients g_j that are independent between
    nodes with variances sigma_j^2: a bias of the data, and a noise of the graph. It is at most lambda_2^2 (zeta^2 +
    sigma^2), and far less if neighbourhoods mirror the whole, as in D-Cliques.

    Args:
      problem: any problem in which all nodes have data.
      topology: graph with a doubly stochastic W over the nodes of the problem.
      params: one model; None for the optimum, where the problem knows it.
      sigma_squared: variance of stochastic gradients, one number or one for each node; see `gradient_noise`.
      oracle: None, an oracle, a wrapper, or a list of them, as in a run.

    Returns:
      tau^2 and its two parts.

    Raises:
      InputError: if W is not doubly stochastic, if sizes differ, if nodes have no data, or `params` is missing and the
        optimum not known.

    >>> import jdl
    >>> problem = jdl.problems.quadratic(nodes=8, dim=3)
    >>> neighbourhood_heterogeneity(problem, jdl.topology.complete(8)).total < 1e-10
    True

    References:
      Le Bars, Bellet, Tommasi, Lavoie, Kermarrec, "Refined Convergence and Topology Learning for Decentralized SGD with
      Heterogeneous Data", AISTATS 2023, Assumption 4 and its upper bound. Verified: from memory of the paper; against
      its definition, with noise drawn, and against the upper bound.
    """
    theorem = "the neighbourhood heterogeneity of Le Bars et al. 2023"
    n, topology = problem.n, assumptions.one_graph(theorem, topology)
    checks.require(topology.n == n, f"got a graph of {topology.n} nodes and a problem of {n}, need one n; remake one")
    need = f"got {topology.name!r} whose W is {topology.stochastic} stochastic, {theorem} assumes a doubly stochastic W"
    checks.require(topology.stochastic == "doubly", f"{need}; use an undirected graph")
    empty = f"got nodes without data, {theorem} assumes that each has a gradient; use another partition"
    checks.require(bool(holders(problem).all()), empty)
    given = "got a sigma_squared that is neither one number nor one for each node"
    good = not isinstance(sigma_squared, GradientNoise) and np.shape(sigma_squared) in ((), (n,))
    checks.require(good, f"{given}, need variances; give gradient_noise(problem).each")
    apart = topology.weights.toarray() - 1 / n
    bias = np.sum((apart @ node_gradients(problem, params, oracle)) ** 2) / n
    noise = np.sum(apart**2 @ np.broadcast_to(np.asarray(sigma_squared, np.float64), n)) / n
    return NeighbourhoodHeterogeneity(float(bias + noise), float(bias), float(noise))


def gradient_diversity(problem: Problem, params: PyTree | None = None, oracle: Any = None) -> float:
    """Gradient diversity of the nodes at a model: sum_i ||grad f_i||^2 / ||sum_i grad f_i||^2.

    It is 1 / n if all gradients are equal, 1 if they are orthogonal, and infinite where they sum to zero, as they do at
    an optimum; there rounding makes it a very large number. n times it bounds the number of nodes (in the paper, the
    size of a minibatch) whose mean gradient still speeds SGD up linearly.

    Args:
      problem: any problem; the sums are over nodes with data.
      params: one model; None for the optimum, where the problem knows it.
      oracle: None, an oracle, a wrapper, or a list of them, as in a run.

    Raises:
      InputError: if `params` is missing and the optimum is not known.

    >>> import jax, jdl
    >>> alike = jdl.problems.quadratic(nodes=4, dim=3, condition=1.0, heterogeneity=0.0)
    >>> round(gradient_diversity(alike, alike.optimum.params + 1), 4)
    0.25

    References:
      Yin, Pananjady, Lam, Papailiopoulos, Ramchandran, Bartlett, "Gradient Diversity: a Key Ingredient for Scalable
      Distributed Learning", AISTATS 2018, Definition 1. Verified: from memory of the paper; equal and orthogonal
      gradients.
    """
    gradients = node_gradients(problem, params, oracle)[holders(problem)]
    total = float(np.sum(gradients.sum(axis=0) ** 2))
    squares = float(np.sum(gradients**2))
    return squares / total if total > 1e-24 * max(squares, 1e-300) else float("inf")
