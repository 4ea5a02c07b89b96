"""Lost messages do no lasting harm: when losses end, a method goes where it goes without them, or it is refused.

Each method runs on the quadratic with full gradients: a hundred rounds in which three messages in ten are lost, then
three thousand without loss, in one program, since the probability is an array. Nothing is derived from what a method
declares: whether it is refused stands here, and what the refusal prevents is measured.
"""

import cases
import classes
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl.exchange import Lossy

LOSS, LOSSY_ROUNDS, ROUNDS, MORE_ROUNDS = 0.3, 100, 3000, 500

ALLOWED = [name for name in cases.ALGORITHMS if name not in cases.LOSING]
# Options that make another method of one of them.
OPTIONS = {
    "FedSpeed, all correct": ("FedSpeed", {"corrects": "all"}),
    "FedDyn, exact": ("FedDyn", {"exact": True}),
    "FedSplit, exact": ("FedSplit", {"exact": True}),
    "Scaffold, full gradients": ("Scaffold", {"option": 1}),
}


def after(built, start, *legs) -> np.ndarray:
    """The models after some rounds with some losses: legs of (probability, the round in which it ends)."""
    sim = cases.init(built(0.0), start)
    for probability, until in legs:
        sim, models = cases.advance(built(probability), sim, jnp.int32(until))
    return np.asarray(models)


def harm(built, start, other) -> tuple[float, float]:
    """How far losses move the limit, and how far two runs without losses are apart.

    Those are a run from another start, and one that lasts longer: methods whose steps keep their size never settle.
    """
    clean = after(built, start, (0.0, ROUNDS))
    assert np.all(np.isfinite(clean))
    lost = after(built, start, (LOSS, LOSSY_ROUNDS), (0.0, ROUNDS))
    others = after(built, other, (0.0, ROUNDS)), after(built, start, (0.0, ROUNDS + MORE_ROUNDS))
    return np.abs(lost - clean).max(), max(np.abs(one - clean).max() for one in others)


def accepted(name, way="network", talk=None, lr=0.1):
    """A function of the probability: the simulation of this method whose links fail on this way."""
    part = {"network": "exchange", "network_down": "exchange_down"}[way]
    simulation = cases.build(name, talk=talk, lr=lr, **{way: [Lossy(LOSS)]})
    lossy = getattr(simulation, part)
    return lambda probability: simulation.replace(**{part: lossy.replace(probability=jnp.float32(probability))})


def unchecked(algorithm, talk):
    """The same for a pair that is refused."""
    simulation = jdl.simulation(cases.problem(), algorithm, talk)
    return lambda probability: simulation.replace(exchange=Lossy(jnp.float32(probability)))


def recovers(built, name):
    moved, apart = harm(built, cases.starts(name), cases.starts(name, seed=5))
    assert moved <= 10 * max(apart, 1e-6)


@pytest.mark.parametrize("name", classes.one_of_each(ALLOWED, classes.of_rows, turn=2))
def test_losses_leave_no_trace_where_they_are_allowed(name):
    recovers(accepted(name), name)


@pytest.mark.parametrize("name", classes.one_of_each(cases.SERVERS, classes.of_messages, turn=0))
def test_losses_on_the_way_down_leave_no_trace(name):
    """A client that does not hear the server takes no part in the round: no state of it goes without its message."""
    recovers(accepted(name, "network_down"), name)


@pytest.mark.parametrize("name", ["OverlapSGP", pytest.param("PushSum", marks=pytest.mark.slow)])
def test_sums_are_kept_on_directed_links_that_fail(name):
    W = np.roll(np.eye(cases.N), 1, axis=0) / 4 + np.eye(cases.N) / 2
    W[0] += 1 / 4
    recovers(accepted(name, talk=jdl.topology.from_weights(W, stochastic="column"), lr=0.02), name)


def test_what_losses_would_leave_wrong_is_refused():
    """With the word that says so, whatever the options."""
    wrong = []
    for name, options in [*((name, {}) for name in cases.LOSING), *OPTIONS.values()]:
        talk = None if cases.has_server(name) else cases.dense(cases.network_of(name))
        try:
            jdl.simulation(cases.problem(), cases.kind_of(name)(**options), talk, [Lossy(0.0)])
        except jdl.checks.InputError as error:
            if f"{name} that needs 'reliable', which the network breaks" in str(error):
                continue
            wrong.append(f"{name} {options}: {error}")
        else:
            wrong.append(f"{name} {options}: not refused")
    assert not wrong, "\n".join(wrong)


# One of them in the default suite. A refusal without need would be wrong as well.
SHOWN = {name: (name, {}) for name in cases.MEANS} | OPTIONS


@pytest.mark.parametrize(
    "which",
    ["EF21", *(pytest.param(which, marks=pytest.mark.slow) for which in SHOWN if which != "EF21")],
)
def test_what_is_refused_would_be_wrong_for_ever(which):
    name, options = SHOWN[which]
    built = unchecked(cases.kind_of(name)(lr=0.1, **options), None)
    moved, apart = harm(built, cases.starts(name), cases.starts(name, seed=5))
    assert moved > 1e-2 and apart < 1e-5


@pytest.mark.slow
def test_copies_that_only_changes_keep_together_stay_apart():
    algorithm = jdl.algorithms.EagerDiLoCo(lr=0.01, optimizer="sgd")
    built = unchecked(algorithm, jdl.topology.complete(cases.N))
    moved, apart = harm(built, cases.starts("FedAvg"), cases.starts("FedAvg", seed=5))
    assert moved > 1e-2 and apart < 1e-5
