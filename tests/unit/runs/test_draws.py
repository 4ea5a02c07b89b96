"""A method says how many minibatches it draws in a round: counted by an oracle that notes which it is asked for."""

import jax
import pytest
from flax import struct

import jdl
from jdl import algorithms
from jdl.types import Oracle

STEPS = 3
asked = set()


@struct.dataclass
class Noting:
    """The problem's own minibatches, each number of node 0 noted where it is concrete."""

    inner: Oracle

    offers = frozenset({"grad", "loss", "full_grad"})

    def grad(self, data, params, k):
        note(data, k)
        return self.inner.grad(data, params, k)

    def loss(self, data, params, k):
        note(data, k)
        return self.inner.loss(data, params, k)

    def full_grad(self, data, params):
        return self.inner.full_grad(data, params)

    def hvp(self, data, params, vector, k):
        note(data, k)
        return self.inner.hvp(data, params, vector, k)

    def part_grad(self, data, params, part, parts):
        return self.inner.part_grad(data, params, part, parts)

    def prox(self, data, params, step):
        return self.inner.prox(data, params, step)

    def steps(self, data):
        return None


def note(data, k):
    if not isinstance(data.id, jax.core.Tracer) and int(data.id) == 0:
        asked.add(int(k))


METHODS = {
    "DPSGD": lambda: algorithms.DPSGD(local_steps=STEPS),
    "GradientTracking": algorithms.GradientTracking,
    "SlowMo": lambda: algorithms.SlowMo(local_steps=STEPS),
    "SlowMo around DPSGD": lambda: algorithms.SlowMo(base=algorithms.DPSGD(local_steps=STEPS)),
    "SwarmSGD": lambda: algorithms.SwarmSGD(local_steps=STEPS),
    "FedAvg": lambda: algorithms.FedAvg(local_steps=STEPS),
    "DRFA": lambda: algorithms.DRFA(local_steps=STEPS),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in ("GradientTracking", "FedAvg") else name
        for name in METHODS
    ],
)
def test_a_round_draws_as_many_minibatches_as_the_method_says(name):
    method = METHODS[name]()
    talk = None if "server" in method.needs else jdl.topology.ring(2)
    problem, oracle = jdl.problems.quadratic(nodes=2, dim=2), Noting(jdl.oracle.DataOracle())
    built = jdl.simulation(problem, method, talk, oracle=oracle, mapping="loop")
    with jax.disable_jit():
        sim = jdl.sim.init(built)
        asked.clear()
        jdl.sim.step(built, sim)
    assert (
        len(asked)
        == getattr(method, "draws_per_round", 1)
        == {"GradientTracking": 1, "DRFA": STEPS + 1}.get(name, STEPS)
    )
