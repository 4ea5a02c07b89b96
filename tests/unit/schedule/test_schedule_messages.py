"""Messages as plans: who acts, sends and reads, and runs against the same acts one at a time in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import after

import jdl
from jdl import algorithms, checks, events, topology
from jdl.schedule import Crashes, Messages, Sleeping, Waves
from jdl.schedule.messages import KINDS
from jdl.topology import forms

N, DIM, HORIZON, LR = 9, 3, 12.0, 0.1
RING = topology.random_regular(N, 4, seed=2)
DIRECTED = topology.exponential(N)
LATENCY = np.random.default_rng(5).uniform(0.0, 2.0, (N, N))
START = np.random.default_rng(1).standard_normal((N, DIM))
MORE = {"tokens": {"capacity": 3, "reactivity": 2}, "split": {"most": 2}, "walks": {"tokens": 3}}
WAY = {"latency": LATENCY, "transfer": 0.1}


def made(kind, **changes):
    graph = RING if kind in ("pull", "push_pull") else DIRECTED
    more = {"horizon": HORIZON, "width": 3, "window_events": 40, "seed": 4, **WAY, **MORE.get(kind, {})}
    return getattr(Messages, kind)(graph, **{**more, **changes})


@functools.cache
def acts_of(kind):
    """The acts that such a schedule plans."""
    links = forms.off_diagonal(RING.weights if kind in ("pull", "push_pull") else DIRECTED.weights)
    links = links if kind in ("pull", "push_pull", "publish") else links.T.tocsr()
    where, clocks = (links.indptr, links.indices, HORIZON), events.devices(1.0, HORIZON, N, "exponential", seed=4)
    match kind:
        case "walks":
            return events.walks(1.0, *where, 3, "exponential", seed=4, **WAY)
        case "publish":
            return events.publish(clocks, *where, **WAY)
        case "tokens":
            return events.tokens(clocks, *where, "randomized", 3, 2, seed=(4, 1), **WAY)[0]
        case "split":
            return events.split(clocks, *where, most=2, seed=(4, 1), **WAY)[0]
    return getattr(events, kind)(clocks, *where, seed=(4, 1), **WAY)


@functools.cache
def plans():
    """The plans of all waves, and of one more, of all kinds: one program."""
    all_kinds = {kind: made(kind) for kind in KINDS}
    each = lambda s: jax.vmap(lambda t: s((), t, None)[0])(jnp.arange(s.waves + 1))
    found = jax.jit(lambda schedules: {kind: each(s) for kind, s in schedules.items()})(all_kinds)
    return {kind: (all_kinds[kind], jax.tree.map(np.asarray, found[kind])) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_waves_are_the_acts_that_were_planned(kind):
    (schedule, plan), acts = plans()[kind], acts_of(kind)
    places, mine = [None] * schedule.places, [[] for _ in range(N)]
    for t in range(schedule.waves):
        ids, active, works = plan.participants[t], plan.active[t], plan.works[t]
        assert (
            len(set(ids.tolist())) == len(ids) and not works[schedule.workers :].any() and not (works & ~active).any()
        )
        used, weights, kept = plan.links.used[t], plan.links.weights[t], plan.self_weights[t]
        assert not (used & ~active[:, None]).any() and np.all(weights[~used] == 0)
        sends = plan.mail.copies[t] > 0
        if kind == "split":
            assert np.array_equal(kept, np.where(sends, 0.5, 1)) and np.all(weights[used] == 0.5)
        else:
            np.testing.assert_allclose(kept + weights.sum(1), 1, atol=1e-6)
        heard = [[places[p] for p in plan.mail.reads[t, row][used[row]]] for row in range(len(ids))]
        for row in np.flatnonzero(active):
            i = ids[row]
            senders, numbers = [who for who, _ in heard[row]], [number for _, number in heard[row]]
            assert senders == plan.links.speakers[t, row][used[row]].tolist()
            mine[i].append((bool(works[row]), float(plan.mail.copies[t, row]), senders, numbers, plan.elapsed[t, row]))
            if kind == "publish":
                np.testing.assert_allclose(weights[row][used[row]], DIRECTED.weights.toarray()[i, senders], rtol=1e-6)
            elif kind != "split":
                assert np.all(weights[row][used[row]] == (1.0 if kind == "walks" else 0.5))
        for row in np.flatnonzero(active):
            place = plan.mail.posts[t, row]
            if place < schedule.places:
                assert sends[row]
                places[place] = int(ids[row]), len(mine[ids[row]]) - 1
        assert np.all(plan.mail.posts[t][~active] == schedule.places)
    # Of each node: does it work, how many copies does it send, and which acts of whom sent what it reads.
    sent, rank = np.flatnonzero(acts.posts >= 0), np.zeros(len(acts.node), int)
    for i in range(N):
        own = np.flatnonzero(acts.node == i)
        rank[own] = np.arange(own.size)
    for i in range(N):
        own = np.flatnonzero(acts.node == i)
        assert len(mine[i]) == own.size
        for (works, copies, senders, numbers, _), act in zip(mine[i], own, strict=True):
            source = sent[acts.reads[act][acts.reads[act] >= 0]]
            assert (works, copies) == (acts.works[act], acts.copies[act])
            assert senders == acts.node[source].tolist() and numbers == rank[source].tolist()
        elapsed = np.array([row[-1] for row in mine[i]])
        np.testing.assert_allclose(np.cumsum(elapsed), acts.seconds[own], rtol=1e-5)
    # How old is what is read, in seconds of the execution.
    when = [np.cumsum([row[-1] for row in rows]) for rows in mine]
    ages = [
        when[i][act] - when[j][number]
        for i, rows in enumerate(mine)
        for act, (_, _, senders, numbers, _) in enumerate(rows)
        for j, number in zip(senders, numbers, strict=True)
    ]
    seconds = events.mail_ages(acts)[0]
    np.testing.assert_allclose(np.sort(ages), np.sort(seconds[acts.reads >= 0]), rtol=0, atol=2e-5)
    assert not plan.active[-1].any() and not plan.links.used[-1].any() and not plan.mail.copies[-1].any()
    assert plan.stochastic == ("column" if kind == "split" else "row") and not plan.symmetric


# ---- methods, one act at a time ------------------------------------------------------------------------------------


def gradient(problem, x, i):
    return np.asarray(problem.A[i]) @ x - np.asarray(problem.b[i])


def dgd(problem, x, i, works, heard, weights, sends):
    step = LR * gradient(problem, x, i) if works else 0
    return x, (1 - sum(weights)) * x + sum(w * y for w, y in zip(weights, heard, strict=True)) - step


def cta(problem, x, i, works, heard, weights, sends):
    mean = (1 - sum(weights)) * x + sum(w * y for w, y in zip(weights, heard, strict=True))
    return x, mean - (LR * gradient(problem, mean, i) if works else 0)


def gossip_learning(problem, state, i, works, heard, weights, sends):
    x, age = state
    for y, other in heard:
        own = 0.5 if age == other else age / (age + other)
        x, age = own * x + (1 - own) * y, max(age, other)
    return state, ((x - LR * gradient(problem, x, i), age + 1) if works else (x, age))


def push_sum(problem, state, i, works, heard, weights, sends):
    x, w = state
    x = x - LR * gradient(problem, x / w, i)
    kept = 0.5 if sends else 1.0
    new = kept * x + 0.5 * sum((y for y, _ in heard), np.zeros(DIM)), kept * w + 0.5 * sum(v for _, v in heard)
    return (x, w), new


def one_at_a_time(problem, acts, method, states, weights=None):
    """The states after all acts, in the order of time; messages are kept in a dict."""
    sent = {}
    for act, i in enumerate(acts.node):
        slots = np.flatnonzero(acts.reads[act] >= 0)
        heard = [sent[int(acts.reads[act, slot])] for slot in slots]
        given = [weights[i, slot] for slot in slots] if weights is not None else [0.5] * len(slots)
        sends = acts.posts[act] >= 0
        message, states[i] = method(problem, states[i], i, acts.works[act], heard, given, sends)
        if sends:
            sent[int(acts.posts[act])] = message
    return states, sent


def run(algorithm, schedule, rounds=None):
    problem = jdl.problems.quadratic(N, DIM, seed=2)
    built = jdl.simulation(problem, algorithm, schedule)
    return problem, after(built, schedule.waves if rounds is None else rounds, jnp.asarray(START))[0]


def executed(kind):
    """A run in waves, and what is expected of its models."""
    acts, schedule = acts_of(kind), made(kind)
    copies = lambda: [x.copy() for x in START]
    if kind == "split":
        problem, state = run(algorithms.PushSum(lr=LR), schedule)
        states, sent = one_at_a_time(problem, acts, push_sum, [(x, 1.0) for x in copies()])
        np.testing.assert_allclose(state.nodes.w, [w for _, w in states], rtol=0, atol=1e-12)
        expected = [x / w for x, w in states]
        found = np.asarray(state.nodes.x / state.nodes.w[:, None])
    elif kind in ("publish", "walks"):
        method, name = (dgd, "DGD") if kind == "publish" else (cta, "CTA")
        problem, state = run(getattr(algorithms, name)(lr=LR), schedule)
        weights = np.asarray(schedule.weights)
        expected, sent = one_at_a_time(problem, acts, method, copies(), weights)
        found = state.nodes.x
    else:
        problem, state = run(algorithms.GossipLearning(lr=LR), schedule)
        states, sent = one_at_a_time(problem, acts, gossip_learning, [(x, 0) for x in copies()])
        expected, found = [x for x, _ in states], state.nodes.x
        assert state.nodes.age.tolist() == [age for _, age in states]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)
    assert int(state.traffic.messages[0].sum()) == acts.copies.sum()
    return acts, schedule, state, sent


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", ["push", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:-2])])
def test_a_run_in_waves_is_one_act_at_a_time(kind):
    executed(kind)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_models_that_walk_replace_those_of_the_nodes():
    _, schedule, _, _ = executed("walks")
    assert schedule.places == 3


@pytest.mark.usefixtures("x64")
def test_masses_of_nodes_and_messages_are_kept():
    """At every window; and without steps the sum of all models stays what it is."""
    _, schedule, state, _ = executed("split")
    _, plan = plans()["split"]
    problem = jdl.problems.quadratic(N, DIM, seed=2)
    built = jdl.simulation(problem, algorithms.PushSum(lr=0.0), schedule)
    waiting = np.zeros(schedule.places, bool)
    for t in range(schedule.waves + 1):
        if t % (2 * schedule.waves_per_window) == 0 or t == schedule.waves:
            state = after(built, t, jnp.asarray(START))[0]
            mail = jax.tree.map(lambda x: 0.5 * np.asarray(x)[waiting].sum(0), state.exchange_state[0].message.content)
            np.testing.assert_allclose(state.nodes.w.sum() + mail["w"], N, rtol=1e-12)
            np.testing.assert_allclose(np.asarray(state.nodes.x).sum(0) + mail["x"], START.sum(0), rtol=0, atol=1e-12)
        if t < schedule.waves:
            waiting[plan.mail.reads[t][plan.links.used[t]]] = False
            waiting[plan.mail.posts[t][plan.mail.posts[t] < schedule.places]] = True
    assert 2 < waiting.sum() <= schedule.places < 5 * N


@pytest.mark.usefixtures("x64")
def test_equal_speeds_that_publish_are_dgd_with_late_neighbours():
    """x_k = diag(W) x_{k-1} + (W - diag(W)) x_{k-2} - lr g(x_{k-1}); at first a node has its own model alone."""
    schedule = Messages.publish(DIRECTED, law="constant", horizon=20.0, latency=0.9, width=N, window_seconds=1.0)
    assert schedule.waves == 20 and schedule.places <= 2 * N
    problem, state = run(algorithms.DGD(lr=LR), schedule)
    W = DIRECTED.weights.toarray()
    own = np.diag(np.diag(W))
    g = lambda x: np.stack([gradient(problem, x[i], i) for i in range(N)])
    before, x = START, START - LR * g(START)
    for _ in range(19):
        before, x = x, own @ x + (W - own) @ before - LR * g(x)
    np.testing.assert_allclose(state.nodes.x, x, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_messages_that_take_no_time_are_pushes_in_waves():
    schedules = made("push", latency=0.0, transfer=0.0), Waves.push(DIRECTED, horizon=HORIZON, width=3, seed=4)
    ours, theirs = (run(algorithms.GossipLearning(lr=LR), schedule)[1].nodes for schedule in schedules)
    np.testing.assert_allclose(ours.x, theirs.x, rtol=0, atol=1e-12)
    assert ours.age.tolist() == theirs.age.tolist()


@pytest.mark.slow
def test_a_run_shows_planned_seconds_and_resumes(tmp_path):
    schedule = made("push", window_events=None, window_seconds=3.0)
    window = schedule.waves_per_window
    problem = jdl.problems.quadratic(N, DIM)
    parts = {"problem": problem, "algorithm": algorithms.GossipLearning(lr=LR), "topology": schedule, "progress": False}
    whole = jdl.run(**parts, rounds=4 * window, eval_every=window)
    assert whole.history.simulated_seconds.tolist() == [0, 3, 6, 9, 12]
    part = {**parts, "run_dir": tmp_path / "run", "eval_every": window}
    jdl.run(**part, rounds=2 * window)
    again = jdl.run(**part, rounds=4 * window, resume=True)
    for one, other in zip(jax.tree.leaves(again.models), jax.tree.leaves(whole.models), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_few_nodes(kind):
    for n in (1, 2, 3):
        graph = topology.complete(n)
        schedule = getattr(Messages, kind)(graph, horizon=30.0)
        assert schedule.n == n and (schedule.places > 0) == (n > 1) and np.asarray(schedule.works).any()
        assert Messages.for_nodes(4, degree=2, kind=kind, horizon=20.0).n == 4


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: made("push_pull").push_pull(DIRECTED), "not symmetric"),
        (lambda: made("push", width=5), "got width=5 with n=9"),
        (lambda: made("split", width=10), "got width=10 with n=9"),
        (lambda: made("push", seconds_per_step=-1.0), "got seconds_per_step=-1"),
        (lambda: Messages.publish(topology.weighted(topology.star(N), "column")), "rows do not sum to one"),
        (
            lambda: Messages.push(topology.from_weights(np.eye(3), allow_disconnected=True)),
            "got 3 nodes without neighbours",
        ),
        (lambda: Messages.for_nodes(8, kind="shout"), "shout"),
    ],
)
def test_bad_input_is_a_sentence(make, words):
    with pytest.raises(checks.InputError, match=words):
        make()


def test_faults_of_rounds_do_not_wrap_messages_that_are_under_way():
    messages = Messages.publish(topology.ring(4), horizon=3.0)
    for wrap in (lambda one: Sleeping(one, 0.1), Crashes):
        with pytest.raises(checks.InputError, match=r"over Messages, whose messages are under way .* away="):
            wrap(messages)


def test_messages_that_never_arrive_are_noted():
    with pytest.warns(checks.Note, match="no message arrives before the horizon"):
        Messages.publish(topology.ring(4), horizon=3.0, latency=9.0)


def test_methods_that_need_rounds_or_other_weights_are_refused():
    problem = jdl.problems.quadratic(N, DIM)
    for kind, name, words in (
        ("push", "FedAvg", "server"),
        ("push", "D2", "symmetric|doubly"),
        ("publish", "PushSum", "column_stochastic"),
        ("split", "DGD", "row_stochastic"),
    ):
        with pytest.raises(checks.InputError, match=words):
            jdl.simulation(problem, getattr(algorithms, name)(), made(kind))
