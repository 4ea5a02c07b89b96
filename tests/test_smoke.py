"""The few checks that a second Python and another jax must pass: one of each kind of use, against NumPy."""

import json

import jax
import numpy as np
import pytest

import jdl
from jdl.command.cli import main

pytestmark = pytest.mark.smoke

N, DIM, LR, ROUNDS = 8, 3, 0.1, 12


@pytest.fixture(scope="module")
def problem():
    return jdl.problems.quadratic(nodes=N, dim=DIM, condition=4.0)


def gradients(problem, X):
    return np.einsum("nij,nj->ni", np.asarray(problem.A, np.float64), X) - np.asarray(problem.b, np.float64)


@pytest.fixture(scope="module")
def gossip(problem):
    graph, start = jdl.topology.ring(N), np.random.default_rng(0).standard_normal((N, DIM)).astype(np.float32)
    result = jdl.run(
        problem, jdl.algorithms.DPSGD(lr=LR), graph, rounds=ROUNDS, eval_every=4, params=start, progress=False
    )
    return graph, start, result


def test_gossip_equals_numpy(problem, gossip):
    graph, X, result = gossip
    for _ in range(ROUNDS):
        X = graph.weights.toarray() @ (X - LR * gradients(problem, X))
    np.testing.assert_allclose(result.models, X, rtol=1e-5, atol=1e-5)
    assert result.history.bits_sent[-1] == ROUNDS * N * 2 * 32 * DIM


def test_a_server_equals_numpy(problem):
    x = np.random.default_rng(1).standard_normal(DIM).astype(np.float32)
    algorithm = jdl.algorithms.FedAvg(lr=LR, local_steps=2, weighted=False)
    result = jdl.run(problem, algorithm, rounds=ROUNDS, params=x, progress=False)
    for _ in range(ROUNDS):
        X = np.tile(x, (N, 1))
        for _ in range(2):
            X = X - LR * gradients(problem, X)
        x = X.mean(0)
    np.testing.assert_allclose(np.asarray(result.models)[0], x, rtol=1e-5, atol=1e-5)


def test_an_interrupted_run_resumes_bit_for_bit(problem, gossip, tmp_path, interrupt):
    graph, start, whole = gossip
    how = {"rounds": ROUNDS, "eval_every": 4, "params": start, "progress": False, "run_dir": tmp_path / "run"}
    assert jdl.run(problem, jdl.algorithms.DPSGD(lr=LR), graph, **how).status == "interrupted"
    interrupt.undo()
    resumed = jdl.run(problem, jdl.algorithms.DPSGD(lr=LR), graph, **how, resume=True)
    assert np.array_equal(resumed.models, whole.models)


def test_a_sweep_over_rates_is_one_program(problem, gossip):
    graph, start, whole = gossip
    simulation = jdl.simulation(problem, jdl.algorithms.DPSGD(lr=LR), graph)

    def final(lr):
        swept = simulation.replace(algorithm=simulation.algorithm.replace(lr=lr))
        return jdl.sim.models(swept, jdl.simulate(swept, ROUNDS, ROUNDS, start)[0])

    models = jax.jit(jax.vmap(final))(np.float32([LR, 0.01]))
    np.testing.assert_allclose(models[0], whole.models, rtol=1e-5, atol=1e-6)
    assert np.abs(models[1] - models[0]).max() > 0.01


def test_the_command_line_trains_a_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--nodes", "8", "--topology", "ring", "--rounds", "40", "--no-progress", "--no-baselines", "--json"]
    with pytest.raises(SystemExit) as stop:
        main(["run", *flags])
    assert not stop.value.code
    summary = json.loads(capsys.readouterr().out)
    assert summary["status"] == "finished" and summary["mean_accuracy"] > 0.7
