"""The clock on the command line: how it is spelled, what is kept, limits of seconds and bits, sweeps."""

import json

import numpy as np
import pytest

import jdl
from jdl import algorithms, checks, topology
from jdl.clock import Clock, Deadline, FairShare, First, LogNormal, OneAfterAnother, Parallel, SlowShare, slow
from jdl.command import cli
from jdl.command.clock import clock_in, clock_of
from jdl.runs.goal import goal_of

SMALL = ["--problem", "quadratic", "--nodes", "8", "--topology", "ring", "--no-baselines", "--no-progress"]
SPELLED = {
    "usual": Clock(),
    "step=0.2:up=1e7:down=2e7:latency=0.02": Clock(0.2, FairShare(up=1e7, down=2e7, latency=0.02)),
    "step=[log_normal:median=0.1:spread=0.7]:links=[one_after_another:up=1e7]:wait=[deadline:seconds=5]": Clock(
        LogNormal(0.1, spread=0.7), OneAfterAnother(up=1e7), Deadline(5.0)
    ),
    "wait=[first:count=5]:steps=5:watts=30:joules_per_bit=1e-9": Clock(
        wait=First(5), steps=5.0, watts=30.0, joules_per_bit=1e-9
    ),
    "links=parallel:rate=1e6": Clock(links=Parallel(rate=1e6)),
    "step=[slow_share:share=0.2:factor=5]": Clock(SlowShare(share=0.2, factor=5.0)),
}
REFUSED = {
    "step=quick": "got step time in --clock step=quick: 'quick', which does not exist",
    "wait=[deadline]": r"without seconds, which it needs; write wait=\[deadline:seconds=VALUE\]",
    "up=1e6:links=[parallel]": "with up=1000000.0, which is an option of its usual links, fair_share",
    "speed=3": "got option of clock 'speed', which does not exist",
    "step=-1": "got Clock.step=-1.0, need a number of at least 0",
    "0.2": "got --clock 0.2, need an option and its value; write --clock step=VALUE",
}


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    monkeypatch.setattr(cli.plots, "curves", lambda runs, path, **_: path.touch())


def test_a_clock_is_spelled_as_parts_in_brackets_are():
    for text, clock in SPELLED.items():
        assert clock_of(clock_in(text)) == clock, text
        assert json.loads(json.dumps(clock_in(text))) == clock_in(text)
    for text, sentence in REFUSED.items():
        with pytest.raises(checks.InputError, match=sentence):
            clock_in(text)
    assert clock_in("none") is clock_in(None) is None


def test_a_share_of_slow_nodes_is_that_of_the_seconds_in_python():
    for n, share, seed in ((10, 0.2, 0), (33, 0.1, 4), (7, 0.0, 1), (7, 1.0, 1)):
        part = SlowShare(0.3, share, 5.0, seed)
        np.testing.assert_array_equal(part.seconds(0, None, n), slow(n, 0.3, share, 5.0, seed))


def test_a_run_with_a_clock_ends_at_a_number_of_seconds_and_resumes(call_and_draw, tmp_path):
    clock = "step=1:latency=0.5:up=1e30:down=1e30"
    same = [*SMALL, "--rounds", "20", "--eval-every", "2", "--clock", clock]
    code, out, _ = call_and_draw("run", *same, "--until-seconds", "6", "--out", tmp_path / "a")
    assert code == 0 and "reached simulated_seconds >= 6 after round 4 of 20" in out and " 33% " in out
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert config["command"]["clock"]["latency"] == 0.5 and config["simulation"]["clock"]["step"] == 1.0
    assert config["command"]["until"] == {"simulated_seconds": 6.0}
    code, out, _ = call_and_draw("resume", tmp_path / "a", "--no-until", "--no-baselines", "--no-progress")
    result = jdl.load(tmp_path / "a")
    np.testing.assert_allclose(result.history.simulated_seconds, 1.5 * result.history.round, rtol=1e-6)
    assert result.rounds == 20 and "30 s, of which nodes wait 33%" in repr(result)
    parts = jdl.problems.quadratic(8), algorithms.DPSGD(), topology.ring(8)
    python = jdl.run(*parts, rounds=20, eval_every=2, clock=clock_of(clock_in(clock)), progress=False)
    np.testing.assert_array_equal(result.history.simulated_seconds, python.history.simulated_seconds)
    other = {"clock": Clock(2.0), "run_dir": tmp_path / "a", "resume": True, "rounds": 20}
    with pytest.raises(checks.InputError, match="clock"):
        jdl.run(*parts, **other)
    code, _, err = call_and_draw("run", *SMALL, "--until-seconds", "6")
    assert code == 2 and "got simulated_seconds in until for a run which has no clock" in err


def test_limits_end_a_run_in_any_case_and_aims_must_all_be_met():
    goal = goal_of({"mean_accuracy": 0.9, "consensus_distance": 0.1, "bits_sent": 100.0})
    row = {"mean_accuracy": 0.95, "consensus_distance": 0.5, "bits_sent": 99.0}
    assert not goal.reached(row) and goal.reached(row | {"bits_sent": 100.0})
    assert goal.reached(row | {"consensus_distance": 0.05})
    assert str(goal) == "mean_accuracy >= 0.9 and consensus_distance <= 0.1 or bits_sent >= 100"
    several = {name: np.array([value, value]) for name, value in row.items()} | {"bits_sent": np.array([99.0, 101.0])}
    assert goal.met(several).tolist() == [False, True] and not goal.reached(several)


def test_a_sweep_of_clocks_is_the_runs_of_each(call_and_draw, tmp_path):
    words = ["--problem", "quadratic", "--nodes", "8", "--topology", "ring", "--rounds", "4", "--eval-every", "2"]
    clock = "step=0.1,0.2:latency=0.5"
    code, out, _ = call_and_draw("sweep", *words, "--clock", clock, "--json", "--out", tmp_path / "s")
    assert code == 0
    found = {point["labels"]["clock"]: point["simulated_seconds"] for point in json.loads(out)["points"]}
    clocks = [Clock(step, FairShare(latency=0.5)) for step in (0.1, 0.2)]
    problem, algorithm, ring = jdl.problems.quadratic(8), algorithms.DPSGD(), topology.ring(8)
    table = jdl.sweep(
        problem=problem, algorithm=algorithm, topology=ring, rounds=4, eval_every=2, seeds=2, progress=False,
        clock=Clock(step=jdl.over(0.1, 0.2), links=FairShare(latency=0.5)),
    )  # fmt: skip
    for clock, labelled in zip(clocks, ("step=0.1:latency=0.5", "step=0.2:latency=0.5"), strict=True):
        one = jdl.run(problem, algorithm, ring, rounds=4, eval_every=2, clock=clock, seed=1, progress=False).history
        frame = table.frame[(table.frame.seed == 1) & (table.frame[table.axes[0]] == clock.step)]
        np.testing.assert_allclose(frame.simulated_seconds, one.simulated_seconds, rtol=1e-6)
        np.testing.assert_allclose(frame.idle_share, one.idle_share, rtol=1e-6)
        assert found[labelled] == pytest.approx(one.simulated_seconds[-1], rel=1e-6)  # the same for all seeds


@pytest.mark.slow
def test_a_limit_of_nothing_ends_a_run_before_it_begins(call_and_draw, tmp_path):
    """With baselines, which then have no round to be compared with."""
    options = [one for one in SMALL if one != "--no-baselines"]
    code, out, err = call_and_draw("run", *options, "--clock", "--until-bits", "0", "--out", tmp_path / "a")
    assert code == 0 and "reached bits_sent >= 0 after round 0" in out, err
