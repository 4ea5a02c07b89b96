"""Gradients with differential privacy: each example's gradient is clipped, and their mean gets noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, privacy, tree
from jdl.oracle.gradient_noise import key_of_query, noisy
from jdl.oracle.queries import offered
from jdl.types import Data, Minibatch, Public, PyTree, Query, number

__all__ = ["PrivateGradients"]


@struct.dataclass
class PrivateGradients:
    """The gradients of DP-SGD: `(sum_j g_j min(1, C / ||g_j||) + z C N(0, I)) / B` over B examples.

    Minibatches, full data and parts are treated alike. B is the number of examples of the batch; where it is random
    (`sampling="poisson"` of the problem) it is the mean number, for a random one would tell who is there. Public data
    are not secret, and their gradients stay as they are. Losses that nodes report have no noise. The noise of one batch
    is the same whenever it is asked for in a round: a method that takes the difference of the gradients of one batch at
    two models (`gt_sarah`, `fedamd`) reveals more than the noise suggests.

    Which account is right depends on how the problem draws minibatches; see `jdl.privacy.epsilon`.

    - "poisson": `sampling="poisson"` with the rate B / examples.
    - "round", one minibatch a round: `sampling="fixed"`. Several, which are disjoint: "cyclic" with a rate of 1 and a
      step a round.
    - "epochs" and "stream": `sampling="cyclic"` with the rate B / examples.
    - all examples (`batch_size=0`, full gradients): a rate of 1.
    - "replacement": an example may be in a batch several times, and no account here has a bound but a rate of 1 with a
      noise multiplier B times as small. Another way of drawing is what to change.

    Args:
      clip: C, the largest norm of the gradient of one example, over all leaves.
      noise_multiplier: z, at least 0; with 0 gradients are only clipped.

    References:
      Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar, Zhang 2016, Deep Learning with Differential Privacy,
      Algorithm 1.
    """

    clip: float = number(1.0, minimum=0)
    noise_multiplier: float = number(1.0, minimum=0)

    breaks: ClassVar[frozenset[str]] = frozenset({"hvp", "prox"})

    @classmethod
    def for_budget(
        cls,
        epsilon: float = 4.0,
        delta: float = 1e-5,
        *,
        rounds: int,
        sampling_rate: float = 1.0,
        batches: int = 1,
        clip: float = 1.0,
        sampling: str = "poisson",
        accountant: str = "rdp",
    ) -> Self:
        """Private gradients with the noise that keeps a budget: sigma for epsilon = 4, delta = 1e-5, these rounds.

        It needs dp-accounting, the extra `privacy`.

        Args:
          epsilon: the budget of each node's examples, above 0.
          delta: above 0 and below 1; smaller than one over the number of a node's examples.
          rounds: how many rounds the run takes.
          sampling_rate: the share of a node's examples that are in a minibatch; of nodes that differ, the largest.
          batches: gradients that a node asks for in a round, such as `local_steps`.
          clip: C, the largest norm of the gradient of one example.
          sampling: how minibatches are drawn, one of `jdl.privacy.SAMPLING`; the list above says which.
          accountant: "rdp" or "pld".

        Raises:
          InputError: see `jdl.privacy.noise_multiplier`.
        """
        steps = checks.whole("rounds", rounds, 1) * checks.whole("batches", batches, 1)
        z = privacy.noise_multiplier(epsilon, delta, sampling_rate, steps, sampling=sampling, accountant=accountant)
        return cls(clip=clip, noise_multiplier=z)

    def grad(
        self, inner: Callable[..., tuple[PyTree, PyTree]], data: Data, params: PyTree, batch: PyTree, query: Query
    ) -> tuple[PyTree, PyTree]:
        if isinstance(query.which, Public):
            return inner(data, params, batch, query)
        offered(data.problem, "losses")
        single, real = data.problem.alone(batch)

        def clipped(one: PyTree, weight: jax.Array | None) -> tuple[PyTree, PyTree]:
            alone = query if weight is None else query.replace(weights=weight[None])
            gradient, aux = inner(data, params, one, alone)
            norm = jnp.sqrt(tree.norm_squared(gradient))
            clip = jnp.asarray(self.clip, norm.dtype)
            return tree.scale(jnp.where(norm > clip, clip / jnp.where(norm > 0, norm, 1), 1), gradient), aux

        each, aux = jax.vmap(clipped)(single, query.weights)
        count = _number(data, query, real)
        mean = lambda x: jnp.sum(jnp.where(tree.column(real, x), x, 0), axis=0) / jnp.maximum(count, 1).astype(x.dtype)
        gradient, aux = jax.tree.map(mean, (each, aux))
        number = jnp.maximum(count, 1).astype(jnp.result_type(float))
        sigma = jnp.where(count > 0, self.noise_multiplier * self.clip / number, 0)
        return noisy(key_of_query(data, query), sigma, gradient), aux


def _number(data: Data, query: Query, real: jax.Array) -> jax.Array:
    """B, i32[]: the number of examples of a batch, or the mean number where it is random."""
    mean = getattr(data.problem, "mean_batch", None) if isinstance(query.which, Minibatch) else None
    if mean is None:
        return jnp.sum(real, dtype=jnp.int32)
    return jnp.minimum(data.problem.num_examples[data.id], mean).astype(jnp.int32)
