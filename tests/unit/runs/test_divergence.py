"""A run that explodes is not called finished, and the sentence says what broke."""

import numpy as np
import pytest

import jdl
from jdl.algorithms import DPSGD
from jdl.compressors import HalfPrecision
from jdl.runs.history_files import read_csv

RING = jdl.topology.ring(4)


def run(rounds=10, lr=0.1, **options):
    problem = options.pop("problem", None) or jdl.problems.quadratic(nodes=4)
    network = options.pop("network", ())
    options = {"rounds": rounds, "eval_every": 1, "progress": False} | options
    return jdl.run(problem, DPSGD(lr=lr), RING, network, **options)


def test_a_finite_loss_far_beyond_the_start_is_divergence():
    """At rate 20 and curvature 1 the error grows by a factor of 19 a round."""
    found = run(10, lr=20.0)
    assert found.status == "diverged" and found.message.startswith("diverged: the loss went from ")
    assert found.history.mean_loss[-1] > 1e3 and int(found.sim.t) == 10


def test_a_loss_that_is_not_finite_ends_the_run_though_models_are_finite(tmp_path):
    found = run(25, lr=20.0, run_dir=tmp_path / "a")
    last = int(found.history.round[-1])
    assert found.status == "diverged" and f"diverged by round {last}: the loss is no longer finite" in found.message
    assert np.all(np.isfinite(found.models)) and np.isinf(found.history.mean_loss[-1])
    assert np.all(np.isfinite(found.history.mean_loss[:-1])) and last < 25
    again = run(25, lr=20.0, run_dir=tmp_path / "a", resume=True)
    assert (again.status, again.message) == (found.status, found.message)
    assert len(read_csv(tmp_path / "a" / "history.csv")) == last + 1


def test_models_that_are_not_finite_are_divergence_as_before():
    found = run(10, lr=1e30, eval_every=10)
    assert found.status == "diverged" and "a model is no longer finite; try a smaller rate" in found.message


@pytest.mark.parametrize("lr", [0.0, 0.1, 1.9])
def test_a_run_that_learns_or_stands_still_is_finished(lr):
    assert run(20, lr=lr).status == "finished"


def test_a_start_that_is_not_finite_is_refused_and_a_loss_that_is_not_at_the_start_is_named():
    with pytest.raises(jdl.checks.InputError, match="got params with numbers that are not finite"):
        run(params=np.full(10, np.nan))
    found = run(params=np.full(10, 1e30, np.float32))
    assert found.status == "diverged" and "diverged in round 0: the loss of the start is not finite" in found.message


def test_data_that_are_not_finite_are_said_to_be_so():
    problem = jdl.problems.quadratic(nodes=4)
    found = run(problem=problem.replace(b=problem.b.at[2, 1].set(np.nan)))
    assert found.status == "diverged" and "the problem holds numbers that are not finite" in found.message


def test_messages_in_half_precision_that_cannot_hold_the_models():
    start = np.full(10, 1e5, np.float32)
    with pytest.raises(jdl.checks.InputError, match=r"got params up to 1e\+05, need numbers up to 65,504"):
        run(params=start, network=[HalfPrecision("float16")])
    assert run(params=start, network=[HalfPrecision("bfloat16")]).status == "finished"
    found = run(30, lr=3.0, network=[HalfPrecision("float16")])
    assert found.status == "diverged" and "bfloat16 in place of float16" in found.message
