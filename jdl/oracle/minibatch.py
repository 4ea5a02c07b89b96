"""The oracle of the problem's own minibatches."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl.types import BatchId, Data, Divisible, Passing, Proximal, PyTree, number

__all__ = ["DataOracle"]


@struct.dataclass
class DataOracle:
    """Computes gradients and losses on the problem's minibatches.

    Minibatch k of a round depends only on the seed, the round, the node and k, so that all algorithms see the same
    minibatches.

    Args:
      epochs: the number of passes over its own examples that a node may take in a round. A node stops its local steps
        when it has taken them, or after the algorithm's own number of local steps, whichever comes first. None sets no
        such limit.
    """

    epochs: float | None = number(None, minimum=0)

    offers: ClassVar[frozenset[str]] = frozenset({"grad", "loss", "full_grad", "hvp", "part_grad", "prox"})

    def grad(self, data: Data, params: PyTree, k: int | jax.Array) -> tuple[PyTree, PyTree]:
        return jax.grad(data.problem.loss, has_aux=True)(params, _batch(data, k))

    def loss(self, data: Data, params: PyTree, k: int | jax.Array) -> jax.Array:
        return data.problem.loss(params, _batch(data, k))[0]

    def full_grad(self, data: Data, params: PyTree) -> PyTree:
        return jax.grad(data.problem.loss, has_aux=True)(params, data.problem.full_batch(data.id))[0]

    def hvp(self, data: Data, params: PyTree, vector: PyTree, k: int | jax.Array) -> PyTree:
        return jax.jvp(lambda params: self.grad(data, params, k)[0], (params,), (vector,))[1]

    def part_grad(self, data: Data, params: PyTree, part: int | jax.Array, parts: int) -> PyTree:
        name = type(data.problem).__name__
        need = f"got the problem {name}, whose data cannot be divided into parts; give it a method `part`"
        checks.require(isinstance(data.problem, Divisible), need)
        batch, share = data.problem.part(data.id, jnp.asarray(part, jnp.int32), parts)
        # The weight makes the mean over all parts equal to the full gradient, even if parts differ in size.
        return tree.scale(parts * share, jax.grad(data.problem.loss, has_aux=True)(params, batch)[0])

    def prox(self, data: Data, params: PyTree, step: float | jax.Array) -> PyTree:
        name = type(data.problem).__name__
        need = f"got the problem {name}, which has no proximal operator in closed form; let the method take local steps"
        checks.require(isinstance(data.problem, Proximal), need)
        return data.problem.prox(data.id, params, jnp.asarray(step))

    def steps(self, data: Data) -> jax.Array | None:
        if self.epochs is None:
            return None
        name = type(data.problem).__name__
        need = f"got epochs of the problem {name}, which does not count its minibatches; give it a method `batches`"
        checks.require(isinstance(data.problem, Passing), need)
        batches = data.problem.batches(data.id).astype(jnp.result_type(float))
        return jnp.ceil(self.epochs * batches).astype(jnp.int32)


def _batch(data: Data, k: int | jax.Array) -> PyTree:
    key = jax.random.fold_in(data.key, k)
    return data.problem.batch(
        data.id, BatchId(key=key, order_key=data.order_key, t=data.t, k=jnp.asarray(k, jnp.int32))
    )


# Folded into the key of the noise; the ASCII codes of "nois".
NOISE = 0x6E6F6973
