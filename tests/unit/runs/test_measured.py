"""Which metrics a run takes: what is no metric, and names that are taken, are refused."""

import types

import pytest

from jdl import checks, roles
from jdl.engine.metrics import BUILT_IN
from jdl.runs.measured import measured

PLAIN, TELLS = types.SimpleNamespace(), types.SimpleNamespace(offers=frozenset({"own"}))


def largest(models, state, simulation):
    return 0.0


def test_masks_are_in_the_program_only_if_somebody_is_dishonest():
    assert measured(PLAIN) == measured(PLAIN, {}, False, roles.everybody_honest(4)) == BUILT_IN
    assert not BUILT_IN.honest_only and not BUILT_IN.own
    asked = measured(TELLS, {"largest": largest}, True, roles.draw(4, 1))
    assert asked.honest_only and asked.own and asked.functions == (("largest", largest),)
    assert hash(asked) == hash(measured(TELLS, {"largest": largest}, True, roles.draw(4, 2)))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"metrics": [largest]}, "got metrics=.*need functions by name"),
        ({"metrics": {"largest": 1.0}}, "got metric 'largest' = 1.0, need functions by name"),
        ({"metrics": {"the largest": largest}}, "got a metric named 'the largest', need functions by name"),
        ({"metrics": {"own_accuracy": largest}}, "named 'own_accuracy', which is a column already; choose another"),
        ({"metrics": {"loss": largest}}, "named 'loss', which is a column already"),
        ({"metrics": {"round": largest}}, "named 'round', which is a column already"),
        ({"own": 1}, "got own=1, need True or False"),
        ({"own": True}, 'got own=True with SimpleNamespace, which does not offer "own"'),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        measured(PLAIN, **arguments)
