"""What attacks do to a run on digits, and what robust rules do about it."""

import functools

import numpy as np
import pytest

import jdl
from jdl.exchange import ALIE, CoordinateMedian, SignFlip, TrimmedMean
from jdl.oracle import DBA, Backdoor

pytestmark = pytest.mark.slow
N = 20


@functools.cache
def problem():
    return jdl.problems.digits(nodes=N, hidden=0)


def last(network, **parts):
    """The metrics of the honest nodes after sixty rounds, with a fifth of all nodes dishonest."""
    given = {"roles": jdl.roles.draw(N, dishonest=0.2), "topology": jdl.topology.random_regular(N, degree=8)} | parts
    rounds = {"rounds": 60, "eval_every": 60, "progress": False}
    history = jdl.run(problem(), jdl.algorithms.DPSGD(lr=0.3), network=network, **given, **rounds).history
    return {name: float(values[-1]) for name, values in history.columns.items()}


@pytest.mark.parametrize("rule", [TrimmedMean(2), CoordinateMedian()], ids=["trimmed", "median"])
@pytest.mark.parametrize("attack", [SignFlip(), ALIE(), ALIE(1.5)], ids=["flip", "alie", "alie of 1.5"])
def test_robust_rules_hold_against_a_fifth_of_liars(attack, rule):
    row = last([attack, rule])
    assert np.isfinite(row["mean_loss"]) and row["mean_accuracy"] > 0.87 and row["worst_accuracy"] > 0.85


def test_a_mean_does_not():
    assert last([SignFlip()])["mean_accuracy"] < 0.75


def test_backdoors_work_under_a_mean_and_not_under_a_median():
    metrics = {"success": jdl.metrics.attack_success}
    found = last([], oracle=[Backdoor(0)], metrics=metrics)
    assert found["mean_success"] > 0.5 and found["mean_accuracy"] > 0.85
    assert last([CoordinateMedian()], oracle=[Backdoor(0)], metrics=metrics)["mean_success"] < 0.05
    in_parts = last([], oracle=[DBA(0)], metrics=metrics, roles=jdl.roles.sybils(N, names=1, minds=4))
    assert in_parts["mean_success"] > 0.1
