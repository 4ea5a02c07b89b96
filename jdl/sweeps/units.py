"""The units of a sweep: jobs of one program that are run together, cut so that they fit memory."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax

from jdl.engine import sim as simulator
from jdl.engine.sim import Simulation
from jdl.engine.state import program_key
from jdl.runs.aligned import Common, brought, common
from jdl.runs.budget import Budget, Sample
from jdl.runs.memory import free_bytes, memory_bytes
from jdl.runs.several import at_once
from jdl.sweeps.identity import digest
from jdl.sweeps.jobs import Job

__all__ = ["MOST", "Unit", "bytes_of", "units_of"]

MOST = 64  # runs in a unit, so that progress is shown and little is lost by a kill


@dataclasses.dataclass(frozen=True)
class Unit:
    """Jobs that are run together, and all that decides the bits of their results beside their arguments.

    Attributes:
      jobs: the ids of the jobs.
      eval_every: the number of rounds between evaluations.
      sample: the nodes that are evaluated; None for all.
      width: how many run side by side.
      shape: the shapes into which their simulations are brought.
    """

    jobs: tuple[str, ...]
    eval_every: int
    sample: Sample | None
    width: int
    shape: Common

    @property
    def name(self) -> str:
        """A hash of the jobs, the name of the unit's directory."""
        return digest("".join(self.jobs))

    def as_json(self) -> dict[str, Any]:
        """The unit as JSON, see `of_json`."""
        return dataclasses.asdict(self) | {
            "sample": self.sample and self.sample._asdict(),
            "shape": self.shape._asdict(),
        }

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> Unit:
        """The unit that `as_json` wrote.

        >>> unit = Unit(("a", "b"), 5, Sample(8, False), 2, Common((3, 4)))
        >>> Unit.of_json(json.loads(json.dumps(unit.as_json()))) == unit
        True
        """
        shape, sample = content["shape"], content["sample"]
        widths = None if shape["widths"] is None else tuple(shape["widths"])
        return cls(
            tuple(content["jobs"]),
            content["eval_every"],
            None if sample is None else Sample(**sample),
            content["width"],
            Common(**shape | {"widths": widths}),
        )


def units_of(
    jobs: Sequence[Job],
    simulations: Sequence[Simulation],
    first_rounds: Callable[[Job], int],
    most: int = MOST,
) -> tuple[list[Unit], int]:
    """Group jobs by their programs, and cut the groups.

    Args:
      jobs: the jobs, in an order that stays the same.
      simulations: the simulation of each, see `jdl.sweeps.jobs.composed`.
      first_rounds: the rounds of a job by which to decide when to evaluate, and whether graphs share a form.
      most: the largest number of jobs in a unit.

    Returns:
      The units, and the number of programs that they need.
    """
    units, programs = [], set()
    for members in _by([_settings(job, first_rounds(job)) for job in jobs]):
        rounds = first_rounds(jobs[members[0]])
        shapes = common([simulations[index] for index in members], rounds)
        shaped = {index: brought(simulations[index], shape) for index, shape in zip(members, shapes, strict=True)}
        shape_of = dict(zip(members, shapes, strict=True))
        for places in _by([(program_key(shaped[index]), shape_of[index]) for index in members]):
            group = [members[place] for place in places]
            one, job = shaped[group[0]], jobs[group[0]]
            budget, nodes = Budget(one, rounds), job.arguments.get("eval_nodes", "auto")
            every = job.arguments.get("eval_every") or budget.every(nodes)
            sample = budget.sample(nodes, every)
            budget.note_if_costly(sample, every)
            width = min(at_once(one, min(len(group), most)), _fitting(one))
            programs.add((program_key(one), sample, width))
            for start in range(0, len(group), width):
                some = tuple(jobs[index].id for index in group[start : start + width])
                units.append((group[start], Unit(some, every, sample, width, shape_of[group[0]])))
    return [unit for _, unit in sorted(units, key=lambda pair: pair[0])], len(programs)


def _by(keys: Sequence[Hashable]) -> list[list[int]]:
    """The places of equal keys, in the order of the first of each."""
    groups: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    return list(groups.values())


def _settings(job: Job, first_rounds: int) -> Hashable:
    """What jobs of one unit have in common beside their program."""
    own = job.arguments
    until, params = own.get("until"), own.get("params")
    return (
        job.rounds,
        first_rounds,
        own.get("eval_every"),
        own.get("eval_nodes", "auto"),
        None if until is None else json.dumps(dict(until), sort_keys=True, default=str),
        None if params is None else id(params),
    )


def _fitting(simulation: Simulation) -> int:
    """How many simulations fit the free memory side by side, by an estimate from sizes."""
    free, data = free_bytes(), memory_bytes(simulation.problem, copies=0)
    each = memory_bytes(simulation.problem) - data
    return MOST if free is None else max(1, (free - data) // max(each, 1))


def bytes_of(simulation: Simulation) -> tuple[int, int, int]:
    """Estimates in bytes: of the data, of what one run needs beside them, and of its checkpoint."""
    data = memory_bytes(simulation.problem, copies=0)
    state = jax.tree.leaves(jax.eval_shape(simulator.INIT, simulation, None))
    saved = sum(
        leaf.size * leaf.dtype.itemsize for leaf in state if not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    )
    return data, memory_bytes(simulation.problem) - data, saved
