"""Simulations brought into shapes that they share, so that more of them fit one compiled program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jdl import plan as plans
from jdl.engine.sim import Simulation
from jdl.engine.state import UNREAD, program_key
from jdl.runs.compose import code_of
from jdl.runs.memory import shapes_of_model
from jdl.schedule import Fixed
from jdl.topology import forms
from jdl.types import Dense, Plan, Server, Slots

__all__ = ["Common", "aligned", "brought", "common"]

# What a program costs to compile, and how fast a round reads models, both as measured on two CPU cores.
COMPILE_SECONDS = 2.5
READ_BYTES_PER_SECOND = 8e9


class Common(NamedTuple):
    """The shapes into which a simulation is brought, so that it shares its program with others.

    Attributes:
      widths: the widths of its tables of examples; None leaves them.
      form: the form of its static graph, "slots" or "dense"; None leaves it.
      slots: the number of slots.
    """

    widths: tuple[int, ...] | None = None
    form: str | None = None
    slots: int = 0


def aligned(simulations: Sequence[Simulation], rounds: int) -> list[Simulation]:
    """Bring simulations into common shapes where that is cheaper than a program for each shape.

    Tables of examples, whose width depends on the partition, are padded to the widest. Static graphs of one size are
    brought into one form, with as many links for each node as the largest degree has, where the rounds become slower by
    less than it takes to compile the programs that are saved. Results stay the same up to rounding.

    Args:
      simulations: the composed simulations.
      rounds: the number of rounds of each.
    """
    shapes = common(simulations, rounds)
    return [brought(simulation, shape) for simulation, shape in zip(simulations, shapes, strict=True)]


def common(simulations: Sequence[Simulation], rounds: int) -> list[Common]:
    """Decide into which shapes `aligned` brings each simulation."""
    found, shapes = list(simulations), [Common()] * len(simulations)
    for members in _alike(found, _without_widths):
        most = tuple(np.max([found[index].problem.widths for index in members], axis=0).tolist())
        for index in members:
            shapes[index] = Common(most)
            found[index] = brought(found[index], shapes[index])
    for members in _alike(found, lambda s: program_key(s.replace(schedule=(), code=UNREAD))):
        if all(isinstance(found[index].schedule, Fixed) for index in members):
            form = _one_form([found[index] for index in members], rounds)
            for index in members if form is not None else ():
                shapes[index] = shapes[index]._replace(form=form[0], slots=form[1])
    return shapes


def brought(simulation: Simulation, shape: Common) -> Simulation:
    """Bring a simulation into the shapes that were decided."""
    if shape.widths is not None and simulation.problem.widths != shape.widths:
        simulation = simulation.replace(problem=simulation.problem.widened(shape.widths))
    if shape.form is None:
        return simulation
    plan = simulation.schedule.plan
    changed = simulation.replace(schedule=Fixed(plan.replace(links=_in_form(plan, shape.form, shape.slots))))
    return changed.replace(code=code_of(changed))


def _alike(simulations: Sequence[Simulation], key: Callable[[Simulation], object]) -> list[list[int]]:
    """The places of simulations with equal keys, where there are several."""
    groups: dict[object, list[int]] = {}
    for index, simulation in enumerate(simulations):
        groups.setdefault(key(simulation), []).append(index)
    return [members for members in groups.values() if len(members) > 1]


def _without_widths(simulation: Simulation) -> object:
    """What problems have in common if they can be widened to one width; a key of its own for those that cannot."""
    problem = simulation.problem
    return (type(problem), problem.n, len(problem.widths)) if hasattr(problem, "widened") else id(simulation)


def _one_form(simulations: Sequence[Simulation], rounds: int) -> tuple[str, int] | None:
    """The form of all static graphs, and its slots, if the compile time saved is more than the rounds lose."""
    every = [simulation.schedule.plan for simulation in simulations]
    programs = {program_key(simulation) for simulation in simulations}
    n, facts = plans.rows(every[0]), {(plan.stochastic, plan.symmetric) for plan in every}
    plain = all(jax.tree.structure(_links_aside(plan)) == jax.tree.structure(_links_aside(every[0])) for plan in every)
    if len(programs) == 1 or len(facts) > 1 or not plain or any(isinstance(plan.links, Server) for plan in every):
        return None
    slots = max(int(np.max(_degree(plan))) for plan in every)
    model = jax.tree.leaves(shapes_of_model(simulations[0].problem))
    numbers = sum(leaf.size for leaf in model)
    costs = {"slots": 1.0 + slots}
    if any(isinstance(plan.links, Dense) for plan in every):  # no method among these needs its links listed
        costs["dense"] = forms.reads_of_dense(n, numbers)
    form = min(costs, key=costs.get)
    extra = sum(max(0.0, costs[form] - reads_of(plan, numbers)) for plan in every)
    seconds = rounds * extra * n * sum(leaf.size * leaf.dtype.itemsize for leaf in model) / READ_BYTES_PER_SECOND
    return (form, slots) if seconds <= (len(programs) - 1) * COMPILE_SECONDS else None


def _links_aside(plan: Plan) -> Plan:
    return plan.replace(links=())


def reads_of(plan: Plan, numbers: int) -> float:
    """The cost of mixing by a plan, in reads of all rows; see `jdl.topology.forms`."""
    n, degree = plans.rows(plan), np.asarray(_degree(plan))
    if isinstance(plan.links, Dense):
        return forms.reads_of_dense(n, numbers)
    return 1.0 + float(np.max(degree))


def _in_form(plan: Plan, form: str, slots: int) -> Slots | Dense:
    """The links of a static plan in one of two forms."""
    used, *ends_and_weights = jax.device_get(_listed(plan))
    listed = plans.rows(plan), *(np.broadcast_to(x, used.shape)[used] for x in ends_and_weights)
    return forms.slots_of_links(*listed, slots) if form == "slots" else forms.dense_of_links(*listed)


# Eager, each operation would be a program of its own.
@jax.jit
def _listed(plan: Plan) -> tuple[jax.Array, ...]:
    """Of the links one by one: which are used, who receives, who sends, and the weight."""
    links = plans.one_by_one(plan).links
    return links.used, plans.receivers(links), plans.senders(links), links.weights


@jax.jit
def _degree(plan: Plan) -> jax.Array:
    return plans.degree(plan)
