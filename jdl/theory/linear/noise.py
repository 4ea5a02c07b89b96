"""Gaussian gradient noise as an argument of a round, so that its covariance follows from a derivative."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from jdl.engine.sim import Simulation
from jdl.oracle import GradientNoise
from jdl.oracle.stack import stack_oracles
from jdl.problems.quadratic import Quadratic
from jdl.types import Data, Minibatch, PyTree, Query

__all__ = ["noise_shapes", "with_noise"]


@struct.dataclass
class GivenNoise:
    """Adds `sigma z[node, k]` to the gradient of minibatch k, in place of noise that is drawn.

    Args:
      sigma: f[], the standard deviation of the noise.
      z: the noise of all nodes and minibatches of a round, a pytree like the model with leaves `[n, k, ...]`.
    """

    sigma: jax.Array
    z: PyTree

    def grad(
        self, inner: Callable[..., tuple[PyTree, PyTree]], data: Data, params: PyTree, batch: PyTree, query: Query
    ) -> tuple[PyTree, PyTree]:
        gradient, aux = inner(data, params, batch, query)
        if not isinstance(query.which, Minibatch):
            return gradient, aux
        scaled = lambda g, z: g + self.sigma.astype(g.dtype) * z[data.id, query.which.k].astype(g.dtype)
        return jax.tree.map(scaled, gradient, self.z), aux


def noise_shapes(s: Simulation) -> list[PyTree]:
    """The shapes of the Gaussian noise of one round: an entry for each source whose law is known.

    Sources are `jdl.oracle.GradientNoise` and the noise of `jdl.problems.quadratic`. The list is empty
    if the number of minibatches in a round is random, since the noise then has no fixed shape; it is drawn with the
    rest of the round.
    """
    draws = getattr(s.algorithm, "draws_per_round", 1)
    if draws is None:
        return []
    model = jax.eval_shape(s.problem.init, s.key)
    shape = lambda x: jax.ShapeDtypeStruct((s.problem.n, int(draws), *x.shape), x.dtype)
    return [jax.tree.map(shape, model)] * len(_sources(s))


def with_noise(s: Simulation, noise: list[PyTree]) -> Simulation:
    """The simulation whose Gaussian gradient noise is given.

    Args:
      s: the simulation.
      noise: standard normal arrays of the shapes of `noise_shapes`, one pytree a source.
    """
    if not noise:
        return s
    given, wrappers = iter(noise), []
    for wrapper in getattr(s.oracle, "wrappers", ()):
        known = isinstance(wrapper, GradientNoise)
        wrappers.append(GivenNoise(jnp.asarray(wrapper.sigma), next(given)) if known else wrapper)
    problem = s.problem
    if isinstance(problem, Quadratic):
        wrappers.append(GivenNoise(jnp.asarray(problem.noise), next(given)))
        problem = problem.replace(noise=jnp.zeros_like(problem.noise))
    return s.replace(problem=problem, oracle=stack_oracles([*wrappers, getattr(s.oracle, "inner", s.oracle)]))


def _sources(s: Simulation) -> list[object]:
    known = [wrapper for wrapper in getattr(s.oracle, "wrappers", ()) if isinstance(wrapper, GradientNoise)]
    return known + ([s.problem] if isinstance(s.problem, Quadratic) else [])
