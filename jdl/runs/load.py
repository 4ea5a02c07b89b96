"""The result of a run again, from its directory."""

from __future__ import annotations

import csv
import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jdl import checks
from jdl.engine import sim as simulator
from jdl.engine.sim import RunState, Simulation
from jdl.runs import compose
from jdl.runs.aligned import aligned
from jdl.runs.checkpoint import Checkpoints
from jdl.runs.configuration import as_json
from jdl.runs.describe import describe, differences
from jdl.runs.history import History, Row
from jdl.runs.history_files import join_nodes, read_nodes, read_rows
from jdl.runs.model_files import read_models
from jdl.runs.node_facts import NodeFacts, read_facts
from jdl.runs.planned import ROUNDS
from jdl.runs.public_names import renewed
from jdl.runs.result import Result
from jdl.runs.results import Results
from jdl.runs.rundir import FACTS, model_names
from jdl.runs.said import HISTORY, ending_of, read_config, read_summary
from jdl.runs.seeds import simulations
from jdl.runs.several import states_kept
from jdl.types import PyTree

__all__ = ["load"]

Arguments = dict[str, Any]

TAKEN = tuple(name for name in inspect.signature(compose.simulation).parameters if name not in ("seed", "devices"))
# What of a simulation says how it is computed, not what.
HOW = ("key", "mapping", "devices")


def load(
    run_dir: str | Path,
    arguments: Arguments | None = None,
    made: Callable[[dict[str, Any]], Arguments] | None = None,
) -> Result | Results:
    """Make the result of a run again; see `jdl.load`.

    Args:
      run_dir: the directory.
      arguments: the parts of the run, arguments of `jdl.simulation`; None if they are not given.
      made: makes them from the command in the directory, as the command line does.

    Raises:
      InputError: if there is no run in the directory, if its configuration is damaged, or if the parts are not those of
        the run.
    """
    path = checks.path(run_dir)
    config, summary = read_config(path), read_summary(path)
    command = config.get("command")
    seeds = config["run"].get("seeds")
    give = None
    if arguments is not None:
        give = lambda: arguments
    elif made is not None and isinstance(command, dict) and {"algorithm", "problem", "nodes"} <= command.keys():
        give = lambda: made(command)
    own = (_seed(config),) if seeds is None else tuple(seeds)
    kept = Kept(path, config, own, give)
    if arguments is not None:
        kept.simulations  # noqa: B018 (it refuses parts of another run)
    rows = read_rows(path / HISTORY, seeds)
    _note_damage(path, rows, 1 if seeds is None else len(seeds))
    ending = ending_of(path, config, summary, rows[-1]["round"] if rows else None)
    facts = _facts(kept, summary)
    history = History(_with_nodes(path / "nodes.csv", rows, facts[0].n, seeds), seeds)
    name = config.get("label") or path.name
    runs = summary.get("runs", [summary]) if ending.told else []
    results = []
    for place, seed in enumerate(own):
        said = runs[place] if place < len(runs) and isinstance(runs[place], dict) else {}
        results.append(
            Result(
                name=name,
                history=history if seeds is None else history.of(seed),
                node_facts=facts[place],
                seed=seed,
                status=said.get("status", ending.status),
                message=said.get("message", ending.message),
                rounds=said.get("rounds", ending.rounds),
                seconds=said.get("seconds") or (rows[-1].get("seconds", 0.0) if rows else 0.0),
                compile_seconds=said.get("compile_seconds") or 0.0,
                origin=Stored(kept, place, said.get("rounds")),
                run_dir=path,
            )
        )
    return results[0] if seeds is None else Results(name, tuple(results), history, path)


@dataclasses.dataclass
class Kept:
    """What a directory holds beside numbers: read when it is first asked for, and once for the runs of all seeds.

    Attributes:
      path: the directory.
      config: its configuration.
      seeds: the seeds; of a single run its seed, which may be unknown.
      give: gives the arguments of `jdl.simulation`; None if they are not known.
    """

    path: Path
    config: dict[str, Any]
    seeds: tuple[int | None, ...]
    give: Callable[[], Arguments] | None

    def require_parts(self, what: str) -> None:
        """Check that the parts of the run are known.

        Raises:
          InputError: if they are not.
        """
        origin = "which cannot be made from what it holds" if self.config.get("command") else "made from Python"
        do = f"give them: jdl.load({str(self.path)!r}, problem=..., algorithm=..., topology=...)"
        sentence = f"got a result loaded from {self.path}, {origin}, need the parts of its run for {what}; {do}"
        checks.require(self.give is not None, sentence)

    @functools.cached_property
    def simulations(self) -> list[Simulation]:
        """The simulation of each seed, on one device.

        Raises:
          InputError: if the parts are not known, or are not those of the run.
        """
        self.require_parts("the simulation")
        given = {"problem": None, "algorithm": None} | self.give()
        chosen = {name: given[name] for name in TAKEN if name in given}
        found = simulations(chosen | {"devices": 1}, [seed or 0 for seed in self.seeds])
        if "seeds" in self.config["run"]:
            found = aligned(found, ROUNDS)  # as the run was
        was = self.config["simulation"]
        was = was if isinstance(was, list) else [was] * len(found)
        for simulation, held in zip(found, was, strict=True):
            now = json.loads(as_json(describe(simulation)))
            held = {name: value for name, value in renewed(held).items() if name not in HOW}
            now = {name: value for name, value in now.items() if name not in HOW}
            odd = differences(held, now, "simulation")
            need = f"need those of the run in {self.path}, which has another configuration: {'; '.join(odd[:3])}"
            checks.require(not odd, f"got parts of another run, {need}; give the same parts as then")
        keys = [np.asarray(held["key"], np.uint32) for held in was]
        if len(self.seeds) == 1 and self.seeds[0] is None:
            found = [found[0].replace(key=jax.random.wrap_key_data(keys[0]))]
        return found

    @functools.cached_property
    def states(self) -> list[RunState]:
        """The states in the newest checkpoint that can be read.

        Raises:
          InputError: if there is none, or if the parts are not known.
        """
        self.require_parts("its last state")
        if "seeds" in self.config["run"]:
            return states_kept(self.simulations, self._newest)
        return [self._newest(jax.eval_shape(simulator.INIT, self.simulations[0], None))]

    def _newest(self, shapes: PyTree) -> PyTree:
        folder, why = self.path / "checkpoint", "it holds none"
        if folder.is_dir():
            checkpoints = Checkpoints(folder, read_only=True)
            try:
                for step in checkpoints.steps:
                    try:
                        return checkpoints.restore(step, shapes)[0]
                    except checks.InputError:
                        raise
                    except Exception as error:  # orbax raises exceptions of many types for incomplete files
                        why = f"that of round {step} is damaged: {str(error).strip().splitlines()[:1]}"
            finally:
                checkpoints.close()
        need = "need a checkpoint for its last state; bring back the files, or run it anew"
        raise checks.InputError(f"got {self.path} without a whole checkpoint ({why}), {need}")

    def models(self, place: int, rounds: int | None) -> PyTree:
        """The models of one seed: those that were written at its end, otherwise those of the newest checkpoint.

        Args:
          place: that of the seed among all.
          rounds: the rounds that its run has done; None if it has not ended.
        """
        file = self.path / model_names(self.config["run"].get("seeds"))[place]
        like = None if self.give is None else lambda: self._shapes(place)
        if rounds is not None and file.is_file():
            try:
                models, about = read_models(file, like)
                if about.get("round") == rounds:  # others were written before the run went on
                    return models
            except checks.InputError as error:
                if self.give is None:
                    raise
                checks.note(f"{error}; taking the models of the checkpoint")
        self.require_parts("its models, which its checkpoint alone holds")
        return simulator.models(self.simulations[place], self.states[place])

    def _shapes(self, place: int) -> PyTree:
        """The shapes of the models of one seed."""
        simulation = self.simulations[place]
        return jax.eval_shape(lambda: simulator.models(simulation, simulator.INIT(simulation)))


@dataclasses.dataclass(frozen=True)
class Stored:
    """The origin of a result that was loaded; see `jdl.runs.result.Origin`.

    Attributes:
      kept: the directory.
      place: that of the seed among all.
      rounds: the rounds that its run has done; None if it has not ended.
    """

    kept: Kept
    place: int
    rounds: int | None

    def simulation(self) -> Simulation:
        """The composed simulation."""
        return self.kept.simulations[self.place]

    def state(self) -> RunState:
        """The state of the newest checkpoint."""
        return self.kept.states[self.place]

    def models(self) -> PyTree:
        """The models of all nodes, or of a server."""
        return self.kept.models(self.place, self.rounds)

    def described(self) -> dict[str, Any]:
        """The description of the simulation."""
        found = self.kept.config["simulation"]
        return found[self.place] if isinstance(found, list) else found


def _seed(config: dict[str, Any]) -> int | None:
    """The seed of a run. Versions that did not write it down wrote the key, which holds a seed of 32 bits."""
    if isinstance(config.get("seed"), int):
        return config["seed"]
    match config["simulation"]:
        case {"key": [0, int(low)]}:
            return low
    return None


def _facts(kept: Kept, summary: dict[str, Any]) -> list[NodeFacts]:
    """What does not change about the nodes, in the run of each seed."""
    count, config = len(kept.seeds), kept.config
    found = read_facts(kept.path / FACTS, count)
    if found is not None:
        return found
    if kept.give is not None and "simulations" in vars(kept):
        return [NodeFacts.of(one) for one in kept.simulations]
    described = config["simulation"][0] if isinstance(config["simulation"], list) else config["simulation"]
    shape = described["problem"].get("num_examples") if isinstance(described.get("problem"), dict) else None
    n = (
        (config.get("command") or {}).get("nodes")
        or summary.get("nodes")
        or _count(shape)
        or _count_in_files(kept.path)
    )
    if n is None and kept.give is not None:
        return [NodeFacts.of(one) for one in kept.simulations]
    checks.require(
        n is not None,
        f"got run directory {kept.path}, which does not say how many nodes the run has, need its parts; give them: "
        f"jdl.load({str(kept.path)!r}, problem=..., algorithm=..., topology=...)",
    )
    return [NodeFacts.honest_all(n) if described.get("roles") is None else NodeFacts(n)] * count


def _count(described: Any) -> int | None:
    """The first axis of an array in a description."""
    return described["shape"][0] if isinstance(described, dict) and described.get("shape") else None


def _count_in_files(path: Path) -> int | None:
    """The number of nodes in nodes.csv, if there is one."""
    if not (path / "nodes.csv").is_file():
        return None
    with (path / "nodes.csv").open(newline="") as file:
        nodes = [int(line["node"]) for line in csv.DictReader(file) if (line.get("node") or "").isdecimal()]
    return max(nodes) + 1 if nodes else None


def _with_nodes(file: Path, rows: list[Row], n: int, seeds: Sequence[int] | None) -> list[Row]:
    """The evaluations with the metrics of every node, if their file has all of them."""
    if not rows or not file.is_file():
        return rows
    joined = join_nodes(rows, read_nodes(file, n, seeds))
    if len(joined) == len(rows):
        return joined
    checks.note(f"{file} has {len(joined)} of {len(rows)} evaluations; leaving the numbers of nodes out")
    return rows


def _note_damage(path: Path, rows: Sequence[Row], seeds: int) -> None:
    """Note that evaluations are missing from a history, whose file has whole lines that cannot be read."""
    file = path / HISTORY
    lines = file.read_bytes().count(b"\n") - 1 if file.is_file() else 0
    if lines // seeds > len(rows):
        where = f"after round {rows[-1]['round']}" if rows else "from the start"
        checks.note(f"{file} is damaged {where}: {lines // seeds - len(rows)} of its evaluations are left out")
