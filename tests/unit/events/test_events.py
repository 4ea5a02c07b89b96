"""Plans of events: their times against closed forms and statistics, their partners, and waves against one at a time."""

import numpy as np
import pytest

from jdl import checks, events, topology
from jdl.topology import forms

SEEDS = range(3)


def links(graph):
    listed = forms.off_diagonal(graph.weights)
    return listed.indptr, listed.indices


def test_the_rate_of_all_is_the_sum_of_poisson_rates():
    """Counts of windows of one second have the mean and the variance of a Poisson number of that rate."""
    rates, horizon = np.array([0.5, 1.0, 2.5, 4.0]), 4000
    acts = events.poisson(rates, horizon, 4, seed=1)
    assert np.all(np.diff(acts.seconds) >= 0) and acts.seconds[-1] <= horizon
    each = np.bincount(acts.node, minlength=4)
    assert np.all(np.abs(each - rates * horizon) < 5 * np.sqrt(rates * horizon))
    counts = np.histogram(acts.seconds, np.arange(horizon + 1))[0]
    assert abs(counts.mean() - rates.sum()) < 5 * np.sqrt(rates.sum() / horizon)
    assert abs(counts.var() / rates.sum() - 1) < 5 * np.sqrt(3 / horizon)
    again = events.devices(1 / rates, horizon, 4, law="exponential", seed=2)  # the same law, drawn step by step
    each = np.bincount(again.node, minlength=4)
    assert np.all(np.abs(each - rates * horizon) < 5 * np.sqrt(rates * horizon))


def test_durations_have_their_means():
    means = np.array([1.0, 3.0])
    for law, deviation in (("exponential", 1.0), ("log_normal", np.sqrt(np.expm1(0.5**2)))):
        acts = events.devices(means, 6000.0, 2, law=law, seed=3)
        for node in (0, 1):
            steps = np.diff(acts.seconds[acts.node == node])
            assert abs(steps.mean() / means[node] - 1) < 5 * deviation / np.sqrt(len(steps))
    acts = events.devices(0.1, 10.0, 3)
    assert len(acts.seconds) == 300 and np.array_equal(np.unique(acts.seconds), 0.1 * np.arange(1, 101))
    assert acts.node.tolist() == [0, 1, 2] * 100


def test_partners_are_neighbours_and_all_alike():
    graph = topology.random_regular(6, 3, seed=0)
    planned = events.paired(events.poisson(100.0, 50.0, 6), *links(graph))
    counts = np.zeros((6, 6))
    np.add.at(counts, (planned.node, planned.partner), 1)
    assert np.array_equal(counts > 0, graph.weights.toarray() - np.diag(graph.weights.diagonal()) > 0)
    expected = counts.sum(1, keepdims=True) / 3
    assert np.all(np.abs(counts - expected)[counts > 0] < 5 * np.sqrt(expected.max()))


def test_who_is_away_neither_acts_nor_answers_and_goes_on_where_it_stopped():
    away = events.Absences([(0, 2.5, 5.0), (0, 7.0, 7.5), (1, 0.0, 3.0)], 2)
    acts = events.devices(1.0, 9.0, 2, away=away)
    # Node 0 stops in the middle of its third step; it ends the fifth as it leaves for the second time.
    assert acts.seconds[acts.node == 0].tolist() == [1.0, 2.0, 5.5, 6.5, 8.0, 9.0]
    assert acts.seconds[acts.node == 1].tolist() == [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    planned = events.paired(acts, *links(topology.chain(2)), away=away)
    alone = planned.seconds[planned.node == planned.partner]
    assert alone.tolist() == [1.0, 2.0, 4.0, 7.0]
    poisson = events.poisson(50.0, 9.0, 2, away=away)
    assert np.all(away.there(poisson.node, poisson.seconds)) and len(poisson.seconds) > 400


def test_transfers_keep_pairs_busy():
    """What the text says, read off the plan, with partners as the plan drew them; and two nodes in closed form."""
    seconds, transfer = np.linspace(1, 2, 6), 0.3
    plan = events.busy_pairs(seconds, transfer, 60.0, *links(topology.ring(6)))
    assert np.all(np.diff(plan.seconds) >= 0)
    before, busy = np.zeros(6), [[] for _ in range(6)]
    asked = np.empty(len(plan.node))
    for k, i in enumerate(plan.node):  # an act of a node follows its own last one by a computation
        asked[k], before[i] = before[i] + seconds[i], plan.seconds[k]
    for k in np.lexsort((plan.node, asked)):  # who asked first is served first, when both have time
        i, j = plan.node[k], plan.partner[k]
        begins = max([asked[k], *busy[i][-1:], *busy[j][-1:]])
        assert plan.seconds[k] == pytest.approx(begins + transfer, rel=1e-12)
        busy[i].append(plan.seconds[k])
        busy[j].append(plan.seconds[k])
    waited = plan.seconds - transfer - asked
    assert 0.05 < np.mean(waited > 1e-9) < 0.9
    none = events.busy_pairs(seconds, 0.0, 60.0, *links(topology.ring(6)))
    np.testing.assert_allclose(none.seconds, events.devices(seconds, 60.0, 6).seconds[: len(none.seconds)], rtol=1e-12)


def planned(seed, n=10, count=300):
    rng = np.random.default_rng(seed)
    node = rng.integers(0, n, count).astype(np.int32)
    partner = ((node + rng.integers(0, n, count)) % n).astype(np.int32)  # some are alone
    return events.Events(np.sort(rng.uniform(0, 30, count)), node, partner)


def test_staleness_is_that_of_a_simulation():
    for seed in SEEDS:
        changes, found = np.zeros(10, int), []
        plan = planned(seed)
        for i, j in zip(plan.node, plan.partner, strict=True):
            found.append(changes[i])
            changes[i] = 0
            changes[j] += i != j
        assert events.staleness(plan).tolist() == found


@pytest.mark.parametrize("windows", [{"window_events": 40}, {"window_events": 1000}, {"window_seconds": 4.0}])
def test_waves_keep_the_order_of_each_node(windows):
    for seed in SEEDS:
        plan = planned(seed)
        table = events.waves(plan, 10, 3, **windows)
        order = table.event[table.event >= 0]
        assert np.array_equal(np.sort(order), np.arange(300))
        wave = np.empty(300, int)
        wave[order] = np.nonzero(table.event >= 0)[0]
        for node in range(10):
            own = np.flatnonzero((plan.node == node) | (plan.partner == node))
            assert np.all(np.diff(wave[own]) > 0)  # in order, and never two in a wave
        length = table.per_window
        assert len(table.event) % length == 0 and len(table.seconds) == len(table.event) + 1
        window = wave // length
        size = windows.get("window_events")
        expected = np.arange(300) // size if size else np.ceil(plan.seconds / 4.0).astype(int) - 1
        assert np.array_equal(window, expected)
        for t in range(len(table.event) + 1):
            done = plan.seconds[wave < t]
            assert t == 0 or done.size == 0 or done.max() <= table.seconds[t]
            if t % length == 0:  # the state of that second
                assert np.array_equal(wave < t, plan.seconds <= table.seconds[t]) or t == 0
        # No event could be earlier: its wave is full, or holds or follows an earlier event of its nodes.
        for event in range(300):
            for earlier in range(window[event] * length, wave[event]):
                full = (table.event[earlier] >= 0).sum() == 3
                nodes = {plan.node[event], plan.partner[event]}
                later = np.flatnonzero((wave >= earlier) & (np.arange(300) < event))
                assert full or any(nodes & {plan.node[one], plan.partner[one]} for one in later)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: events.poisson([-1.0, 1.0], 10.0, 2), "got rates=-1 of node 0"),
        (lambda: events.poisson(0.0, 10.0, 2), "got horizon=10 in which nobody acts"),
        (lambda: events.devices(0.0, 10.0, 2), "got seconds_per_step=0 of node 0"),
        (lambda: events.devices([1.0] * 3, 10.0, 2), r"of shape \(3,\)"),
        (lambda: events.devices(1.0, -3.0, 2), "got horizon=-3.0"),
        (lambda: events.devices(1.0, 3.0, 2, law="gamma"), "gamma"),
        (lambda: events.Absences([(0, 1.0, 4.0), (0, 3.0, 5.0)], 2), "overlap"),
        (lambda: events.Absences([(0, -1.0, 4.0)], 2), "start of at least 0"),
        (lambda: events.Absences([(2, 1.0, 4.0)], 2), "got node 2"),
        (lambda: events.busy_pairs(1.0, 5.0, 3.0, *links(topology.ring(4))), "no exchange ends"),
        (lambda: events.waves(planned(0)._replace(seconds=np.arange(300) - 5.0), 10, 3), "got an event at second -5"),
        (lambda: events.waves(planned(0)._replace(seconds=-np.arange(-300, 0)), 10, 3), "out of order"),
        (lambda: events.waves(planned(0), 10, 3, 4, 1.0), "one kind of windows"),
    ],
)
def test_bad_input_is_a_sentence(make, words):
    with pytest.raises(checks.InputError, match=words):
        make()


def test_isolated_nodes_are_named():
    acts = events.poisson(1.0, 10.0, 3)
    with pytest.raises(checks.InputError, match="got 1 nodes without neighbours, of which node 2"):
        events.paired(acts, np.array([0, 1, 2, 2]), np.array([1, 0]))


def test_meetings_along_edges_are_poisson_processes():
    edges, rates = np.array([[0, 1], [0, 2], [1, 3]]), np.array([0.5, 2.0, 0.0])
    met = events.meetings(rates, edges, 3000.0, seed=1)
    counts = np.array([np.sum((met.node == i) & (met.partner == j)) for i, j in edges])
    assert counts.sum() == len(met.node) and np.all(np.abs(counts - 3000 * rates) <= 5 * np.sqrt(3000 * rates))
    assert np.all(np.diff(met.seconds) >= 0)
    windows = np.histogram(met.seconds, np.arange(3001))[0]
    assert abs(windows.var() / 2.5 - 1) < 5 * np.sqrt(3 / 3000)
    away = events.meetings(rates, edges, 3000.0, seed=1, away=events.Absences([(2, 100.0, 2000.0)], 4))
    gone = (met.partner == 2) & (met.seconds >= 100) & (met.seconds < 2000)
    assert gone.any() and np.array_equal(away.seconds, met.seconds[~gone])


def test_places_for_those_alone_and_for_pairs():
    """Each kind fills its own places; the order of each node is kept."""
    for seed in SEEDS:
        plan = planned(seed)
        alone = plan.node == plan.partner
        assert 0.02 < alone.mean() < 0.3
        table = events.waves(plan, 10, 2, 60, alone=1)
        assert table.event.shape[1] == 3 and table.per_window * 5 == len(table.event)
        first, rest = table.event[:, :1], table.event[:, 1:]
        assert alone[first[first >= 0]].all() and not alone[rest[rest >= 0]].any()
        order = table.event[table.event >= 0]
        assert np.array_equal(np.sort(order), np.arange(300))
        wave = np.empty(300, int)
        wave[order] = np.nonzero(table.event >= 0)[0]
        for node in range(10):
            assert np.all(np.diff(wave[(plan.node == node) | (plan.partner == node)]) > 0)
