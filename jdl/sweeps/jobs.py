"""The jobs of a sweep: its points, each with every seed, checked and known by what they compute."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jdl import checks
from jdl.engine.sim import Simulation
from jdl.runs.goal import goal_of
from jdl.runs.message_range import check_start
from jdl.runs.planned import usual_rounds
from jdl.runs.seeds import simulations
from jdl.sweeps.identity import digest, identity
from jdl.sweeps.points import Point

__all__ = ["SETTINGS", "Job", "composed", "jobs_of", "name_of", "naming"]

# The arguments of `jdl.run` that are no parts of a simulation.
SETTINGS = ("rounds", "eval_every", "eval_nodes", "until", "params")


class Job(NamedTuple):
    """One run of a sweep: a point with a seed.

    Args:
      id: a hash of all that its rows depend on but the number of rounds.
      point: the same without the seed.
      labels: the labels of the point, by axis.
      seed: the seed.
      arguments: the arguments of the point, those of `jdl.simulation` and `SETTINGS`.
    """

    id: str
    point: str
    labels: dict[str, Any]
    seed: int
    arguments: dict[str, Any]

    @property
    def rounds(self) -> int:
        """The number of rounds that are asked for."""
        return self.arguments["rounds"]


def name_of(labels: Mapping[str, Any], seed: int | None = None) -> str:
    """The name of a point or a job in sentences.

    >>> name_of({"lr": 0.1, "topology": "ring"}, 3)
    'lr=0.1, topology=ring, seed=3'
    """
    words = [f"{axis}={label}" for axis, label in labels.items()] + ([] if seed is None else [f"seed={seed}"])
    return ", ".join(words) or "the only point"


@contextlib.contextmanager
def naming(labels: Mapping[str, Any]) -> Iterator[None]:
    """Name the point in the sentence of an `InputError`."""
    try:
        yield
    except checks.InputError as error:
        if not labels:
            raise
        raise checks.InputError(f"point {name_of(labels)}: {error}") from error


def jobs_of(points: Sequence[Point], seeds: Sequence[int]) -> list[Job]:
    """The jobs of points, each of which is run with every seed.

    Args:
      points: the points; their arguments are those of `jdl.simulation` and `SETTINGS`.
      seeds: the seeds.

    Raises:
      InputError: if a number of rounds or the like cannot be used; the sentence names the point. And if two points are
        equal but for their labels, since they would be one run.
    """
    found = []
    for point in points:
        with naming(point.labels):
            found.append(point._replace(arguments=_checked(point.arguments)))
    # Points that differ in nothing but their rounds are different runs; otherwise more rounds extend a run.
    lengths = len({point.arguments["rounds"] for point in found}) > 1
    digests: dict[int, str] = {}
    labels: dict[str, dict[str, Any]] = {}
    jobs = []
    for point in found:
        what = {name: value for name, value in point.arguments.items() if name != "rounds" or lengths}
        own = {name: _digest(value, digests) for name, value in what.items()}
        id_ = digest(json.dumps(own, sort_keys=True))
        first = labels.setdefault(id_, point.labels)
        same = f"got points {name_of(first)} and {name_of(point.labels)}, which are equal but for their labels"
        checks.require(first is point.labels, f"{same}, need different ones; leave one out")
        jobs += [Job(digest(json.dumps([id_, seed])), id_, point.labels, seed, point.arguments) for seed in seeds]
    return jobs


def _digest(value: Any, known: dict[int, str]) -> str:
    """The identity of one argument. Points share most of their arguments, such as data, which are read only once."""
    if id(value) not in known:
        known[id(value)] = identity({"value": value})
    return known[id(value)]


def _checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a point with the rounds that it runs."""
    rounds = arguments.get("rounds")
    rounds = usual_rounds(arguments.get("topology")) if rounds is None else rounds
    arguments = arguments | {"rounds": checks.whole("rounds", rounds, 1)}
    if arguments.get("eval_every") is not None:
        checks.whole("eval_every", arguments["eval_every"], 1)
    goal_of(arguments.get("until"))
    return arguments


def composed(jobs: Sequence[Job]) -> list[Simulation]:
    """Compose the simulations of jobs. Those of one point share all but their keys, unless a part is made by a seed.

    Raises:
      InputError: if a point is refused; the sentence names it.
    """
    places: dict[int, list[int]] = {}
    for place, job in enumerate(jobs):
        places.setdefault(id(job.arguments), []).append(place)
    found: list[Any] = [None] * len(jobs)
    made: dict = {}
    for own in places.values():
        job = jobs[own[0]]
        parts = {name: value for name, value in job.arguments.items() if name not in SETTINGS}
        with naming(job.labels):
            several = simulations(parts, [jobs[place].seed for place in own], made)
            for place, simulation in zip(own, several, strict=True):
                found[place] = simulation
            if job.arguments.get("params") is not None:
                check_start(found[own[0]], job.arguments["params"])
    return found
