"""The queries of an oracle, each made of three pieces: which examples, which loss, and which direction."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks, tree
from jdl.types import Data, Examples, Full, Minibatch, Part, Public, PyTree, Query, Which

__all__ = ["Queries", "offered", "selection"]

# The budget of a node that works and has no limit, where other nodes do not work and have a budget of 0.
NO_LIMIT = jnp.iinfo(jnp.int32).max


def selection(which: Which) -> Minibatch | Full | Part | Public:
    """The selection that a query means: a number k is short for minibatch k.

    Raises:
      InputError: if `which` is no selection.

    >>> selection(3)
    Minibatch(k=3)
    """
    if isinstance(which, Minibatch | Full | Part | Public):
        return which
    number = isinstance(which, int) or (hasattr(which, "dtype") and jnp.issubdtype(which.dtype, jnp.integer))
    got = f"got {getattr(which, '__name__', which)!r} as a selection of examples"
    need = "need a number k, FULL, Part(i, parts) or PUBLIC(k)"
    checks.require(number, f"{got}, {need}; try 0, the first minibatch of the round")
    return Minibatch(which)


def offered(problem: object, word: str) -> None:
    """Check that a problem offers what a query needs.

    Raises:
      InputError: if it does not.
    """
    got = f"got a query for {word!r} of the problem {type(problem).__name__}, which does not offer it"
    do = f"choose another, or add {word!r} to its `offers`, and the members that jdl.problems.offers names for it"
    checks.require(word in getattr(problem, "offers", ()), f"{got}; {do}")


class Queries:
    """The queries of `jdl.types.Oracle`, as functions of three pieces, which a subclass defines.

    The pieces have the signatures of a `jdl.types.Wrapper` without `inner`: `piece_batch(data, query)`,
    `piece_objective(data, params, batch, query)` and `piece_grad(data, params, batch, query)`. A subclass also defines
    `piece_steps(data)`, the budget of a node that works, and `name_of(data, which)`, under which the problem knows a
    selection.
    """

    def batch(self, data: Data, which: Which) -> PyTree:
        return self.piece_batch(data, Query(selection(which)))

    def inputs(self, data: Data, which: Which) -> PyTree:
        offered(data.problem, "predict")
        return data.problem.inputs(self.batch(data, which))

    def grad(
        self, data: Data, params: PyTree, which: Which, of: str = "loss", weights: jax.Array | None = None
    ) -> tuple[PyTree, PyTree]:
        query = Query(selection(which), weights, of)
        gradient, aux = self.piece_grad(data, params, self.piece_batch(data, query), query)
        if isinstance(query.which, Part):
            gradient = tree.scale(_factor(data, query.which), gradient)
        return _if_working(data, gradient, tree.zeros_like(gradient)), aux

    def loss(self, data: Data, params: PyTree, which: Which, of: str = "loss") -> jax.Array:
        query = Query(selection(which), None, of)
        value = self.piece_objective(data, params, self.piece_batch(data, query), query)[0]
        return tree.scale(_factor(data, query.which), value) if isinstance(query.which, Part) else value

    def losses(self, data: Data, params: PyTree, which: Which) -> Examples:
        query = Query(selection(which))
        offered(data.problem, "losses")
        got = "got a query for the losses of single public examples"
        checks.require(not isinstance(query.which, Public), f"{got}, need the node's own; ask for their outputs")
        batch = self.piece_batch(data, query)
        single, real = data.problem.alone(batch)
        each = jax.vmap(lambda one: self.piece_objective(data, params, one, query)[0])(single)
        labels = data.problem.classes_of(batch) if "labels" in data.problem.offers else None
        return Examples(
            loss=jnp.where(real, each, 0),
            place=data.problem.places(data.id, self.name_of(data, query.which)),
            group=labels if labels is not None and labels.ndim == 1 else jnp.zeros(real.shape, jnp.int32),
            real=real,
        )

    def hvp(self, data: Data, params: PyTree, vector: PyTree, which: Which, of: str = "loss") -> PyTree:
        query = Query(selection(which), None, of)
        batch = self.piece_batch(data, query)
        gradient = lambda params: jax.grad(lambda x: self.piece_objective(data, x, batch, query)[0])(params)
        product = jax.jvp(gradient, (params,), (vector,))[1]
        if isinstance(query.which, Part):
            product = tree.scale(_factor(data, query.which), product)
        return _if_working(data, product, tree.zeros_like(product))

    def predict(self, data: Data, params: PyTree, inputs: PyTree) -> PyTree:
        offered(data.problem, "predict")
        return data.problem.predict(params, inputs)

    def held_out(self, data: Data, params: PyTree) -> dict[str, jax.Array]:
        offered(data.problem, "held_out")
        return data.problem.held_out(params, data.id)

    def prox(self, data: Data, params: PyTree, step: float | jax.Array) -> PyTree:
        offered(data.problem, "prox")
        return _if_working(data, data.problem.prox(data.id, params, jnp.asarray(step)), params)

    def steps(self, data: Data) -> jax.Array | None:
        budget = self.piece_steps(data)
        if data.works is None:
            return budget
        if _idle(data):
            return np.int32(0)
        return jnp.where(data.works, jnp.int32(NO_LIMIT) if budget is None else budget, jnp.int32(0))

    def width(self, data: Data) -> int:
        offered(data.problem, "losses")
        return data.problem.width


def _factor(data: Data, which: Part) -> jax.Array:
    """The weight that makes the mean over all parts the whole, even if parts differ in size."""
    index = jnp.asarray(which.index, jnp.int32)
    return which.parts * data.problem.part(data.id, index, which.parts)[1]


def _if_working(data: Data, x: PyTree, idle: PyTree) -> PyTree:
    if data.works is None or _idle(data):
        return x if data.works is None else idle
    return tree.where(data.works, x, idle)


def _idle(data: Data) -> bool:
    """Whether it is known while the program is traced that the node does not work: see `Plan.workers`."""
    return isinstance(data.works, np.bool_) and not data.works
