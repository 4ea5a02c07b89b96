"""Methods without rounds: waves against the same events one at a time in NumPy, and what theory says of them."""

import functools

import beds
import numpy as np
import pytest
from beds import N
from table import LR, X

import jdl
from jdl import algorithms, events
from jdl.schedule import Waves
from jdl.topology import forms, random_regular, ring

pytestmark = pytest.mark.usefixtures("x64")
GRAPH = random_regular(N, 3, seed=1)
HORIZON = 8.0


def planned(graph, seed, law="exponential", horizon=HORIZON):
    links = forms.off_diagonal(graph.weights)
    return events.paired(events.devices(1.0, horizon, graph.n, law, seed=seed), links.indptr, links.indices, (seed, 1))


def waves_of(waves, plan, push=False):
    """The wave of each event: those of the same two nodes are executed in their order."""
    first, second, places = np.asarray(waves.first), np.asarray(waves.second), {}
    for t, slot in np.argwhere(np.asarray(waves.acts)):
        pair = int(first[t, slot]), int(second[t, slot])
        places.setdefault(pair[::-1] if push else pair, []).append(t)
    return [places[pair].pop(0) for pair in zip(plan.node.tolist(), plan.partner.tolist(), strict=True)]


def gradient(problem, rounds):
    """The gradient (x, t, i) of node i on its minibatch of round t."""
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    noise = float(problem.noise) * beds.draws(*b.shape, rounds=rounds + 1)[:, 0]
    return lambda x, t, i: A[i] @ x - b[i] + noise[t, i]


def executed(method, waves, problem, start=X):
    return beds.record(jdl.simulation(problem, method, waves), start, rounds=waves.waves)


PROBLEM = functools.cache(lambda: beds.quadratic(noise=0.3))


@functools.cache
def pairs(seed=0, transfer=None):
    waves = Waves.pairs(GRAPH, horizon=HORIZON, width=3, window_events=24, transfer=transfer, seed=seed)
    if transfer is None:
        return waves, planned(GRAPH, seed)
    links = forms.off_diagonal(GRAPH.weights)
    where = links.indptr, links.indices
    return waves, events.busy_pairs(1.0, transfer, HORIZON, *where, law="exponential", seed=seed)


def ad_psgd(plan, g, waves, x0, lr):
    """Lian et al. 2018, one event at a time in the order of time: models, applied gradients, staleness."""
    x, stale, changes, applied, found = x0.copy(), x0.copy(), np.zeros(len(x0), int), [], []
    for i, j, t in zip(plan.node, plan.partner, waves, strict=True):
        step = g(stale[i], t, i)
        x[[i, j]] = (x[i] + x[j]) / 2
        x[i] -= lr * step
        stale[i] = x[i]
        applied.append(step)
        found.append(changes[i])
        changes[i] = 0
        changes[j] += i != j
    return x, np.array(applied), np.array(found)


@pytest.mark.parametrize("transfer", [None, 0.2])
def test_ad_psgd_in_waves_is_ad_psgd_one_event_at_a_time(transfer):
    """And the mean moves by the applied gradients over n; and gradients are as stale as the plan says."""
    waves, plan = pairs(transfer=transfer)
    when = waves_of(waves, plan)
    assert not np.array_equal(when, np.sort(when))  # in another order
    expected, applied, found = ad_psgd(plan, gradient(PROBLEM(), waves.waves), when, X, LR)
    run = executed(algorithms.ADPSGD(lr=LR), waves, PROBLEM())
    beds.same(run.models[[0, -1]], np.stack([X, expected]), 1e-10)
    np.testing.assert_allclose(run.models[-1].mean(0), X.mean(0) - LR / N * applied.sum(0), rtol=0, atol=1e-11)
    assert np.array_equal(events.staleness(plan), found) and found.max() > 2
    # What the execution counts before each update, and none of the updates.
    counted = np.concatenate([np.zeros((1, N), int), run.nodes.changes])
    executed_staleness = [counted[t, i] for i, t in zip(plan.node, when, strict=True)]
    assert np.array_equal(np.bincount(executed_staleness), np.bincount(found))
    assert run.messages[-1].sum() == 2 * len(plan.node)


def test_ad_psgd_of_one_node_is_sgd_and_of_all_at_once_is_dgd():
    one = beds.quadratic(n=1)
    waves = Waves.pairs(ring(1), law="constant", horizon=20.0)
    run = executed(algorithms.ADPSGD(lr=LR), waves, one, X[:1])
    x, g = X[0], gradient(one, 21)
    for t in range(20):
        x = x - LR * g(x, t, 0)
    beds.same(run.models[-1][0], x)
    # Computations that end together, and exchanges that take no time: where all average at once, nothing is stale.
    ours, theirs = (
        beds.record(jdl.simulation(PROBLEM(), method, GRAPH), X)
        for method in (algorithms.ADPSGD(lr=LR), algorithms.DGD(lr=LR))
    )
    beds.same(ours.models, theirs.models)


def test_equal_speeds_reach_the_limit_of_rounds():
    """On data of one optimum: models agree on it, as those of rounds do."""
    same = beds.same_data(beds.quadratic())
    waves = Waves.pairs(GRAPH, law="constant", horizon=1200.0, width=3)
    ended = executed(algorithms.ADPSGD(lr=0.1), waves, same).models[-1]
    np.testing.assert_allclose(ended, np.broadcast_to(beds.optimum(same), ended.shape), rtol=0, atol=1e-9)


def gossip_learning(plan, g, waves, x0, lr, merge="age"):
    """Ormandi et al. 2013, Hegedus et al. 2019, one event at a time: node i sends to node j. Models and ages."""
    x, age = x0.copy(), np.zeros(len(x0), int)
    for i, j, t in zip(plan.node, plan.partner, waves, strict=True):
        if i != j and merge == "none":
            x[j], age[j] = x[i], age[i]
        elif i != j:
            equal = merge == "mean" or age[i] == age[j]
            own = 0.5 if equal else age[j] / (age[i] + age[j])
            x[j] = own * x[j] + (1 - own) * x[i]
            age[j] = max(age[i], age[j])
        x[j] -= lr * g(x[j], t, j)
        age[j] += 1
    return x, age


@pytest.mark.parametrize("merge", ["age", "mean", "none"])
def test_gossip_learning_in_waves_is_gossip_learning_one_event_at_a_time(merge):
    waves, plan = Waves.push(GRAPH, horizon=HORIZON, width=3, window_events=24), planned(GRAPH, 0)
    when = waves_of(waves, plan, push=True)
    expected, age = gossip_learning(plan, gradient(PROBLEM(), waves.waves), when, X, LR, merge)
    run = executed(algorithms.GossipLearning(lr=LR, merge=merge), waves, PROBLEM())
    beds.same(run.models[[0, -1]], np.stack([X, expected]), 1e-10)
    assert np.array_equal(run.nodes.age[-1], age) and len(set(age.tolist())) > 2
    assert run.messages[-1].sum() == len(plan.node)


def test_gossip_learning_without_a_merge_is_a_random_walk_and_without_steps_copies():
    """Each model is then one of those at the start, and the plan says which."""
    waves, plan = Waves.push(GRAPH, horizon=HORIZON, width=3, window_events=24), planned(GRAPH, 0)
    from_ = np.arange(N)
    for i, j in zip(plan.node, plan.partner, strict=True):
        from_[j] = from_[i]
    run = executed(algorithms.GossipLearning(lr=0.0, merge="none"), waves, PROBLEM())
    np.testing.assert_allclose(run.models[-1], X[from_], rtol=0, atol=1e-12)


def test_gossip_learning_of_one_node_is_sgd():
    one = beds.quadratic(n=1)
    waves = Waves.push(ring(1), law="constant", horizon=20.0)
    run = executed(algorithms.GossipLearning(lr=LR), waves, one, X[:1])
    x, g = X[0], gradient(one, 21)
    for t in range(20):
        x = x - LR * g(x, t, 0)
    beds.same(run.models[-1][0], x)
    assert run.nodes.age[-1].tolist() == [20]
