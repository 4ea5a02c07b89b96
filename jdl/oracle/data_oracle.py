"""The oracle of the problem's own data."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.oracle.queries import Queries, offered
from jdl.rng import fold_in
from jdl.types import BatchId, Data, Full, Key, Minibatch, Part, Problem, Public, PyTree, Query, number

__all__ = ["DataOracle"]


@struct.dataclass
class DataOracle(Queries):
    """Answers from the problem's data as they are.

    Minibatch k of a round depends only on the seed, the round, the node and k, so that all algorithms see the same
    minibatches. Public minibatch k depends on the seed, the round and k, and is the same for all nodes.

    Args:
      epochs: the number of passes over its own examples that a node may take in a round. A node stops its local steps
        when it has taken them, or after the algorithm's own number of local steps, whichever comes first. None sets no
        such limit.
    """

    epochs: float | None = number(None, minimum=0)

    offers: ClassVar[frozenset[str]] = frozenset(
        {"grad", "loss", "hvp", "full", "parts", "public", "predict", "losses", "held_out", "prox"}
    )

    def init(self, problem: Problem, key: Key) -> tuple[()]:
        return ()

    def begin(self, memory: PyTree, data: Data, model: PyTree) -> PyTree:
        return memory

    def piece_batch(self, data: Data, query: Query) -> PyTree:
        name = self.name_of(data, query.which)
        if isinstance(query.which, Public):
            offered(data.problem, "public")
            return data.problem.public_batch(name)
        at_desk = not isinstance(data.id, jax.core.Tracer) and int(data.id) < 0
        got = "got a query about the data of a node at the server's desk"
        checks.require(not at_desk, f"{got}, which has public data alone; ask for PUBLIC(k)")
        if isinstance(query.which, Full):
            return data.problem.full_batch(data.id)
        if isinstance(query.which, Part):
            offered(data.problem, "parts")
            return data.problem.part(data.id, name.index, name.parts)[0]
        return data.problem.batch(data.id, name)

    def piece_objective(self, data: Data, params: PyTree, batch: PyTree, query: Query) -> tuple[jax.Array, PyTree]:
        loss = getattr(data.problem, query.of)
        if query.weights is None:
            return loss(params, batch)
        offered(data.problem, "losses")
        return loss(params, batch, weights=query.weights)

    def piece_grad(self, data: Data, params: PyTree, batch: PyTree, query: Query) -> tuple[PyTree, PyTree]:
        objective = lambda params: self.piece_objective(data, params, batch, query)
        return jax.grad(objective, has_aux=True)(params)

    def piece_steps(self, data: Data) -> jax.Array | None:
        if self.epochs is None:
            return None
        offered(data.problem, "batches")
        batches = data.problem.batches(data.id).astype(jnp.result_type(float))
        return jnp.ceil(self.epochs * batches).astype(jnp.int32)

    def name_of(self, data: Data, which: Minibatch | Full | Part | Public) -> BatchId | Full | Part:
        """The name under which the problem knows a selection."""
        if isinstance(which, Full):
            return which
        if isinstance(which, Part):
            return which.replace(index=jnp.asarray(which.index, jnp.int32))
        public = isinstance(which, Public)
        return BatchId(
            key=fold_in(data.public_key if public else data.key, which.k),
            order_key=data.public_key if public else data.order_key,
            t=data.t,
            count=data.t if public else data.count,
            k=jnp.asarray(which.k, jnp.int32),
        )
