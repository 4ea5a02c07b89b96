"""What is known of each node of a simulation and stays the same in all rounds."""

from __future__ import annotations

import numpy as np

from jdl.engine.sim import Simulation

__all__ = ["facts"]


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
