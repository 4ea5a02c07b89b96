"""A method says how many minibatches it draws in a round: counted by an oracle that notes which it is asked for."""

import os

import compiled
import jax
import pytest
from flax import struct

import jdl
from jdl import algorithms
from jdl.types import Minibatch

STEPS = 3
SEED = int(os.environ["JDL_TEST_SEED"])
asked = set()


@struct.dataclass
class Noting:
    """The numbers of the minibatches of node 0 are noted where they are concrete."""

    def batch(self, inner, data, query):
        if not isinstance(data.id, jax.core.Tracer) and int(data.id) == 0 and isinstance(query.which, Minibatch):
            asked.add(int(query.which.k))
        return inner(data, query)


METHODS = {
    "DRFA": lambda: algorithms.DRFA(local_steps=STEPS),
    "DPSGD": lambda: algorithms.DPSGD(local_steps=STEPS),
    "GradientTracking": algorithms.GradientTracking,
    "SlowMo": lambda: algorithms.SlowMo(local_steps=STEPS),
    "SlowMo around DPSGD": lambda: algorithms.SlowMo(base=algorithms.DPSGD(local_steps=STEPS)),
    "SwarmSGD": lambda: algorithms.SwarmSGD(local_steps=STEPS),
    "FedAvg": lambda: algorithms.FedAvg(local_steps=STEPS),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * bool((i + SEED) % len(METHODS))) for i, name in enumerate(METHODS)],
)
def test_a_round_draws_as_many_minibatches_as_the_method_says(name):
    method = METHODS[name]()
    talk = None if "server" in method.needs else jdl.topology.ring(2)
    problem = jdl.problems.quadratic(nodes=2, dim=2)
    built = jdl.simulation(problem, method, talk, oracle=Noting(), mapping="loop")
    sim = compiled.init(built)
    with jax.disable_jit():
        asked.clear()
        jdl.sim.step(built, sim)
    assert (
        len(asked)
        == getattr(method, "draws_per_round", 1)
        == {"GradientTracking": 1, "DRFA": STEPS + 1}.get(name, STEPS)
    )
