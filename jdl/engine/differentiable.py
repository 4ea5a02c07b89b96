"""A simulation whose rounds can be reversed, so that `jax.grad` passes through `simulate`."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn

from jdl import checks
from jdl.engine.irreversible import irreversible_loops, place_of
from jdl.engine.mapping import Placement
from jdl.engine.rounds import step
from jdl.engine.sim import evaluate, init
from jdl.engine.state import RunState, Simulation, a_simulation, untimed

__all__ = ["differentiable"]


def differentiable(simulation: Simulation) -> Simulation:
    """The same simulation with loops that reverse-mode derivatives can pass, for `jax.grad` through `jdl.simulate`.

    The values are those of the plain simulation up to rounding, since XLA may fuse what is in the loops in another way.
    The memory of the derivative grows with the square root of the number of rounds T: about twice the root of T states
    are stored, and the rounds between them are computed again. `jax.jvp` passes the plain simulation as well.

    Differentiate with respect to arrays of real numbers, and put them into the simulation inside of the function; keys
    and whole numbers then stay constants:

    - rates: `s.replace(algorithm=s.algorithm.replace(lr=lr))`, as below;
    - mixing weights: `plan = s.schedule.plan`, then `s.replace(schedule=s.schedule.replace(plan=plan.replace(
      links=plan.links.replace(weights=weights))))`. Where rows of W sum to one, the weight of a node for itself is one
      minus the weights of its links, whatever `plan.self_weights` says; only whether that is zero counts. A link of
      weight zero is no link, and so has the derivative zero. A topology with symmetric weights needs weights that stay
      symmetric;
    - the start: `jdl.simulate(s, rounds, params=params)`;
    - data: `s.replace(problem=s.problem.replace(...))`, as the `weights` of the examples of `jdl.problems.logistic`.
      For any problem, take an oracle with an array `weights` of the nodes, whose method `objective(self, inner, data,
      params, batch, query)` returns `weights[data.id]` times the loss of `inner`, see `jdl.types.Wrapper`. Where single
      examples have losses, it can weight these: `query.replace(weights=weights[data.id, places])`, with `places =
      data.problem.places(data.id, jdl.oracle.DataOracle().name_of(data, query.which))`.

    A derivative is that of one run, whose key and so whose draws stay as they are: minibatches, noise, lost messages,
    participants, random roundings. Its mean over keys is the derivative of the mean wherever the distribution of these
    draws does not depend on what is varied. For the probability that a message is lost it does, and the derivative with
    respect to it is zero here. What is rounded, sorted or chosen by size has the derivative of the branch that the run
    takes: a message rounded to a grid moves with the scale of the grid only, and of a message cut to its largest
    entries only these move.

    Args:
      simulation: what is simulated, from `jdl.simulation(...)`.

    Returns:
      The simulation, for `jdl.simulate`; also under `jit`, `vmap` and `jax.jvp`.

    Raises:
      InputError: if a loop of a part cannot be reversed, since its number of turns depends on values.

    >>> import jax, jdl
    >>> parts = jdl.problems.quadratic(nodes=4, dim=2), jdl.algorithms.DPSGD(lr=0.1), jdl.topology.ring(4)
    >>> simulation = jdl.differentiable(jdl.simulation(*parts))
    >>> def loss(lr):
    ...     s = simulation.replace(algorithm=simulation.algorithm.replace(lr=lr))
    ...     state, metrics = jdl.simulate(s, rounds=8, eval_every=8)
    ...     return metrics["mean_loss"][-1]
    >>> bool(jax.grad(loss)(0.1) < 0)
    True

    References:
      Chen, Xu, Zhang, Guestrin 2016, Training Deep Nets with Sublinear Memory Cost: memory of the order of the root of
      the number of layers for one more forward pass (read: the abstract). Here the steps of a segment store their
      carries alone as well, which costs another forward pass.
    """
    plain = untimed(a_simulation(simulation)).replace(reversible=False)
    before = jax.eval_shape(init, plain)
    programs = ((init, (plain,)), (step, (plain, before)), (evaluate, (plain, before)))
    loops = [loop for function, args in programs for loop in irreversible_loops(function, *args)]
    if loops:
        where = " and ".join(sorted({place_of(loop) for loop in _of_parts(plain, before) or loops} - {None}))
        got = f"got a loop whose number of turns depends on its values, in {where or 'a part'}"
        need = "need a number of turns that is known before the run, to go through it backwards"
        do = "choose another part, or another option of it; or take forward derivatives, `jax.jvp`, of the plain one"
        raise checks.InputError(f"{got}, {need}; {do}")
    return plain.replace(reversible=True)


def _of_parts(s: Simulation, before: RunState) -> list[JaxprEqn]:
    """The loops in the schedule and in the algorithm, from programs that know where each of their lines was written.

    Programs of single nodes are kept by jdl, and JAX forgets where their lines were written when it maps them.
    """
    key, time = jax.random.key(0), jnp.int32(0)
    loops = irreversible_loops(
        lambda memory, seen: s.schedule(memory, time, key, seen), before.schedule_state, before.seen
    )
    listening = s.replace(placement=_Listening())
    for function, args in ((init, ()), (step, (before,))):
        jax.eval_shape(functools.partial(function, listening), *args)
    return [*loops, *listening.placement.heard]


@dataclasses.dataclass(frozen=True, eq=False)
class _Listening(Placement):
    """A placement that reads the programs of single nodes for loops that cannot be reversed."""

    heard: list[JaxprEqn] = dataclasses.field(default_factory=list)

    def over(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        plain = function
        if isinstance(function, functools.partial):
            plain = functools.partial(inspect.unwrap(function.func), *function.args)

        def mapped(shared: Any, *rows: Any) -> Any:
            one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), rows)
            self.heard.extend(irreversible_loops(plain, shared, *one))
            return super(_Listening, self).over(function, what)(shared, *rows)

        return mapped
