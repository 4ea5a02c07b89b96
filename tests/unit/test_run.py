"""Runs: histories, checkpoints, interruption at any moment, and what is refused."""

import json
import signal

import jax
import numpy as np
import pytest

import jdl
from jdl import checks
from jdl.runs.history_files import read_csv

ROUNDS = 40


def parts(lr=0.2):
    """CHOCO and push-sum on lossless, directed links: link memory, a scalar in the state, keys in every round."""
    return {
        "problem": jdl.problems.quadratic(nodes=8, dim=3, noise=0.1),
        "algorithm": jdl.algorithms.PushSum(lr=lr),
        "topology": jdl.topology.exponential(8),
        "network": [jdl.exchange.Choco(gamma=0.5, compressor=jdl.compressors.TopK(0.4))],
        "rounds": ROUNDS,
        "eval_every": 7,
        "progress": False,
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted run."""
    return jdl.run(**parts(), run_dir=tmp_path_factory.mktemp("whole") / "run")


def same(result, whole):
    """Histories (but for seconds) and final states are equal to the last bit."""
    for name in whole.history.columns:
        if name != "seconds":
            np.testing.assert_array_equal(result.history[name], whole.history[name], err_msg=name)
    jax.tree.map(np.testing.assert_array_equal, result.sim, whole.sim)
    on_disk = [{k: v for k, v in row.items() if k != "seconds"} for row in read_csv(result.run_dir / "history.csv")]
    assert on_disk == [{k: v for k, v in row.items() if k != "seconds"} for row in whole.history.rows]


def test_history_has_a_row_at_the_start_at_every_evaluation_and_at_the_end(whole):
    assert whole.history.round.tolist() == [0, 7, 14, 21, 28, 35, 40]
    assert whole.status == "finished"
    assert whole.summary["mean_accuracy"] is None
    columns = ["round", "seconds", "bits_sent", "mean_model_loss", "mean_loss", "std_loss", "worst_loss", "best_loss"]
    assert set(columns) <= set(whole.history.frame.columns)
    np.testing.assert_array_equal(whole.history.frame["mean_loss"], whole.history.mean_loss)


def test_run_directory_holds_what_it_should(whole):
    names = {path.name for path in whole.run_dir.iterdir()}
    assert {"config.json", "history.csv", "summary.json", "checkpoint"} <= names
    config = json.loads((whole.run_dir / "config.json").read_text())
    assert config["simulation"]["algorithm"]["lr"] == pytest.approx(0.2)
    assert config["simulation"]["exchange"]["compressor"]["fraction"] == pytest.approx(0.4)
    assert config["versions"]["jax"] == jax.__version__
    assert "cpu" in config["device"]
    summary = json.loads((whole.run_dir / "summary.json").read_text())
    assert summary["status"] == "finished"
    assert summary["bits_sent"] == whole.history.bits_sent[-1]


def test_models_and_mean_model(whole):
    assert whole.models.shape == (8, 3)
    np.testing.assert_allclose(whole.mean_model, whole.models.mean(axis=0))
    assert "finished 40 rounds" in repr(whole)
    assert "<table>" in whole._repr_html_()


@pytest.mark.parametrize("stop_after", [1, 9, 21])
def test_interrupted_and_resumed_is_the_same_bit_for_bit(whole, tmp_path, monkeypatch, stop_after):
    """A real SIGINT, raised by the process itself after some chunk; then resume."""
    from jdl.runs import progress

    seen = []

    def update(self, t, row, original=progress.Bar.update):
        seen.append(t)
        if t >= stop_after and len(seen) >= 1:
            signal.raise_signal(signal.SIGINT)
        original(self, t, row)

    monkeypatch.setattr(progress.Bar, "update", update)
    stopped = jdl.run(**parts(), run_dir=tmp_path / "run")
    monkeypatch.undo()
    assert stopped.status == "interrupted"
    assert stop_after <= int(stopped.sim.t) < ROUNDS
    assert f"run_dir={str(tmp_path / 'run')!r}, resume=True)`" in stopped.message
    same(jdl.run(**parts(), run_dir=tmp_path / "run", resume=True), whole)


def test_resuming_a_finished_run_changes_nothing(whole):
    same(jdl.run(**parts(), run_dir=whole.run_dir, resume=True), whole)


def test_divergence_is_a_status_with_its_round():
    result = jdl.run(**{**parts(lr=1e12), "network": []})
    assert result.status == "diverged"
    assert 3 <= int(result.sim.status) <= 5
    assert f"diverged in round {int(result.sim.status)}" in result.message
    assert result.history.round[-1] == int(result.sim.status) == int(result.sim.t)
    assert result.summary["suboptimality"] is None


def refused(text, **changes):
    with pytest.raises(checks.InputError) as error:
        jdl.run(**{**parts(), **changes})
    assert text in str(error.value)


def test_what_is_refused(whole, tmp_path):
    refused("got rounds=0, need a whole number of at least 1", rounds=0)
    refused("got eval_every=0", eval_every=0)
    refused("which is not empty, need a new directory; resume the run in it with `jdl.run(", run_dir=whole.run_dir)
    refused(
        "got a run directory of another configuration: simulation.algorithm.lr was 0.2",
        **{"algorithm": jdl.algorithms.PushSum(lr=0.3), "run_dir": whole.run_dir, "resume": True},
    )
    refused("got rounds=39, and a run of 40", rounds=39, run_dir=whole.run_dir, resume=True)
    (tmp_path / "file").write_text("")
    refused("need a directory that can be written", run_dir=tmp_path / "file" / "run")
    refused("holds no config.json", run_dir=tmp_path / "nothing", resume=True)
    refused("got resume=True without run_dir", resume=True)
    refused("got DPSGD.lr=-1", algorithm=jdl.algorithms.DPSGD(lr=-1))
    refused("got a topology of 9 nodes and a problem of 8", topology=jdl.topology.ring(9))
    refused("got no topology, DPSGD needs one", algorithm=jdl.algorithms.DPSGD(), topology=None)
    refused('got mapping=0, need "auto", "vmap", "loop" or a number', mapping=0)
    refused("need a Topology, a networkx graph, a weight matrix", topology="ring")
    refused("; try RandomNeighbours.for_nodes(8)", topology=jdl.schedule.RandomNeighbours(4))
