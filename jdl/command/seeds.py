"""What the seeds of a command mean, and the parts of a run that are drawn anew with each of several seeds.

There are four seeds. `--seed` is the seed of the run: it draws the first models, the minibatches and all that happens
on the network. `--data_seed` draws the data set, if it is generated, and its partition; `--graph_seed` draws the graph;
`--role_seed` draws who is dishonest, and the groups.

`--seeds 5` runs with five seeds of the run, counted from `--seed`; `--seeds 3,8,11` with these. The data, the graph and
the roles stay the same, so that an interval over seeds shows the spread that the run itself causes. `--vary data graph`
draws those named anew for each seed: the run of seed `--seed` + k has `--data_seed` + k and `--graph_seed` + k. A part
that draws nothing, such as a ring, stays the same.
"""

from __future__ import annotations

import functools
import json
import weakref
from collections.abc import Callable
from typing import Any

from jdl import checks, roles, schedule
from jdl.command.catalogue import make
from jdl.runs.memory import fits_in_memory
from jdl.topology import Topology
from jdl.topology.weights.weighted import weighted
from jdl.types import Problem, Roles, Schedule

__all__ = ["VARY", "Once", "graph", "parts_by_seed", "seeds_in", "vary_in"]

Command = dict[str, Any]
Once = Callable[[Any, Callable[[], Any]], Any]  # what a function makes, or the same made before of equal JSON

# What may move with the seed of the run, which always does itself.
VARY = ("run", "data", "graph", "roles")

# Equal problems and graphs are one object as long as it is in use: the points of a sweep share them.
_MADE: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()


def seeds_in(word: str | None, seed: int) -> list[int] | None:
    """The seeds that a flag names: so many from `seed` on, or themselves.

    Raises:
      InputError: if the word is no number and no list of numbers, or if a seed is named twice.

    >>> seeds_in("3", 10), seeds_in("4,2", 0), seeds_in(None, 0)
    ([10, 11, 12], [4, 2], None)
    """
    if word is None:
        return None
    words = [one.strip() for one in str(word).split(",")]
    need = "need how many seeds, or the seeds themselves; try --seeds 5, or --seeds 3,8,11"
    checks.require(all(one.isdecimal() for one in words), f"got --seeds {word}, {need}")
    numbers = [int(one) for one in words]
    if len(numbers) == 1:
        checks.require(numbers[0] > 0, f"got --seeds {word}, {need}")
        return list(range(seed, seed + numbers[0]))
    twice = next((one for one in numbers if numbers.count(one) > 1), None)
    checks.require(twice is None, f"got --seeds {word}, with {twice} twice, need each seed once; leave one out")
    counted = f"got --seed {seed} and --seeds {word}, which names the seeds themselves; leave --seed out"
    checks.require(seed == 0, counted)
    return numbers


def vary_in(words: tuple[str, ...], seeds: list[int] | None) -> list[str]:
    """What `--vary` draws anew with each seed, in the order of `VARY`.

    Raises:
      InputError: if there is no such thing, or only one seed.
    """
    found = {checks.known("thing to vary", word, VARY) for word in words} | {"run"}
    need = "need several seeds with which they vary; give --seeds 5"
    checks.require(found == {"run"} or seeds is not None, f"got --vary {' '.join(words)}, {need}")
    return [one for one in VARY if one in found]


def parts_by_seed(command: Command, once: Once = lambda _, make: make()) -> dict[str, Any]:
    """The problem, the topology and the roles of a command.

    What `vary` names is a function of the seed of the run, as `jdl.run` takes it; the rest is made. What does not fit
    into memory is refused.

    Args:
      command: the record of a run.
      once: see `jdl.command.record.build`.
    """
    vary = command.get("vary") or ()  # commands of earlier versions lack it
    makers: dict[str, Callable[..., Any]] = {"problem": _problem, "topology": _topology, "roles": _roles}
    needed = {name: {key: command.get(key) for key in keys} for name, keys in KEYS.items()}
    by_size = (command["topology"] or {}).get("weights") == "data_size"  # weights that depend on the data
    moved_by = {"problem": {"data"}, "topology": {"graph", "data"} if by_size else {"graph"}, "roles": {"roles"}}
    first = once(["first problem", needed["problem"]], lambda: _fitting(needed["problem"]))
    found = {}
    for name, maker in makers.items():
        recipe = functools.partial(maker, needed[name], vary=tuple(one for one in VARY if one in vary))
        moves = bool(moved_by[name] & {*vary}) and command.get(name)
        content = [name, needed[name], *recipe.keywords["vary"]]
        found[name] = once(
            content, lambda moves=moves, recipe=recipe: recipe if moves else recipe(seed=command["seed"])
        )
    del first  # until here it is in use, so that the problem is not made twice
    return found


def _fitting(command: Command) -> Problem:
    """The problem of the first seed, which is refused if it does not fit into memory."""
    problem = _problem(command, vary=(), seed=command["seed"])
    fits_in_memory(problem)
    return problem


# What of a command each part is made of.
KEYS = {
    "problem": ("problem", "partition", "nodes", "seed"),
    "topology": ("topology", "schedule", "problem", "partition", "nodes", "seed"),
    "roles": ("roles", "nodes", "seed"),
}


def _moved(part: Command, command: Command, seed: int, moves: bool) -> Command:
    """A part whose own seed has moved as far as that of the run."""
    return part | {"seed": part["seed"] + seed - command["seed"]} if moves and "seed" in part else part


def _problem(command: Command, vary: tuple[str, ...], seed: int) -> Problem:
    part = _moved(command["problem"], command, seed, "data" in vary)
    rule = command["partition"]

    def build() -> Problem:
        division = {"partition": make("partitions", **rule)} if rule else {}
        return make("problems", nodes=command["nodes"], **part, **division)

    return _once([part, rule, command["nodes"]], build)


def _topology(command: Command, vary: tuple[str, ...], seed: int) -> Any:
    if not command["topology"]:
        return None
    part = _moved(command["topology"], command, seed, "graph" in vary)
    by_size = part.get("weights") == "data_size"
    sizes = _problem(command, vary, seed).num_examples if by_size else None
    data = [_moved(command["problem"], command, seed, "data" in vary), command["partition"]] if by_size else []
    around = command.get("schedule") or []
    return _once(
        [part, command["nodes"], *data, *around], lambda: _around(graph(part, command["nodes"], sizes), around)
    )


def _around(topology: Any, around: list[Command]) -> Any:
    """The schedules around a topology, the first of them next to it."""
    for part in around:
        if isinstance(topology, list):
            topology = schedule.Cyclic.of(topology)
        elif isinstance(topology, Topology):
            topology = schedule.Fixed.of(topology)
        topology = make("schedules", schedule=topology, **part)
    return topology


def _roles(command: Command, vary: tuple[str, ...], seed: int) -> Roles | None:
    who = command["roles"]
    if not who:
        return None
    moved = _moved(who, command, seed, "roles" in vary)
    return _once([moved, command["nodes"]], lambda: roles.draw(command["nodes"], **moved))


def _once(content: Any, build: Callable[[], Any]) -> Any:
    """What `build` makes, or the same made before of equal content, if it is still in use."""
    key = json.dumps(content, sort_keys=True)
    found = _MADE.get(key)
    if found is None:
        found = build()
        if not isinstance(found, list):  # a cycle of graphs; weak references to lists do not exist
            _MADE[key] = found
    return found


def graph(part: Command, n: int, sizes: Any = None) -> Topology | list[Topology] | Schedule:
    """The topology of n nodes that a part of a command names, with the weights that it names.

    Args:
      part: the name of the topology, its options, and perhaps the name of a rule for weights.
      n: the number of nodes.
      sizes: the number of examples of each node, for weights by data size; `jdl topo` has none.

    >>> graph({"name": "ring", "weights": "lazy"}, n=8)
    <ring, lazy: 8 nodes, 8 edges, degree 2, doubly stochastic, symmetric>
    """
    made = make("topologies", n=n, **{name: value for name, value in part.items() if name != "weights"})
    if "weights" not in part:
        return made
    return weighted(made, part["weights"], sizes if part["weights"] == "data_size" else None)
