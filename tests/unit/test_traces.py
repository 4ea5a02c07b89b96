"""A user's method is traced once: checks, shapes of messages, costs and the compiled round share the trace."""

import dataclasses
import itertools

import jax
import pytest
from flax import struct

import jdl
from jdl.runs import memory
from jdl.types import number


@struct.dataclass
class Counted:
    """D-PSGD that counts how often Python runs its methods."""

    counts: tuple = struct.field(pytree_node=False)
    lr: float = number(0.1)

    needs = frozenset({"peers", "row_stochastic", "grad"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        next(self.counts[0])
        return params

    def send(self, state, node):
        next(self.counts[1])
        gradient, _ = node.grad(state)
        return state - self.lr * gradient, state

    def recv(self, state, inbox, node):
        next(self.counts[2])
        return inbox, {}

    def model(self, state):
        return state


@pytest.mark.parametrize("mapping", ["auto", 3])
def test_a_run_and_all_runs_of_its_shapes_trace_a_method_once(mapping):
    # Counters of `itertools` do not show their value, which would otherwise be part of what the method does.
    counts = tuple(itertools.count() for _ in range(3))
    topology, problem = jdl.topology.ring(8), jdl.problems.quadratic(nodes=8, dim=3)
    how = {"rounds": 4, "progress": False, "mapping": mapping}
    for lr in (0.1, 0.2):
        jdl.run(problem, Counted(counts, lr), topology, **how)
    simulation = jdl.simulation(problem, Counted(counts, 0.3), topology, mapping=mapping)
    jax.jit(jdl.simulate, static_argnums=1)(simulation, 3)
    assert [next(count) for count in counts] == [1, 1, 1]


def test_problems_of_one_shape_and_two_classes_are_checked_apart():
    """Trees of two classes with equal fields are equal to JAX; what is cached for one must not serve the other."""

    @struct.dataclass
    class Wide(jdl.problems.Quadratic):
        def init(self, key):
            return jax.numpy.zeros(7)

    problem = jdl.problems.quadratic(nodes=4, dim=3)
    wide = Wide(**{field.name: getattr(problem, field.name) for field in dataclasses.fields(problem)})
    assert memory.memory_bytes(wide) - memory.memory_bytes(problem) == 4 * 4 * (7 - 3) * 4
