"""Waves as plans: who takes part, what plans promise, what runs show, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import algorithms, checks, events, topology
from jdl.schedule import Waves
from jdl.topology import forms

RING = topology.ring(9)
PROBLEM = jdl.problems.quadratic(9, 3)


def plans_of(waves):
    plan = jax.jit(jax.vmap(lambda t: waves((), t, None)[0]))(jnp.arange(waves.waves + 1))
    return jax.tree.map(np.asarray, plan)


@pytest.mark.parametrize("way", ["pairs", "push", "lonely"])
def test_waves_are_the_events_that_were_planned(way):
    away = [(2, 1.0, 9.0)] if way == "lonely" else []
    make = Waves.push if way == "push" else Waves.pairs
    waves = make(RING, horizon=30.0, width=3, window_events=20, seed=4, away=away)
    links = forms.off_diagonal(RING.weights)
    absent = events.Absences(away, 9)
    acts = events.devices(1.0, 30.0, 9, "exponential", seed=4, away=absent)
    planned = events.paired(acts, links.indptr, links.indices, (4, 1), absent)
    plan = plans_of(waves)
    found, width = [], 3
    for t in range(waves.waves):
        ids, active, works = plan.participants[t], plan.active[t], plan.works[t]
        assert len(set(ids.tolist())) == 2 * width and not works[width:].any()
        used = plan.links.used[t, :, 0]
        senders = plan.links.senders[t, :, 0]
        assert np.array_equal(senders[~used], np.arange(6)[~used]) and not (used & ~active).any()
        for row in np.flatnonzero(works):
            partner = ids[senders[row]]
            if way == "push":
                found.append((t, partner, ids[row]))
                assert active[row + width] and not used[row + width]
            else:
                found.append((t, ids[row], partner))
                assert used[row] == used[row + width] == (senders[row] == row + width)
        W = np.zeros((9, 9))
        np.add.at(W, (ids, ids[senders]), plan.links.weights[t, :, 0])
        W[ids, ids] += plan.self_weights[t]
        W += np.diag(1.0 - np.isin(np.arange(9), ids))
        np.testing.assert_allclose(W.sum(1), 1)
        assert way == "push" or np.array_equal(W, W.T)
    assert (waves.one_way, plan.symmetric) == (way == "push", way != "push")
    assert not plan.active[-1].any() and not plan.links.used[-1].any()  # after the last wave
    # The events of each node, in their order.
    for node in range(9):
        own = [(int(i), int(j)) for _, i, j in found if node in (i, j)]
        pairs = zip(planned.node.tolist(), planned.partner.tolist(), strict=True)
        assert own == [pair for pair in pairs if node in pair]
    ends = np.asarray(waves.seconds_at)[:: waves.waves_per_window]
    np.testing.assert_allclose(ends[1:-1], planned.seconds[19::20][: len(ends) - 2], rtol=1e-6)


def test_one_node_and_two():
    plan = plans_of(Waves.pairs(topology.ring(1), law="constant", horizon=5.0))
    assert plan.works[:, 0].sum() == 5 and not plan.links.used.any()
    assert plans_of(Waves.push(topology.ring(1), law="constant", horizon=5.0)).works.sum() == 5
    assert plans_of(Waves.pairs(topology.chain(2), law="constant", horizon=5.0)).works.sum() == 10


def test_a_run_shows_planned_seconds_resumes_and_stops_at_the_horizon(tmp_path):
    waves = Waves.pairs(RING, horizon=12.0, width=3, window_seconds=3.0)
    window = waves.waves_per_window
    assert waves.waves == 4 * window
    run = {"problem": PROBLEM, "algorithm": algorithms.ADPSGD(lr=0.1), "topology": waves, "progress": False}
    whole = jdl.run(**run, rounds=4 * window, eval_every=window)
    assert whole.history.simulated_seconds.tolist() == [0, 3, 6, 9, 12]
    part = {**run, "run_dir": tmp_path / "run", "eval_every": window}
    jdl.run(**part, rounds=2 * window)
    again = jdl.run(**part, rounds=4 * window, resume=True)
    for one, other in zip(jax.tree.leaves(again.models), jax.tree.leaves(whole.models), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.history.simulated_seconds.tolist() == [0, 3, 6, 9, 12]
    with pytest.raises(
        checks.InputError, match=rf"got rounds={4 * window + 1} with Waves, whose plan has {4 * window}"
    ):
        jdl.run(**run, rounds=4 * window + 1)
    with pytest.raises(checks.InputError, match="got a clock beside Waves"):
        jdl.run(**run, rounds=window, clock=jdl.clock.Clock(0.1))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Waves.pairs(topology.exponential(8)), "not symmetric"),
        (lambda: Waves.pairs(RING, width=5), "got width=5 with n=9"),
        (lambda: Waves.pairs(RING, seconds_per_step=-1.0), "got seconds_per_step=-1"),
        (lambda: Waves.pairs(RING, law="constant", horizon=0.5), "nobody acts"),
        (lambda: Waves.pairs(RING, transfer=-0.1), "transfer"),
        (lambda: Waves.pairs(RING, transfer=0.1, away=[(0, 1.0, 2.0)]), "got transfer and away"),
        (
            lambda: Waves.push(topology.from_weights(np.eye(3), allow_disconnected=True)),
            "got 3 nodes without neighbours",
        ),
    ],
)
def test_bad_input_is_a_sentence(make, words):
    with pytest.raises(checks.InputError, match=words):
        make()


def test_a_method_that_needs_rounds_is_refused():
    waves = Waves.pairs(RING, horizon=5.0)
    for method, words in ((algorithms.BEER(), "fixed_links"), (algorithms.FedAvg(), "server")):
        with pytest.raises(checks.InputError, match=words):
            jdl.simulation(PROBLEM, method, waves)
