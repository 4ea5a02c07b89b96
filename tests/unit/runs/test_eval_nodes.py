"""Evaluation of a sample of nodes: against NumPy on the sampled rows, and the rule that decides."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import checks
from jdl.engine import metrics
from jdl.engine.sampled import sampled_nodes
from jdl.runs.budget import Budget, Sample, usual_every, work_of_run
from jdl.runs.program import program_of

N, K = 9, 4


def built(problem=None, **options):
    problem = problem or jdl.problems.quadratic(nodes=N, dim=3)
    return jdl.simulation(problem, jdl.algorithms.DPSGD(lr=0.1), jdl.topology.ring(problem.n), **options)


def run(**options):
    problem = jdl.problems.quadratic(nodes=N, dim=3)
    method, graph = jdl.algorithms.DPSGD(lr=0.1), jdl.topology.ring(N)
    return jdl.run(problem, method, graph, **{"rounds": 6, "eval_every": 2, "progress": False} | options)


def test_statistics_of_a_sample_are_those_of_its_rows():
    problem = jdl.problems.quadratic(nodes=N, dim=3)
    x = jax.random.normal(jax.random.key(1), (N, 3))
    ids = np.array([0, 3, 4, 8])
    honest = jnp.asarray(np.arange(N) != 3)
    row = jax.jit(lambda x: metrics.measure(x, problem, own=True, sample=jnp.asarray(ids), honest=honest))(x)
    whole = jax.jit(lambda x: metrics.measure(x, problem, own=True, honest=honest))(x)
    A, b = np.asarray(problem.A, np.float64), np.asarray(problem.b, np.float64)
    f = lambda x, A, b: x @ A @ x / 2 - b @ x
    counted, rows = [0, 4, 8], np.asarray(x, np.float64)
    losses = np.array([f(rows[i], A.mean(0), b.mean(0)) for i in counted])
    own = np.array([f(rows[i], A[i], b[i]) for i in counted])
    of = {"mean": np.mean, "std": np.std, "worst": np.max, "best": np.min}
    for name, statistic in of.items():
        assert float(row[f"{name}_loss"]) == pytest.approx(statistic(losses), rel=1e-4, abs=1e-5), name
    assert float(row["own_loss"]) == pytest.approx(own.mean(), rel=1e-4)
    assert np.flatnonzero(np.isfinite(row["nodes/own_loss"])).tolist() == ids.tolist()
    for name in ("mean_model_loss", "consensus_distance", "suboptimality"):
        assert float(row[name]) == float(whole[name]), name


def test_a_sample_is_drawn_once_and_from_the_honest():
    ids = sampled_nodes(jax.random.key(0), 1000, 256)
    assert np.all(np.diff(ids) > 0) and 0 <= ids[0] and ids[-1] < 1000
    assert not np.array_equal(ids, sampled_nodes(jax.random.key(1), 1000, 256))
    honest = jnp.arange(1000) % 3 != 0
    assert np.all(honest[sampled_nodes(jax.random.key(0), 1000, 256, honest)])
    means = [np.mean(sampled_nodes(jax.random.key(seed), 100, 50)) for seed in range(40)]
    assert abs(np.mean(means) - 49.5) < 4 * 100 / math.sqrt(12 * 50 * 40)  # four standard errors, at most


def test_a_sampled_run_is_exact_where_it_says_so_and_resumes(tmp_path):
    whole, some = run(eval_nodes="all"), run(eval_nodes=K, run_dir=tmp_path / "run")
    assert some.history.eval_nodes.tolist() == [K] * 4 and "eval_nodes" not in whole.history
    assert len(some.eval_nodes) == K and f"{K} of {N} nodes" in repr(some)
    np.testing.assert_array_equal(some.models, whole.models)
    np.testing.assert_array_equal(some.history.mean_model_loss, whole.history.mean_model_loss)
    values = jax.vmap(whole.simulation.problem.evaluate)(some.models[some.eval_nodes])["loss"]
    assert some.history.worst_loss[-1] == pytest.approx(float(values.max()), rel=1e-5)
    assert some.history.worst_loss[-1] <= whole.history.worst_loss[-1]
    again = run(eval_nodes=K, run_dir=tmp_path / "run", resume=True)
    assert again.history.rows == some.history.rows and isinstance(again.history.rows[0]["eval_nodes"], int)
    with pytest.raises(checks.InputError, match="eval_nodes"):
        run(eval_nodes=K + 1, run_dir=tmp_path / "run", resume=True)


def test_the_last_evaluation_is_of_all_nodes():
    simulation = built()
    program = program_of(simulation, None, Sample(K, all_at_end=True))
    rows = []
    for due in (1, 2):
        rows.append(program.row(program.advance(program.begin(None), 5, due)))
    expected = jax.jit(jdl.sim.evaluate)(simulation, program.advance(program.begin(None), 5, 0).state)
    assert [row["eval_nodes"] for row in rows] == [K, N]
    for name, value in expected.items():
        assert rows[1][name] == pytest.approx(float(value), rel=1e-6), name


def test_who_is_evaluated_follows_from_sizes():
    """All of few nodes, all where it is cheap, a sample where it is not; the least number is lowered for the test."""
    costly = built(jdl.problems.logistic(nodes=24))
    assert Budget(costly, 100).sample("auto", 4) is None
    assert Budget(costly, 100, least=8).sample("auto", 4) == Sample(8, all_at_end=True)
    assert Budget(costly, 100, least=8).sample("all", 4) is None
    assert Budget(costly, 100).sample(5, 4) == Sample(5, all_at_end=False)
    assert Budget(costly, 100).sample(24, 4) is None
    assert Budget(built(), 100, least=2).sample("auto", 4) is None  # a quadratic of dimension 3 costs next to nothing
    assert Budget(costly, 10**6, least=8).sample("auto", 10**6) is None
    for wrong in (0, True, "some", 2.5):
        with pytest.raises(checks.InputError, match="eval_nodes"):
            Budget(costly, 100).sample(wrong, 4)


def test_the_work_of_an_objective_over_all_data_grows_with_n():
    small, large = (work_of_run(built(jdl.problems.logistic(nodes=n))) for n in (16, 64))
    assert large.evaluation / small.evaluation == pytest.approx(4, rel=0.05)
    assert large.round / small.round == pytest.approx(4, rel=0.05)


def test_a_server_with_one_model_needs_no_sample():
    problem = jdl.problems.quadratic(nodes=N, dim=3)
    assert Budget(jdl.simulation(problem, jdl.algorithms.FedAvg(lr=0.1)), 10).sample(K, 2) is None


def test_costly_evaluations_are_noted(monkeypatch):
    simulation = built(jdl.problems.logistic(nodes=24))
    monkeypatch.setattr("jdl.runs.budget.NOTED", 1.0)
    with pytest.warns(checks.Note, match="8 of 24 nodes and of all at the end .* eval_nodes=8"):
        Budget(simulation, 10, least=8).note_if_costly(Sample(8, all_at_end=True), 1)


def test_costly_evaluations_are_few(monkeypatch):
    monkeypatch.setattr("jdl.runs.budget.SHORT", 1)
    assert Budget(built(jdl.problems.logistic(nodes=24)), 25, least=8).every("auto") == 5
    assert Budget(built(jdl.problems.quadratic(nodes=24)), 25, least=8).every("auto") == usual_every(25) == 1


def test_short_runs_have_few_marks():
    for rounds in range(1, 400):
        every = usual_every(rounds)
        marks = -(-rounds // every)
        assert marks <= 25 and (every >= 10 or marks <= 5)
        assert marks >= min(rounds, 3)
