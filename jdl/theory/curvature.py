"""Smoothness and strong convexity of a problem: as it knows them, or measured by Hessians at given models."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jdl import checks
from jdl.theory.asking import curvatures, holders, one_model, products, question
from jdl.types import Problem, PyTree

__all__ = ["smoothness", "strong_convexity"]

DENSE = 100  # up to this number of parameters all columns of the Hessians are computed
OF = ("nodes", "mean")


def smoothness(problem: Problem, at: Sequence[PyTree] | None = None, of: str = "nodes", oracle: Any = None) -> float:
    """L: the largest modulus of a curvature of any f_i, or of their mean.

    Where a problem knows a bound (`problem.smoothness`: exact for quadratics, lambda_max / 4 + reg for logistic
    regression), that is the answer if `at` is None. Otherwise it is the largest over the given models, which is a lower
    bound of L unless f is quadratic: by all Hessians up to 100 parameters, and by Lanczos iteration on products of
    Hessians with vectors for more.

    Args:
      problem: any problem.
      at: models at which to measure.
      of: "nodes" for the largest over f_i, "mean" for the mean objective of the nodes with data.
      oracle: None, an oracle, a wrapper, or a list of them, as in a run.

    Raises:
      InputError: if the problem does not know its smoothness and no models are given.

    >>> import jdl
    >>> problem = jdl.problems.quadratic(nodes=4, dim=3, condition=5.0)
    >>> round(smoothness(problem), 4), round(smoothness(problem, at=[problem.optimum.params]), 4)
    (1.0, 1.0)

    References:
      Lanczos iteration: `scipy.sparse.linalg.eigsh`. Verified: Hessians by automatic differentiation.
    """
    known = _known(problem, "smoothness", at, of)
    if known is not None:
        return known
    ends = [_ends(problem, params, of, oracle) for params in at]
    return float(max(max(abs(low), abs(high)) for low, high in ends))


def strong_convexity(
    problem: Problem, at: Sequence[PyTree] | None = None, of: str = "nodes", oracle: Any = None
) -> float:
    """mu: the smallest curvature of any f_i with data, or of their mean; negative if one is not convex at some model.

    Where a problem knows a bound (`problem.strong_convexity`), that is the answer if `at` is None. Otherwise it is the
    smallest over the given models, an upper bound of mu unless f is quadratic; see `smoothness`.

    Args:
      problem: any problem.
      at: models at which to measure.
      of: "nodes" for the smallest over f_i, "mean" for the mean objective of the nodes with data.
      oracle: None, an oracle, a wrapper, or a list of them, as in a run.

    Raises:
      InputError: if the problem does not know its strong convexity and no models are given.

    >>> import jdl
    >>> problem = jdl.problems.quadratic(nodes=4, dim=3, condition=5.0)
    >>> round(strong_convexity(problem), 4), strong_convexity(problem, [problem.optimum.params], of="mean") > 0.2
    (0.2, True)

    References:
      See `smoothness`.
    """
    known = _known(problem, "strong_convexity", at, of)
    if known is not None:
        return known
    return float(min(_ends(problem, params, of, oracle)[0] for params in at))


def _known(problem: Problem, name: str, at: Sequence[PyTree] | None, of: str) -> float | None:
    checks.known("of", of, OF)
    if at is not None:
        several = isinstance(at, list | tuple) and len(at) > 0
        checks.require(several, f"got at={type(at).__name__}, need a list of one or more models; write at=[params]")
        return None
    value = getattr(problem, name, None) if of == "nodes" else None
    whose = "its nodes" if of == "nodes" else "their mean"
    got = f"got a {type(problem).__name__}, which does not know the {name} of {whose}"
    checks.require(value is not None, f"{got}, need models at which to measure it; give at=[params]")
    return float(value)


def _ends(problem: Problem, params: PyTree, of: str, oracle: Any) -> tuple[float, float]:
    """The smallest and the largest curvature at one model."""
    s, real = question(problem, oracle), np.flatnonzero(holders(problem))
    flat = ravel_pytree(one_model(problem, params))[0]
    if flat.size <= DENSE:
        hessians = curvatures(s, params)[real]
        values = np.linalg.eigvalsh(hessians if of == "nodes" else hessians.mean(axis=0))
        return float(values.min()), float(values.max())

    def answers(ids, vector):
        rows = products(s, params, jnp.asarray(ids, jnp.int32), jnp.asarray(vector.ravel(), flat.dtype))
        return np.asarray(rows, np.float64).mean(axis=0)

    groups = [real] if of == "mean" else [[row] for row in real]
    times = [functools.partial(answers, ids) for ids in groups]
    ends = np.array([[_end(product, flat.size, which) for which in ("SA", "LA")] for product in times])
    return float(ends[:, 0].min()), float(ends[:, 1].max())


def _end(times: Any, size: int, which: str) -> float:
    from scipy.sparse import linalg

    operator = linalg.LinearOperator((size, size), matvec=times, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(size)
    return float(linalg.eigsh(operator, k=1, which=which, v0=start, tol=1e-4, return_eigenvectors=False)[0])
