"""What is known of each node of a run and stays the same in all rounds: in memory, and in the file of a directory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jdl.engine.sim import Simulation

__all__ = ["NodeFacts", "facts", "read_facts", "write_facts"]

NAMES = ("honest", "group", "num_examples")


def facts(simulation: Simulation) -> dict[str, np.ndarray]:
    """What is known of each node, by name, in the order of columns.

    Args:
      simulation: what is simulated.

    Returns:
      `honest` bool[n], `group` i32[n] and `num_examples` i32[n].

    >>> import jdl
    >>> chain = jdl.simulation(jdl.problems.quadratic(3), jdl.algorithms.DPSGD(), jdl.topology.chain(3))
    >>> {name: values.tolist() for name, values in facts(chain).items()}
    {'honest': [True, True, True], 'group': [0, 0, 0], 'num_examples': [1, 1, 1]}
    """
    roles, problem = simulation.who, simulation.problem
    columns = {"honest": roles.honest, "group": roles.group, "num_examples": problem.num_examples}
    return {name: np.asarray(values) for name, values in columns.items()}


@dataclasses.dataclass(frozen=True)
class NodeFacts:
    """What does not change about the nodes of a run.

    Attributes:
      n: the number of nodes.
      honest: bool[n], who follows the protocol; None where a directory of an older version does not say.
      group: i32[n], the group of each node, or None.
      num_examples: i32[n], the number of examples of each node, or None.
    """

    n: int
    honest: np.ndarray | None = None
    group: np.ndarray | None = None
    num_examples: np.ndarray | None = None

    @classmethod
    def of(cls, simulation: Simulation) -> NodeFacts:
        """Those of a simulation."""
        return cls(simulation.problem.n, **facts(simulation))

    @classmethod
    def honest_all(cls, n: int) -> NodeFacts:
        """Those of a run that names no roles, the numbers of examples unknown."""
        return cls(n, np.ones(n, bool), np.zeros(n, np.int32))

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """What is known, arrays [n] by name."""
        return {name: getattr(self, name) for name in NAMES if getattr(self, name) is not None}


def write_facts(path: Path, every: Sequence[NodeFacts]) -> None:
    """Write a file with the facts of the nodes in the run of each seed; what is the same in all of them once.

    Args:
      path: the file, of the format npz. No half-written file has this name.
      every: those of the run of each seed, in their order.
    """
    columns = {name: [one.columns[name] for one in every] for name in NAMES}
    alike = lambda values: all(np.array_equal(value, values[0]) for value in values)
    arrays = {name: values[0] if alike(values) else np.stack(values) for name, values in columns.items()}
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(part, path)


def read_facts(path: Path, seeds: int) -> list[NodeFacts] | None:
    """Read what `write_facts` wrote.

    Args:
      path: the file.
      seeds: the number of seeds.

    Returns:
      The facts of each; None if there is no such file, or if it is damaged.
    """
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            arrays = {name: file[name] for name in NAMES}
        several = {name: np.broadcast_to(values, (seeds, values.shape[-1])) for name, values in arrays.items()}
        return [
            NodeFacts(several["honest"].shape[1], *(several[name][seed] for name in NAMES)) for seed in range(seeds)
        ]
    except Exception:  # a file that is cut short raises exceptions of many types
        return None
