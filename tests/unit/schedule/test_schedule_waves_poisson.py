"""Waves of nodes that work alone and of pairs that meet: the events, who works, times since the last one, padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdl import checks, events, topology
from jdl.schedule import Waves

GRAPH = topology.random_regular(9, 4, seed=2)


def arrays(waves):
    """The fields as NumPy's."""
    return jax.tree.map(np.asarray, waves)


def executed(waves, t):
    """The events of a wave, (node, partner or itself, elapsed of both), in no order; and how many of them work."""
    first, second, acts, meets, elapsed = (
        x[t] for x in (waves.first, waves.second, waves.acts, waves.meets, waves.elapsed)
    )
    ids, alone = np.concatenate([first, second]), len(first) - len(second)
    assert len(set(ids.tolist())) == len(ids) <= waves.n
    assert not (meets & ~acts[alone:]).any()
    found = []
    for place in np.flatnonzero(acts):
        pair = place - alone
        met = pair >= 0 and meets[pair]
        j = len(first) + pair if met else place
        found.append((int(ids[place]), int(ids[j]), float(elapsed[place]), float(elapsed[j])))
    works = np.concatenate([waves.works[t], np.zeros(len(ids) - waves.works.shape[1], bool)])
    assert not (works & ~np.concatenate([acts, meets])).any()
    return found, works


def elapsed_of(planned, n):
    """One event at a time."""
    last, found = np.zeros(n), []
    for second, i, j in zip(*planned, strict=True):
        found.append((second - last[i], second - last[j]))
        last[[i, j]] = second
    return found


@pytest.mark.parametrize(
    ("graph", "options"),
    [
        (GRAPH, {"width": 2, "window_events": 30}),
        (GRAPH, {"meetings_per_second": 3.0, "window_seconds": 3.0, "away": [(2, 1.0, 9.0)]}),
        (GRAPH, {"edge_rates": np.linspace(0, 1, 18), "gradients_per_second": np.linspace(0, 2, 9)}),
        (GRAPH, {"meetings_per_second": 0.0}),
        (topology.chain(3), {}),
        (topology.chain(2), {}),
        (topology.ring(1), {}),
    ],
)
def test_waves_are_the_events_that_were_planned(graph, options):
    waves = arrays(Waves.poisson(graph, horizon=20.0, seed=4, **options))
    n, count = graph.n, graph.edge_count
    away = events.Absences(options["away"], n) if "away" in options else None
    rates = options.get("edge_rates", np.full(count, options.get("meetings_per_second", 1.0) * n / 2 / max(count, 1)))
    acts = events.poisson(options.get("gradients_per_second", 1.0), 20.0, n, 4, away)
    planned = events.alone_and_meeting(acts, events.meetings(rates, graph.edges, 20.0, (4, 1), away))
    found = []
    for t in range(waves.waves):
        events_here, works = executed(waves, t)
        assert works.sum() == sum(i == j for i, j, *_ in events_here)
        assert not works[len(waves.first[t]) :].any()
        found += events_here
    assert len(found) == len(planned.node)
    since = elapsed_of(planned, n)
    rows = zip(planned.node.tolist(), planned.partner.tolist(), since, strict=True)
    expected = [(i, j, *times) for i, j, times in rows]
    for node in range(n):  # those of each node, in their order
        mine = lambda rows, node=node: [row for row in rows if node in row[:2]]
        ours, theirs = mine(found), mine(expected)
        assert [sorted(row[:2]) for row in ours] == [sorted(row[:2]) for row in theirs]
        ours, theirs = ([row[2 + (row[0] != node)] for row in rows] for rows in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert waves.waves % waves.waves_per_window == 0


def test_plans_are_the_arrays():
    """What every plan promises, of nodes alone and pairs that do not work, and of pairs of which both work."""
    both = Waves.meetings(GRAPH, horizon=10.0, width=2, seed=1)
    for waves in (Waves.poisson(GRAPH, horizon=10.0, width=2, seed=1), both):
        plan = jax.jit(jax.vmap(lambda t, waves=waves: waves((), t, None)[0]))(jnp.arange(waves.waves + 1))
        waves, plan = arrays(waves), arrays(plan)
        assert plan.symmetric and plan.stochastic == "doubly" and plan.workers == waves.works.shape[1]
        assert not plan.active[-1].any() and not plan.links.used[-1].any() and not plan.works[-1].any()
        first, rows = waves.first.shape[1], plan.participants.shape[1]
        alone, row = 2 * first - rows, np.arange(rows)
        for t in range(waves.waves):
            used, senders = plan.links.used[t, :, 0], plan.links.senders[t, :, 0]
            partner = np.where(row < alone, row, np.where(row < first, row + rows - first, row - rows + first))
            assert np.array_equal(senders, np.where(used, partner, row)) and not used[:alone].any()
            assert np.array_equal(used[alone:first], waves.meets[t]) and np.array_equal(used[first:], waves.meets[t])
            W = np.diag(plan.self_weights[t]) + 0.0
            np.add.at(W, (row, senders), plan.links.weights[t, :, 0])
            assert np.array_equal(
                W, np.where(used, 0.5, 1)[:, None] * np.eye(rows) + 0.5 * used[:, None] * (np.eye(rows)[partner])
            )
            assert np.array_equal(plan.works[t], executed(waves, t)[1])
            assert np.array_equal(plan.elapsed[t], waves.elapsed[t])
            assert np.array_equal(plan.active[t], np.concatenate([waves.acts[t], waves.meets[t]]))
    assert np.array_equal(plan.works, plan.active) and plan.workers == 4
    found = int(np.asarray(both.acts).sum())
    assert abs(found - 45) < 5 * np.sqrt(45)


@pytest.mark.parametrize("seed", range(3))
def test_at_least_four_of_five_places_are_used(seed):
    waves = Waves.poisson(topology.random_regular(1024, 4, seed=seed), horizon=30.0, seed=seed)
    places = waves.acts.size
    assert int(np.asarray(waves.acts).sum()) >= 0.8 * places
    assert waves.works.shape[1] in (64, 128) and waves.meets.shape[1] * 2 == waves.works.shape[1]
    tighter = Waves.poisson(topology.random_regular(1024, 4, seed=seed), horizon=30.0, padding=0.1, seed=seed)
    assert int(np.asarray(tighter.acts).sum()) >= 0.9 * tighter.acts.size or tighter.works.shape[1] == 1
    assert int(np.asarray(tighter.acts).sum()) == int(np.asarray(waves.acts).sum())


def test_the_command_line_has_them():
    waves = Waves.for_nodes(8, apart=True, horizon=5.0)
    assert waves.works.shape[1] == 1 and waves.meets.shape[1] == 1 and waves.first.shape[1] == 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Waves.poisson(topology.exponential(8)), "not symmetric"),
        (lambda: Waves.poisson(GRAPH, gradients_per_second=0.0), "got gradients_per_second=0"),
        (lambda: Waves.poisson(GRAPH, gradients_per_second=-1.0), "got gradients_per_second=-1 of node 0"),
        (lambda: Waves.poisson(GRAPH, meetings_per_second=-1.0), "meetings_per_second"),
        (lambda: Waves.poisson(GRAPH, edge_rates=np.ones(3)), r"got edge_rates of shape \(3,\), need one for each of"),
        (lambda: Waves.poisson(GRAPH, edge_rates=-np.ones(18)), "got edge_rates from -1"),
        (
            lambda: Waves.poisson(GRAPH, width=6),
            "got width=6 with n=9, need 12 nodes for 6 alone and 3 pairs; try width=4",
        ),
        (lambda: Waves.poisson(GRAPH, padding=1.5), "padding"),
        (lambda: Waves.poisson(GRAPH, horizon=-1.0), "horizon"),
        (lambda: Waves.meetings(GRAPH, horizon=1e-9), "got no events"),
        (lambda: Waves.meetings(GRAPH, width=5), "got width=5 with n=9"),
        (lambda: Waves.for_nodes(8, apart=True, push=True), "got apart=True with push=True"),
        (lambda: topology.meeting_constants(topology.ring(1)), "connected"),
        (lambda: topology.meeting_constants(topology.chain(3), edge_rates=np.array([1.0, 0.0])), "connect"),
        (lambda: events.waves(events.Events(*np.zeros((3, 1))), 2, 1, alone=0), "got alone=0 with events of a node"),
        (
            lambda: events.waves(events.Events(*np.arange(3.0)[:, None]), 2, 0, alone=1),
            "got width=0 with events of two",
        ),
    ],
)
def test_bad_input_is_a_sentence(make, words):
    with pytest.raises(checks.InputError, match=words):
        make()
