"""Which metrics a run takes: what is no metric, and names that are taken, are refused."""

import types

import pytest

from jdl import checks
from jdl.runs import refuse


def largest(models, state, simulation):
    return 0.0


def test_metrics_are_pairs_of_names_and_functions():
    assert refuse.metrics({"largest": largest}) == (("largest", largest),) and refuse.metrics(None) == ()
    refuse.own(False, types.SimpleNamespace())


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        ([largest], "got metrics=.*need a dict of functions"),
        ({"largest": 1.0}, "got metrics with 'largest': 1.0, need a dict"),
        ({"the largest": largest}, "got metrics with 'the largest'"),
        ({"own_accuracy": largest}, "named 'own_accuracy', which is a column already; choose another"),
        ({"loss": largest}, "named 'loss', which is a column already"),
        ({"round": largest}, "named 'round', which is a column already"),
        ({"job": largest}, "named 'job', which is a column already"),  # of the files of a sweep
        ({"seeds": largest}, "named 'seeds', which is a column already"),  # of its summary
        ({"num_examples": largest}, "named 'num_examples', which is a column already"),
    ],
)
def test_what_is_no_metric_is_refused(metrics, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        refuse.metrics(metrics)


def test_a_problem_that_does_not_tell_what_a_node_meets_is_refused():
    with pytest.raises(checks.InputError, match=r"got own=True and the problem SimpleNamespace, .*leave own out"):
        refuse.own(True, types.SimpleNamespace())
