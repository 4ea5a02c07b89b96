"""Runs with several seeds, runs that are extended, and runs that end when they reach a goal."""

import json

import jax
import numpy as np
import pytest

import jdl
from jdl import checks
from jdl.runs import several

NODES = 6
PARTS = {
    "problem": jdl.problems.quadratic(nodes=NODES, dim=3, noise=0.5),
    "algorithm": jdl.algorithms.DPSGD(lr=0.1),
    "topology": jdl.topology.ring(NODES),
}
HOW = {"progress": False, "eval_every": 8, "metrics": {"size": lambda models, state, s: np.float32(1) * models[:, 0]}}
BUT_TIME = [name for name in ("round", "bits_sent", "mean_loss", "mean_model_loss", "consensus_distance", "size")]


def run(rounds=20, **how):
    return jdl.run(**PARTS | HOW | how, rounds=rounds)


def columns(history):
    return {name: values for name, values in {**history.columns, **history.nodes}.items() if name != "seconds"}


def same(one, other):
    assert columns(one.history).keys() == columns(other.history).keys()
    for name, values in columns(one.history).items():
        np.testing.assert_array_equal(values, columns(other.history)[name], err_msg=name)
    for left, right in zip(jax.tree.leaves(one.models), jax.tree.leaves(other.models), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.fixture(scope="module")
def base():
    return [run(seed=seed) for seed in (3, 4, 5)]


@pytest.mark.parametrize("rows", [18, 12, 1])  # three side by side; two and one; each alone
def test_each_of_several_seeds_is_its_own_run(base, rows, monkeypatch):
    monkeypatch.setattr(several, "ROWS", rows)
    found = run(seeds=[3, 4, 5])
    assert [type(part).__name__ for part in several.driven([one.simulation for one in found]).parts] == {
        18: ["SideBySide"],
        12: ["SideBySide"] * 2,
        1: ["Alone"] * 3,
    }[rows]
    assert found.seeds == (3, 4, 5) and found.history.mean_loss.shape == (4, 3)
    assert found.history.nodes["size"].shape == (4, 3, NODES) and found.history["round"].tolist() == [0, 8, 16, 20]
    for one, alone in zip(found, base, strict=True):
        for name, values in columns(alone.history).items():
            np.testing.assert_allclose(columns(one.history)[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(one.models, alone.models, rtol=1e-5, atol=1e-6)
        assert one.status == "finished" and one.seed == alone.seed and int(one.sim.t) == 20
    assert list(found.history.frame.seed) == [3, 4, 5] * 4
    assert found.summary["mean_loss"] == pytest.approx(np.mean([one.summary["mean_loss"] for one in base]), rel=1e-5)


def test_a_seed_that_diverges_leaves_the_others_alone():
    problem = PARTS["problem"]
    stretched = lambda seed: problem.replace(
        A=problem.A * np.float32(1e30 if seed == 1 else 1)
    )  # its rate is too large
    found = jdl.run(**PARTS | HOW | {"problem": stretched}, rounds=20, seeds=3)
    assert [one.status for one in found] == ["finished", "diverged", "finished"]
    assert np.isnan(found.history.mean_loss[-1, 1]) and np.isfinite(found.history.mean_loss[:, [0, 2]]).all()
    assert len(found[1].history) < len(found[0].history) == 4
    assert found.status == "finished" and "1 of 3 seeds: diverged in round" in found.message


def test_seeds_resume_bit_for_bit(tmp_path):
    whole = run(seeds=2, run_dir=tmp_path / "whole")
    run(12, seeds=2, run_dir=tmp_path / "parts")
    found = run(seeds=2, run_dir=tmp_path / "parts", resume=True)
    for one, other in zip(found, whole, strict=True):
        same(one, other)
    lines = [(tmp_path / name / "history.csv").read_text().splitlines() for name in ("whole", "parts")]
    without_time = [[line.split(",")[:2] + line.split(",")[3:] for line in text] for text in lines]
    assert without_time[0] == without_time[1] and len(lines[0]) == 1 + 4 * 2
    assert json.loads((tmp_path / "parts" / "summary.json").read_text())["seeds"] == [0, 1]
    with pytest.raises(checks.InputError, match=r"run\.seeds"):
        run(seeds=3, run_dir=tmp_path / "parts", resume=True)


@pytest.mark.parametrize("before", [16, 13])  # an end at an evaluation, and an end between two
def test_a_finished_run_is_extended_as_if_asked_for_at_once(tmp_path, base, before):
    where = {"seed": 3, "run_dir": tmp_path}
    assert run(before, **where).status == "finished"
    assert run(before, **where, resume=True).history["round"][-1] == before  # it stays finished
    found = run(20, **where | {"eval_every": None}, resume=True)
    same(found, base[0])
    again = run(None, **where, resume=True)
    same(again, base[0])
    assert json.loads((tmp_path / "config.json").read_text())["run"]["rounds"] == 20
    with pytest.raises(checks.InputError, match=r"got rounds=10, and a run of 20 .* need at least as many"):
        run(10, **where, resume=True)


def test_a_run_ends_when_it_reaches_its_goal_and_can_go_on(tmp_path, base):
    losses = base[0].history.mean_loss
    found = run(seed=3, until={"mean_loss": float(losses[1])}, run_dir=tmp_path)
    assert found.status == "reached" and found.history["round"].tolist() == [0, 8]
    assert found.message == f"reached mean_loss <= {losses[1]:g} after round 8 of 20"
    same(run(seed=3, run_dir=tmp_path, resume=True), base[0])
    both = run(seeds=[3, 4], until={"mean_loss": float(losses[1])})
    assert both.history["round"][-1] >= 8 and np.all(both.history.mean_loss[-1] <= losses[1])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"until": {"loss": 1}}, "loss"),
        ({"until": {"mean_loss": "about 1"}}, 'try until=.* "<= 0.1"'),
        ({"until": 0.9}, "need columns of the history"),
        ({"seeds": 0}, "seeds"),
        ({"seeds": [1, 1]}, "twice"),
        ({"seeds": "abc"}, "need a number of seeds"),
    ],
)
def test_wrong_goals_and_seeds_are_refused(wrong, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        jdl.run(**PARTS | HOW | wrong, rounds=4)


def test_a_part_may_be_a_function_of_the_seed():
    graph = lambda seed: jdl.topology.random_regular(NODES, 3, seed=seed)
    found = run(4, seeds=[0, 1], topology=graph, problem=lambda: PARTS["problem"])
    alone = [run(4, seed=seed, topology=graph(seed)) for seed in (0, 1)]
    assert not np.array_equal(graph(0).weights.toarray(), graph(1).weights.toarray())
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_allclose(one.history.mean_loss, other.history.mean_loss, rtol=1e-5)


def test_on_row_sees_every_evaluation():
    rows = []
    found = run(seed=3, on_row=rows.append)
    assert [row["round"] for row in rows] == found.history["round"].tolist() and "mean_loss" in rows[0]
