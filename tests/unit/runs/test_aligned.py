"""Simulations of other partitions and graphs share a program, and stay what they were."""

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import plan_reading
import pytest

import jdl
from jdl.engine.state import program_key
from jdl.runs import aligned as module
from jdl.runs.aligned import aligned
from jdl.runs.several import driven

N = 8
GRAPHS = [jdl.topology.ring(N), jdl.topology.star(N), jdl.topology.complete(N), jdl.topology.random_regular(N, 4)]


def simulation(topology, problem=None, method=None):
    problem = problem or jdl.problems.quadratic(nodes=N, dim=3)
    return jdl.simulation(problem, method or jdl.algorithms.DPSGD(lr=0.1), topology)


def test_graphs_share_a_form_while_compiling_costs_more(monkeypatch):
    before = [simulation(graph) for graph in GRAPHS]
    assert len(set(map(program_key, before))) == 3  # rolls, hubs, and one form for the others
    after = aligned(before, rounds=100)
    assert len(set(map(program_key, after))) == 1
    for one, other, graph in zip(before, after, GRAPHS, strict=True):
        matrix = plan_reading.matrix(other.schedule.plan)
        np.testing.assert_array_equal(matrix, graph.weights.toarray().astype(np.float32))
        links = plan_reading.links_into(one.schedule.plan)
        assert int(np.sum(other.schedule.plan.links.used)) == int(links.sum())
    rounds = [compiled.after(one, 5)[0] for one in (before[0], after[0])]
    np.testing.assert_allclose(rounds[0].nodes.x, rounds[1].nodes.x, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(rounds[0].traffic.bits, rounds[1].traffic.bits)
    monkeypatch.setattr(module, "READ_BYTES_PER_SECOND", 1e3)
    assert aligned(before, rounds=100) == before


def test_methods_that_need_single_links_keep_slots():
    method = jdl.algorithms.RelaySGD(lr=0.1)
    after = aligned(
        [simulation(jdl.topology.chain(N), method=method), simulation(jdl.topology.star(N), method=method)], 10
    )
    assert {type(one.schedule.plan.links).__name__ for one in after} == {"Slots"}
    assert len(set(map(program_key, after))) == 1


@jax.jit
def loss_of_a_minibatch(problem):
    which = jdl.types.BatchId(*[jax.random.key(3)] * 2, *jnp.zeros(3, jnp.int32))
    return problem.loss(problem.init(jax.random.key(0)), problem.batch(jnp.int32(2), which))[0]


MINIBATCHES = pytest.param({"batch_size": 4, "validation": 0.2}, marks=pytest.mark.slow)


@pytest.mark.parametrize("how", [{"batch_size": 0}, MINIBATCHES])
def test_tables_of_examples_share_a_width(how):
    how["partition"] = jdl.data.partition.Dirichlet(alpha=0.5)
    problems = [jdl.problems.digits(nodes=N, **how, seed=seed) for seed in range(4)]
    problems += problems[:1]
    before = [simulation(GRAPHS[0], problem) for problem in problems]
    assert len({one.problem.widths for one in before}) > 1
    after = aligned(before, rounds=10)
    assert len(set(map(program_key, after))) == 1
    for one, other in zip(before, after, strict=True):
        losses = [loss_of_a_minibatch(simulation.problem) for simulation in (one, other)]
        np.testing.assert_allclose(*losses, rtol=1e-6 if how["batch_size"] == 0 else 0)


def test_full_batches_stay_full():
    few = jdl.problems.digits(nodes=N, batch_size=10_000)
    assert few.widened((16_384, 0)) is few
    assert len(driven(aligned([simulation(GRAPHS[0], few)] * 2, 10)).parts) == 1
