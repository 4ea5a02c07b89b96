"""What is said and refused where a method runs over planned arrivals."""

import warnings

import pytest

import jdl
from jdl.algorithms import AsyncDiLoCo, FedAsync, FedAvg, FedBuff, FedCompass, Scaffold
from jdl.schedule import Arrivals, Compass, Sampling

N, SECONDS = 4, [1.0, 1.5, 2.0, 4.0]
PROBLEM = jdl.problems.quadratic(N, dim=3)


def notes(method, talk):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        jdl.simulation(PROBLEM, method, talk)
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("method", [FedAvg(), Scaffold()])
def test_a_method_that_gives_its_newest_model_to_all_is_said_to_have_no_staleness(method):
    (said,) = notes(method, Arrivals.of(SECONDS, 10))
    assert f"{type(method).__name__} gives its newest model to all who arrive" in said
    assert not notes(method, Sampling(N, 1))


def test_methods_whose_clients_keep_their_model_are_not_mentioned():
    for method in (FedAsync(), FedBuff(), AsyncDiLoCo(optimizer="sgd"), FedCompass()):
        assert not notes(method, Arrivals.of(SECONDS, 10))


def test_too_few_local_steps_for_the_planned_ones_are_said():
    for talk in (Arrivals.dynamic(SECONDS, 8, 10), Compass.of(SECONDS, 10, most=8)):
        assert not notes(FedAsync(local_steps=8), talk)
        (said,) = notes(FedAsync(local_steps=5), talk)
        assert "takes at most 5 of the 8 local steps whose time was planned; try local_steps=8" in said


def test_clients_that_begin_without_having_arrived_are_refused_where_messages_down_may_be_lost():
    talk = Arrivals.of(SECONDS, 10, concurrency=2)
    with pytest.raises(jdl.checks.InputError, match="who begins would miss the server's model"):
        jdl.simulation(PROBLEM, FedAsync(), talk, network_down=[jdl.exchange.Lossy(0.1)])
    jdl.simulation(PROBLEM, FedAsync(), talk)
