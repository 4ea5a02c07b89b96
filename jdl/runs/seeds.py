"""The seeds of a run, and its simulation with each of them."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Sequence
from typing import Any

import numpy as np

from jdl import checks
from jdl.engine.sim import Simulation
from jdl.runs import compose

__all__ = ["is_recipe", "made_with", "seeds_of", "simulations"]

# What differs between two simulations with one recipe for their parts and another seed.
PARTS = ("problem", "topology", "network", "network_down", "oracle", "roles", "attackers", "clock")


def seeds_of(seeds: int | Sequence[int] | None, seed: int) -> tuple[int, ...] | None:
    """The seeds that a caller asks for.

    Args:
      seeds: their number, or themselves, also an array of whole numbers; None for a single run.
      seed: the first of them, where a number is given.

    Raises:
      InputError: if `seeds` is neither, or if a seed occurs twice.

    >>> seeds_of(3, 10), seeds_of([5, 2], 0), seeds_of(None, 7)
    ((10, 11, 12), (5, 2), None)
    """
    if seeds is None:
        return None
    if hasattr(seeds, "dtype") and np.issubdtype(seeds.dtype, np.integer):
        seeds = np.asarray(seeds).tolist()
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        return tuple(range(seed, seed + checks.whole("seeds", seeds, 1)))
    need = "need a number of seeds, or a list of whole numbers; try seeds=5"
    listed = isinstance(seeds, Sequence | range) and not isinstance(seeds, str) and len(seeds) > 0
    checks.require(listed, f"got seeds={seeds!r}, {need}")
    found = tuple(checks.whole("a seed", one, 0) for one in seeds)
    twice = sorted({one for one in found if found.count(one) > 1})
    checks.require(not twice, f"got seeds={seeds!r}, with {twice[:1]} twice, need each of them once; leave one out")
    return found


def is_recipe(part: Any) -> bool:
    """Whether an argument is a function that makes a part from a seed, and not a part itself."""
    return isinstance(part, types.FunctionType | functools.partial)


Made = dict[tuple[Any, int | None], Any]


def made_with(arguments: dict[str, Any], seed: int, made: Made) -> dict[str, Any]:
    """The arguments of a simulation, with each part that is a function replaced by what it makes of a seed.

    Args:
      arguments: see `simulations`.
      seed: the seed.
      made: what was made before, by function and seed; what is made is added.
    """
    return {name: _made(part, seed, made) if name in PARTS else part for name, part in arguments.items()}


def _made(part: Any, seed: int, made: Made) -> Any:
    """The part that a recipe makes. One without a parameter `seed` makes one part for all seeds."""
    if not is_recipe(part):
        return part
    named = inspect.signature(part).parameters
    takes = "seed" in named or any(one.kind is one.VAR_KEYWORD for one in named.values())
    key = part, seed if takes else None
    if key not in made:
        made[key] = part(seed=seed) if takes else part()
    return made[key]


def simulations(arguments: dict[str, Any], seeds: Sequence[int], made: Made | None = None) -> list[Simulation]:
    """Compose a simulation for each seed.

    The seed of a run draws the first models, the minibatches and all that happens on the network. Data sets, their
    partitions and graphs are drawn with the seeds of their own arguments; to draw them anew for each seed of the run,
    give a function of a seed in their place.

    Args:
      arguments: those of `jdl.simulation` without the seed.
      seeds: the seeds.
      made: what functions of a seed have made before, which several calls then share; see `made_with`.

    Raises:
      InputError: see `jdl.simulation`; and if the number of nodes depends on the seed.
    """
    made = {} if made is None else made
    first = compose.simulation(**made_with(arguments, seeds[0], made), seed=seeds[0])
    if not any(is_recipe(arguments.get(name)) for name in PARTS):
        return [first, *(first.replace(key=compose.key_of_seed(seed)) for seed in seeds[1:])]
    found = [first, *(compose.simulation(**made_with(arguments, seed, made), seed=seed) for seed in seeds[1:])]
    sizes = {simulation.problem.n for simulation in found}
    checks.require(len(sizes) == 1, f"got a problem of {sorted(sizes)} nodes by its seed, need one number; fix it")
    return found
