"""How often a node asks its oracle in a round, read from a program that is traced for this and never run.

The oracle of that program marks each query. The compiled rounds have no marks, and so the count costs nothing in them.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import struct
from jax.extend.core import Jaxpr, Primitive
from jax.interpreters import ad, batching

from jdl import plan as plans
from jdl.engine.mapping import Placement
from jdl.engine.metrics.chosen import BUILT_IN
from jdl.engine.rounds import plan_at, step
from jdl.engine.sim import before_nodes, init
from jdl.engine.state import RunState, Simulation, program_key
from jdl.types import Data, PyTree

__all__ = ["BUDGET", "KINDS", "Asked", "Counted", "asked", "counted", "mark", "marked", "programs_of"]

# The kinds of queries that are counted, and the queries of a node that they count.
KINDS = {"gradients": "grad", "hessian_products": "hvp", "prox_calls": "prox"}
BUDGET = "budget"  # marks that a node's number of local steps has a limit that depends on its data


class Asked(NamedTuple):
    """How often one node asks; NaN where this depends on data, on the round or on chance.

    Attributes:
      at_start: the queries before the first round, by kind.
      in_round: the queries of a round in which the node takes part, by kind.
    """

    at_start: dict[str, float]
    in_round: dict[str, float]


def asked(simulation: Simulation) -> Asked:
    """How often a node of a simulation asks its oracle for each of `KINDS`.

    Args:
      simulation: what is simulated; its arrays may be traced, since only their shapes are read.
    """
    return _asked(*program_key(simulation))


@functools.lru_cache(maxsize=16)
def _asked(structure: jax.tree_util.PyTreeDef, leaves: tuple[jax.ShapeDtypeStruct, ...]) -> Asked:
    s, rows, before = counted(structure.unflatten(leaves))
    limit = jax.eval_shape(plan_at, s, before)[0].steps  # of the plan, which no oracle knows
    with jax.disable_jit(False):
        start, round_ = jax.make_jaxpr(init)(s), jax.make_jaxpr(step)(s, before)
    marks = _marks(round_.jaxpr)
    marks[BUDGET] += int(limit is not None)
    return Asked(_of_one(_marks(start.jaxpr), s.problem.n), _of_one(marks, rows))


def counted(s: Simulation) -> tuple[Simulation, int, RunState]:
    """A simulation whose queries are marked, how many rows of its first round may ask, and the shapes of its state.

    It computes one node at a time, since `vmap` would turn a choice between two branches into both of them.
    """
    s = s.replace(oracle=Counted(s.oracle), placement=Placement(1), metrics=BUILT_IN)
    plan = jax.eval_shape(lambda s: plan_at(s, before_nodes(s))[0], s)
    return s, plans.rows(plan) if plan.workers is None else plan.workers, jax.eval_shape(init, s)


def _of_one(marks: Counter, rows: int) -> dict[str, float]:
    """The queries of one of so many rows. With a budget, local steps beyond it are computed and not taken."""
    return {kind: math.nan if marks[BUDGET] and marks[kind] else marks[kind] / rows for kind in KINDS}


def _marks(program: Jaxpr) -> Counter:
    """The number of marks of each kind that a program passes, NaN where that is not known before it runs."""
    total: Counter = Counter()
    for equation in program.eqns:
        name, params = equation.primitive.name, equation.params
        if equation.primitive is mark:
            total[params["kind"]] += params["count"]
            continue
        inner = [_marks(one) for one in programs_of(params)]
        times = params["length"] if name == "scan" else 1
        for kind in set().union(*inner):
            counts = [one[kind] for one in inner]
            if name == "while" or (name == "cond" and len(set(counts)) > 1):
                total[kind] = math.nan
            else:
                total[kind] += times * (counts[0] if name == "cond" else sum(counts))
    return total


def programs_of(params: dict[str, Any]) -> list[Jaxpr]:
    """The programs that an equation holds, also in tuples, as the branches of a choice."""
    values = [one for value in params.values() for one in (value if isinstance(value, tuple | list) else (value,))]
    return [one for one in (getattr(value, "jaxpr", value) for value in values) if isinstance(one, Jaxpr)]


@struct.dataclass
class Counted:
    """An oracle whose answers are those of another one, and which marks the queries of `KINDS`."""

    inner: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def grad(self, data: Data, params: PyTree, *about: Any) -> tuple[PyTree, PyTree]:
        return self.inner.grad(data, *_marked("gradients", data, params, *about))

    def hvp(self, data: Data, params: PyTree, *about: Any) -> PyTree:
        return self.inner.hvp(data, *_marked("hessian_products", data, params, *about))

    def prox(self, data: Data, params: PyTree, *about: Any) -> PyTree:
        return self.inner.prox(data, *_marked("prox_calls", data, params, *about))

    def steps(self, data: Data) -> jax.Array | None:
        budget, limit = self.inner.steps(data), self.inner.steps(data.replace(works=None))
        return budget if limit is None else mark.bind(budget, kind=BUDGET, count=1)[0]


def _marked(kind: str, data: Data, *arguments: Any) -> tuple:
    """The arguments of a query, marked; not at the desk of a server, whose id is known, nor where a row never works."""
    if not isinstance(data.id, jax.core.Tracer) or isinstance(data.works, np.bool_):
        return arguments
    # With the id among them, a query that a method asks of several models or batches at once counts as so many.
    return marked(kind, (data.id, *arguments))[1:]


def marked(kind: str, values: PyTree) -> PyTree:
    """The same values, whose arrays pass one mark together."""
    leaves, structure = jax.tree.flatten(values)
    arrays = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]
    outs = mark.bind(*(leaves[i] for i in arrays), kind=kind, count=1)
    for i, out in zip(arrays, outs, strict=True):
        leaves[i] = out
    return structure.unflatten(leaves)


mark = Primitive("jdl_query")
mark.multiple_results = True
mark.def_abstract_eval(lambda *avals, kind, count: avals)
mark.def_impl(lambda *arrays, kind, count: arrays)


def _batched(arrays: tuple, axes: tuple, *, kind: str, count: int) -> tuple:
    size = next(x.shape[axis] for x, axis in zip(arrays, axes, strict=True) if axis is not None)
    return mark.bind(*arrays, kind=kind, count=count * size), axes


def _derivative(arrays: tuple, tangents: tuple, *, kind: str, count: int) -> tuple:
    return mark.bind(*arrays, kind=kind, count=count), tangents


batching.primitive_batchers[mark] = _batched
ad.primitive_jvps[mark] = _derivative
