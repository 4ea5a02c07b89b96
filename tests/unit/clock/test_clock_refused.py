"""What a clock refuses in a sentence: numbers that never end, parts that are none, numbers for other nodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import checks, clock
from jdl.clock import Clock
from jdl.runs.goal import goal_of
from jdl.runs.timed import check_clock

N, INF = 4, float("inf")


class Unknown:
    """A part of a clock that is no pytree."""

    def seconds(self, t, key, n):
        return jnp.ones(n)


REFUSED = {
    "step=inf": (Clock(step=INF), "Clock.step with numbers that are not finite"),
    "one step": (Clock(step=np.array([1.0, INF, 1.0, 1.0])), "Clock.step with numbers that are not finite"),
    "median": (Clock(step=clock.LogNormal(INF)), "Clock.step.median with numbers that are not finite"),
    "latency": (Clock(links=clock.FairShare(latency=INF)), "Clock.links.latency with numbers that are not finite"),
    "watts": (Clock(watts=np.ones(3)), r"got watts of shape \(3,\), need one number, or one for each of n=4 nodes"),
    "a class": (Clock(step=clock.LogNormal), "got step=the class LogNormal, .*; call it"),
    "a class of links": (Clock(links=clock.FairShare), "got links=the class FairShare, .*; call it"),
    "a class of waits": (Clock(wait=clock.First), "got wait=the class First, .*; call it"),
    "no pytree": (Clock(step=Unknown()), "got step of type Unknown, a class that JAX does not know"),
    "a word": (Clock(step="fast"), "got step='fast', need seconds, or a part"),
    "negative table": (Clock(step=clock.Recorded(jnp.array([[1.0, -1.0, 1.0, 1.0]]))), "got -1.0 seconds at round 0"),
    "flat table": (Clock(step=clock.Recorded(jnp.ones(4))), r"got a table of shape \(4,\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_clock_that_cannot_be(case):
    given, sentence = REFUSED[case]
    with pytest.raises(checks.InputError, match=sentence):
        check_clock(given, N)


def test_what_may_be_endless_or_differ():
    for given in (
        Clock(np.ones(N), clock.FairShare(up=INF, down=INF), clock.Deadline(INF), watts=np.ones(N)),
        Clock(clock.Recorded(jnp.ones((2, N))), clock.Parallel(rate=INF)),
    ):
        check_clock(given, N)


@pytest.mark.parametrize("part", (clock.LogNormal, clock.Exponential, clock.Constant))
def test_times_of_another_number_of_nodes(part):
    with pytest.raises(checks.InputError, match=rf"got {part.__name__}.* of shape \(3,\), need one .* n=4 nodes"):
        part(np.ones(3)).seconds(0, jax.random.key(0), N)


def test_arguments_that_are_no_numbers():
    calls = {
        "got step='a'": lambda: clock.slow(4, step="a"),
        "got share=2": lambda: clock.slow(4, share=2),
        "got seed=-1": lambda: clock.slow(4, seed=-1),
        "got step=inf": lambda: clock.slow(4, step=INF),
        "none of numbers": lambda: clock.Recorded([[1.0], [1.0, 2.0]]),
        "got problem=None": lambda: clock.measured(None),
        "got problem=3": lambda: clock.from_flops(3, 1e9),
        "need a limit of at least 0": lambda: goal_of({"simulated_seconds": -1}),
        "got nodes=3": lambda: jdl.time_line(jdl.simulation(*QUADRATIC, clock=Clock()), nodes=3),
    }
    for sentence, call in calls.items():
        with pytest.raises(checks.InputError, match=sentence):
            call()


QUADRATIC = jdl.problems.quadratic(N), jdl.algorithms.DPSGD(), jdl.topology.ring(N)


@pytest.mark.slow
def test_a_deadline_that_nobody_meets_is_told():
    """The run ends, and says so; with a deadline that is met it says nothing."""
    ring, server = QUADRATIC, (QUADRATIC[0], jdl.algorithms.FedAvg(lr=0.1), jdl.schedule.Sampling(N, 2))
    for parts in (ring, server):
        for wait, late in ((clock.Deadline(1e-6), True), (clock.Deadline(9.0), False)):
            run = jdl.run(*parts, rounds=2, clock=Clock(wait=wait), progress=False)
            assert run.status == "finished"
            assert ("no message arrived in time for Deadline, and nothing was mixed" in run.message) is late
