"""When peers communicate, and how a server draws its clients: laws of the draws, rows of W, memory, and runs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import schedule_cases as cases
from plan_reading import links_into, matrix, run_of

import jdl
from jdl import checks
from jdl import plan as plans
from jdl.checks import InputError
from jdl.engine import sim as simulator
from jdl.schedule import Cyclic, Fixed, GilbertElliott, Matching, PeerSwap, RandomGroups, Sampling, Sleeping
from jdl.schedule.availability import Availability
from jdl.schedule.communication import FinalMerge, Windowed
from jdl.schedule.cyclic_sampling import CyclicSampling
from jdl.schedule.epidemic_local import EpidemicLocal
from jdl.schedule.event_triggered import EventTriggered
from jdl.schedule.hierarchy import Hierarchy
from jdl.schedule.importance import Importance
from jdl.schedule.poisson_sampling import PoissonSampling
from jdl.schedule.power_of_choice import PowerOfChoice
from jdl.schedule.sampling_with_replacement import SamplingWithReplacement
from jdl.topology import complete, exponential, from_weights, one_peer_exponential, ring
from jdl.types import Dense, Schedule, Slots

KEY = jax.random.key(5)
ROW = from_weights([[0.5, 0.25, 0, 0.25], [0, 0.25, 0.75, 0], [0.3, 0, 0.7, 0], [0, 0.5, 0, 0.5]], stochastic="row")
PEERS = {
    "rolls": lambda: Fixed(ring(8).plan("circulant")),
    "matrix": lambda: Fixed(ring(8).plan("dense")),
    "directed": lambda: Fixed.of(exponential(8)),
    "row": lambda: Fixed(ROW.plan("slots")),
    "edges": lambda: EpidemicLocal(6, degree=2),
    "small groups": lambda: RandomGroups.for_nodes(100, degree=1),
    "one group": lambda: Fixed(complete(20).plan("groups")),
    "memory": lambda: PeerSwap.for_nodes(8),
    "sleepers": lambda: Sleeping(Matching(8), 0.4),
    "cycle": lambda: Cyclic.of(one_peer_exponential(8)),
    "one": lambda: Fixed.of(ring(1)),
}


def played(schedule, rounds, key=KEY):
    """Plans, W, copies sent, and memories before each round, stacked."""
    return read(jax.jit(run_of(schedule))(jax.random.split(key, rounds + 1)))


def read(drawn):
    """The same of plans and memories."""
    plan, memory = jax.device_get(drawn)
    return plan, matrix(plan), links_into(plan).sum(axis=-2), memory


def is_silent(plan, W, sent, t):
    np.testing.assert_array_equal(W[t], np.eye(W.shape[1]))
    return not plan.links.used[t].any() and not sent[t].any()


# ---- communication over time -------------------------------------------------------------------------------------


def in_one_program(inner):
    """Six rounds of `periodic` and four of `final_merge`; four of the schedule alone; and two with chosen keys."""

    @jax.jit
    def program(keys):
        def one(memory, inputs):
            plan, new = inner(memory, *inputs)
            return new, plan

        alone = jax.lax.scan(one, inner.init(keys[0]), (jnp.arange(2), jnp.stack([keys[3], keys[6]])))[1]
        return (
            run_of(Windowed(inner, every=3))(keys),
            run_of(FinalMerge(inner, at=2))(keys[:5]),
            run_of(inner)(keys[:5]),
            alone,
        )

    return program(jax.random.split(KEY, 7))


@pytest.mark.slow
def test_silent_rounds_and_a_final_merge_leave_the_other_rounds_as_before(x64):
    """For every form of a plan, with memory and without, with sleepers and without."""

    def check(name):
        inner = PEERS[name]()
        silent, merged, given, alone = in_one_program(inner)
        silent_rounds_are_the_identity_and_the_others_as_before(name, inner, silent, jax.device_get(alone))
        a_final_merge_is_exact_once_and_else_the_schedule(inner, merged, given)

    cases.all_hold(check, [(name,) for name in PEERS])


def silent_rounds_are_the_identity_and_the_others_as_before(name, inner, silent, alone):
    """Keys of talking rounds are the schedule's own, so that its plans are those of the same keys without gaps."""
    talk, (plan, W, sent, memory) = Windowed(inner, every=3), read(silent)
    assert isinstance(talk, Schedule) and not talk.watches and talk.n == inner.n
    before = jax.eval_shape(inner.init, KEY)
    assert (plan.stochastic, plan.symmetric) == (alone.stochastic, alone.symmetric)
    assert jax.tree.structure(memory) == jax.tree.structure(before)
    assert all(is_silent(plan, W, sent, t) for t in (0, 1, 3, 4))
    np.testing.assert_allclose(W[[2, 5]], matrix(alone), rtol=0, atol=1e-15)
    np.testing.assert_array_equal(sent[[2, 5]], links_into(alone).sum(axis=-2))
    if plan.active is not None:
        np.testing.assert_array_equal(plan.active[[2, 5]], alone.active)
    assert name != "small groups" or isinstance(plan.links, Slots)
    assert name != "one group" or isinstance(plan.links, Dense)


def a_final_merge_is_exact_once_and_else_the_schedule(inner, merged, given):
    n, (plan, W, sent, _), (given, same, copies, _) = inner.n, read(merged), read(given)
    np.testing.assert_allclose(W[[0, 1, 3]], same[[0, 1, 3]], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(sent[[0, 1, 3]], copies[[0, 1, 3]])
    np.testing.assert_array_equal(W[2], np.full((n, n), 1 / n))
    np.testing.assert_array_equal(sent[2], n - 1)
    assert isinstance(plan.links, Dense) and (plan.stochastic, plan.symmetric) == (given.stochastic, given.symmetric)
    if given.active is not None:
        assert plan.active[2].all() and not plan.active[[0, 1, 3]].all()
        np.testing.assert_array_equal(plan.active[3], given.active[3])


def test_windows_begin_and_end_where_they_say():
    inner = Cyclic.of(one_peer_exponential(8))
    cycle = played(inner, 3)[1]
    for talk, rounds in (
        (Windowed(inner, until=2), {0: 0, 1: 1}),
        (Windowed(inner, start=2), {2: 0, 3: 1, 4: 2}),
        (Windowed(inner, until=0), {}),
    ):
        plan, W, sent, _ = played(talk, 5)
        for t in range(5):
            if t in rounds:
                np.testing.assert_array_equal(W[t], cycle[rounds[t]])
            else:
                assert is_silent(plan, W, sent, t)
    # The cycle goes on where it stopped: with the same phase in every second round it would never be exact.
    W = played(Windowed(inner, every=2), 6)[1]
    np.testing.assert_allclose(np.linalg.multi_dot(W[::-1]), 1 / 8, atol=1e-7)


def test_two_periods_are_one_program():
    traces = []

    @jax.jit
    def count(talk):
        traces.append(None)
        return jnp.stack([plans.out_degree(talk((), jnp.int32(t), KEY)[0]).sum() for t in range(6)])

    assert count(Windowed(Fixed.of(ring(5)), every=2)).tolist() == [0, 10, 0, 10, 0, 10]
    assert count(Windowed(Fixed.of(ring(5)), every=3)).tolist() == [0, 0, 10, 0, 0, 10]
    assert len(traces) == 1


def equal_hessians(n=8):
    problem = jdl.problems.quadratic(nodes=n, dim=5, condition=4.0, noise=0.0)
    return problem.replace(A=jnp.broadcast_to(problem.A[:1], problem.A.shape))


init = jax.jit(simulator.init)
ended = jax.jit(lambda simulation, x, until: simulator.advance(simulation, simulator.init(simulation, x), until)[0])


def models(simulation, rounds, x):
    sim = ended(simulation, x, jnp.int32(rounds))
    return np.asarray(simulator.models(simulation, sim)), np.asarray(sim.traffic.messages[0])


def test_one_merge_of_isolated_nodes_is_centralised_gradient_descent(x64):
    """Cross-check 3: equal Hessians, whatever W was before; and not so where Hessians differ."""
    same, rounds, lr = equal_hessians(), 30, 0.1
    X = np.random.default_rng(1).standard_normal((8, 5))
    silent = Windowed(Fixed.of(ring(8)), until=0)

    def central(problem):
        x, A, b = X.mean(0), np.asarray(problem.A).mean(0), np.asarray(problem.b).mean(0)
        for _ in range(rounds):
            x = x - lr * (A @ x - b)
        return x

    for talk, before in ((silent, 0), (Matching(8), rounds - 1)):
        built = jdl.simulation(same, jdl.algorithms.DPSGD(lr=lr), FinalMerge(talk, at=rounds - 1))
        x, messages = models(built, rounds, X)
        np.testing.assert_allclose(x, np.broadcast_to(central(same), x.shape), rtol=0, atol=1e-12)
        np.testing.assert_array_equal(messages, before + 7)
    other = jdl.problems.quadratic(nodes=8, dim=5, condition=4.0, noise=0.0)
    built = jdl.simulation(other, jdl.algorithms.DPSGD(lr=lr), FinalMerge(silent, at=rounds - 1))
    assert np.abs(models(built, rounds, X)[0] - central(other)).max() > 1e-3


def test_periodic_averages_of_single_steps_are_local_steps(x64):
    """FedAvg with H local steps is D-PSGD with W = I, ..., I, J."""
    problem, H = jdl.problems.quadratic(nodes=6, dim=3, noise=0.0), 4
    x = np.random.default_rng(2).standard_normal(3)
    peers = jdl.simulation(problem, jdl.algorithms.DPSGD(lr=0.1), Windowed(Fixed.of(complete(6)), every=H))
    fedavg = jdl.simulation(problem, jdl.algorithms.FedAvg(lr=0.1, local_steps=H, weighted=False))
    after, messages = models(peers, 5 * H, x)
    np.testing.assert_allclose(after, np.broadcast_to(models(fedavg, 5, x)[0], after.shape), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(messages, 5 * 5)


def test_adaptive_talks_when_models_have_come_apart(x64):
    """The rounds in which it talks, and the models, against the rule in plain NumPy."""
    problem, lr, threshold, rounds = jdl.problems.quadratic(nodes=8, dim=2, noise=0.0), 0.1, 0.05, 25
    inner = Cyclic.of(one_peer_exponential(8))
    built = jdl.simulation(problem, jdl.algorithms.DPSGD(lr=lr), EventTriggered(inner, threshold))
    X = np.zeros((8, 2))

    @jax.jit
    def run(sim):
        def one(sim, _):
            sim, _ = simulator.step(built, sim)
            return sim, (simulator.models(built, sim), sim.traffic.messages[0])

        return jax.lax.scan(one, sim, None, length=rounds)[1]

    ours, messages = jax.tree.map(np.asarray, run(init(built, X)))
    A, b, cycle = np.asarray(problem.A), np.asarray(problem.b), played(inner, 3)[1]
    talked, distance = 0, 0.0
    for t in range(rounds):
        X = X - lr * (np.einsum("nij,nj->ni", A, X) - b)
        if distance > threshold:
            X, talked = cycle[talked % 3] @ X, talked + 1
        distance = np.sum((X - X.mean(0)) ** 2) / 8
        np.testing.assert_allclose(ours[t], X, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(messages[t], talked)
    assert 3 < talked < rounds - 3


def test_wrappers_refuse_servers_and_what_is_no_schedule():
    for make in (lambda s: Windowed(s, every=2), lambda s: FinalMerge(s, 2), lambda s: EventTriggered(s, 0.1)):
        with pytest.raises(InputError, match="schedule with a server, need one between peers"):
            jdl.simulation(jdl.problems.quadratic(4), jdl.algorithms.FedAvg(), make(Sampling(4, 2)))
        with pytest.raises(InputError, match="need a schedule"):
            make(ring(4))
    with pytest.raises(InputError, match="got every=0"):
        Windowed(Matching(4), every=0)


# ---- hierarchy ---------------------------------------------------------------------------------------------------


def test_hierarchy_multiplies_by_its_two_levels(x64):
    n = 8

    def check(clusters, heads):
        plan, W, sent, _ = played(Hierarchy.for_nodes(n, clusters, 3, heads), 6)
        cluster = np.arange(n) * clusters // n if np.ndim(clusters) == 0 else np.array(clusters)
        member = np.equal.outer(np.arange(cluster.max() + 1), cluster).astype(float)
        mean = member / member.sum(axis=1, keepdims=True)
        # Clusters average, heads mix, everybody takes what its head has.
        mix = member.sum(axis=1) / n * np.ones((len(member), 1)) if heads is None else heads.weights.toarray()
        for t in range(6):
            expected = member.T @ (mix @ mean if t % 3 == 2 else mean)
            np.testing.assert_allclose(W[t], expected, rtol=0, atol=1e-15)
            np.testing.assert_array_equal(sent[t], ((expected != 0) & ~np.eye(n, dtype=bool)).sum(axis=0))
        unequal = heads is not None and len(set(member.sum(axis=1))) > 1
        assert plan.stochastic == ("row" if unequal else "doubly") and plan.symmetric == (not unequal)
        if plan.stochastic == "doubly":
            np.testing.assert_allclose(W.sum(axis=1), 1, rtol=0, atol=1e-14)

    uneven = [0, 0, 0, 1, 1, 2, 2, 2]
    given = [(4, None), ([0, 2, 1, 0, 2, 2, 2, 0], None), (4, ring(4)), (uneven, ring(3)), (1, None), (8, None)]
    cases.all_hold(check, given)


def test_hierarchical_fedavg(x64):
    """H local steps, the mean at the edge, and every third time the mean in the cloud, in plain NumPy."""
    problem, H, lr, x = jdl.problems.quadratic(nodes=6, dim=3, noise=0.0), 2, 0.1, np.ones(3)
    built = jdl.simulation(problem, jdl.algorithms.DPSGD(lr=lr, local_steps=H), Hierarchy.for_nodes(6, 2, period=3))
    A, b, X = np.asarray(problem.A), np.asarray(problem.b), np.tile(x, (6, 1))
    for t in range(7):
        for _ in range(H):
            X = X - lr * (np.einsum("nij,nj->ni", A, X) - b)
        X[:3], X[3:] = X[:3].mean(0), X[3:].mean(0)
        if t % 3 == 2:
            X[:] = X.mean(0)
    np.testing.assert_allclose(models(built, 7, x)[0], X, rtol=0, atol=1e-13)
    assert np.abs(X[0] - X[5]).max() > 1e-3


def test_hierarchy_refuses_what_is_no_partition():
    for given, said in ((5, "each needs a node"), ([0, 2, 2, 0], "none left out"), ([0, 0, 1], "need 4 whole numbers")):
        with pytest.raises(InputError, match=said):
            Hierarchy.for_nodes(4, given)
    with pytest.raises(InputError, match="heads of 3 nodes and 2 clusters"):
        Hierarchy.for_nodes(4, 2, heads=ring(3))


# ---- clients of a server -----------------------------------------------------------------------------------------


def draws(schedule, count, memory=()):
    """Plans of `count` independent keys, and f[count, n]: the weight of each node in each."""
    made = jax.jit(jax.vmap(lambda key: schedule(memory, jnp.int32(0), key)[0]))
    plan = jax.tree.map(np.asarray, made(jax.random.split(KEY, count)))
    ids = plan.participants
    if ids is None:
        return plan, plan.links.weights
    assert np.all(np.diff(ids, axis=1) > 0) and ids.min() >= 0 and ids.max() < schedule.n  # unique: rows are scattered
    weights = np.zeros((count, schedule.n))
    np.put_along_axis(weights, ids, plan.links.weights, axis=1)
    return plan, weights


@pytest.mark.parametrize(("n", "m", "p"), [(4, 3, None), (3, 5, [1, 2, 5]), (4, 2, [0, 3, 1, 0])])
def test_draws_with_replacement_are_multinomial(x64, n, m, p):
    """Every outcome's frequency, enumerated: all n^m draws."""
    count = 20_000
    schedule = SamplingWithReplacement.for_nodes(n, m, p)
    plan, times = draws(schedule, count)
    p = np.ones(n) / n if p is None else np.array(p) / np.sum(p)
    assert plan.participants.shape == (count, min(n, m)) and plan.stochastic == "row"
    np.testing.assert_array_equal(plan.links.used, plan.links.weights > 0)
    np.testing.assert_array_equal(plan.active, plan.links.used)
    np.testing.assert_array_equal(times.sum(axis=1), m)
    expected = {}
    for who in itertools.product(range(n), repeat=m):
        outcome = tuple(np.bincount(who, minlength=n))
        expected[outcome] = expected.get(outcome, 0) + np.prod(p[list(who)])
    found, often = np.unique(times.astype(int), axis=0, return_counts=True)
    found = dict(zip(map(tuple, found.tolist()), often / count, strict=True))
    assert set(found) <= {outcome for outcome, chance in expected.items() if chance > 0}
    outcomes = list(expected)
    assert cases.often(np.array([found.get(o, 0) for o in outcomes]), np.array([expected[o] for o in outcomes]), count)
    assert schedule.init(KEY) == ()


def test_importance_is_unbiased_before_weights_are_normalised(x64):
    """E w_k = 1/n exactly, by enumeration of all draws; divided by sum w there is a bias, and of this size."""
    n, m, q, value = 3, 2, np.array([0.2, 0.3, 0.5]), np.array([1.0, -2.0, 4.0])
    count = 40_000
    plan, weights = draws(Importance.for_nodes(n, m, 10 * q), count)
    mean, ratio = 0.0, 0.0
    for who in itertools.product(range(n), repeat=m):
        w = np.bincount(who, minlength=n) / (n * m * q)
        mean, ratio = mean + np.prod(q[list(who)]) * w, ratio + np.prod(q[list(who)]) * (w @ value) / w.sum()
    np.testing.assert_allclose(mean, 1 / n, rtol=0, atol=1e-15)
    for k in range(n):
        assert cases.close(weights[:, k], 1 / n)
    assert cases.close(weights @ value / weights.sum(axis=1), ratio)
    assert abs(ratio - value.mean()) > 0.05
    np.testing.assert_array_equal(plan.active, plan.links.used)
    with pytest.raises(InputError, match="probability 0"):
        Importance.for_nodes(3, 2, [1, 0, 1])


def test_a_client_drawn_twice_counts_twice_and_one_not_drawn_sleeps(x64):
    """One round of FedAvg against the sum over draws, and what undrawn clients would have sent."""
    problem, x = jdl.problems.quadratic(nodes=3, dim=2, noise=0.0), np.array([1.0, -1.0])
    talk = SamplingWithReplacement.for_nodes(3, 5)
    built = jdl.simulation(problem, jdl.algorithms.FedAvg(lr=0.1, weighted=False), talk)
    begin = jax.jit(simulator.init)(built, x)

    @jax.jit
    def one(key):
        simulation = built.replace(key=key)
        plan, _ = talk((), 0, jdl.sim.key_of(key, "schedule", 0))
        return plan.links.weights, simulator.step(simulation, begin)[0]

    seen = set()
    for seed in range(12):
        times, after = jax.device_get(one(jax.random.key(seed)))
        g = np.einsum("nij,j->ni", np.asarray(problem.A), x) - np.asarray(problem.b)
        np.testing.assert_allclose(after.server, x - 0.1 * times @ g / 5, rtol=0, atol=1e-14)
        np.testing.assert_array_equal(after.traffic.messages[0], [*(times > 0), np.sum(times > 0)])
        seen.add(tuple(times))
    assert any(0 in times for times in seen) and len(seen) > 3


def test_cyclic_sampling_visits_all_equally_often():
    talk = CyclicSampling(7, 3)
    (plan, memory), visits = jax.device_get(jax.jit(run_of(talk))(jax.random.split(KEY, 9))), np.zeros(7, int)
    for t in range(7):
        expected = np.sort(np.arange(3 * t, 3 * t + 3) % 7)
        np.testing.assert_array_equal(plan.participants[t], expected)
        visits[expected] += 1
    assert memory.dtype == jnp.int32 and int(memory[7]) == 0
    np.testing.assert_array_equal(visits, 3)
    with pytest.raises(InputError, match="a turn needs at most n"):
        CyclicSampling(3, 4)


def test_power_of_choice_picks_the_worst_of_its_candidates(x64):
    """The law of the pick, enumerated over all ordered draws of candidates without replacement."""
    n, m, d, count = 5, 2, 3, 20_000
    p, losses = np.array([0.1, 0.1, 0.2, 0.2, 0.4]), np.array([np.inf, 0.5, np.inf, 0.9, 0.1])
    plan, _ = draws(PowerOfChoice.for_nodes(n, m, d, p), count, jnp.asarray(losses))
    expected = {}
    for drawn in itertools.permutations(range(n), d):
        chance, left = 1.0, 1.0
        for k in drawn:
            chance, left = chance * p[k] / left, left - p[k]
        picked = sorted(drawn, key=lambda k: -losses[k])[:m]  # stable: at a tie the one drawn first
        expected[tuple(sorted(picked))] = expected.get(tuple(sorted(picked)), 0) + chance
    found, often = np.unique(plan.participants, axis=0, return_counts=True)
    found = dict(zip(map(tuple, found.tolist()), often / count, strict=True))
    assert set(found) == set(expected)
    assert cases.often(np.array([found[o] for o in expected]), np.array(list(expected.values())), count)


def test_power_of_choice_remembers_the_loss_of_those_it_served(x64):
    problem, n = jdl.problems.quadratic(nodes=6, dim=2, noise=0.0), 6
    talk = PowerOfChoice.for_nodes(n, 2, 6)
    built = jdl.simulation(problem, jdl.algorithms.FedAvg(lr=0.05, weighted=False), talk)
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    sim, one = init(built, np.ones(2)), jax.jit(lambda sim: simulator.step(built, sim)[0])
    of_node = jax.jit(lambda x, i: problem.loss(x, problem.full_batch(i))[0])
    memory = np.full(n, np.inf)
    np.testing.assert_array_equal(sim.schedule_state, memory)
    for _ in range(8):
        x, new = np.asarray(sim.server), one(sim)
        # With all as candidates: the highest remembered losses; at first, when all are infinite, any two not seen yet.
        served = np.flatnonzero(np.asarray(new.traffic.messages[0] - sim.traffic.messages[0])[:n])
        assert len(served) == 2 and memory[served].min() >= np.delete(memory, served).max()
        np.testing.assert_allclose(new.schedule_state, memory, rtol=1e-12)
        memory[served] = [float(of_node(x, i)) for i in served]
        np.testing.assert_array_equal(np.flatnonzero(new.seen.heard), served)
        np.testing.assert_allclose(new.seen.values["loss"][served], memory[served], rtol=1e-12)
        sim = new
    assert np.all(np.isfinite(memory)) and A.shape == (6, 2, 2) and b.shape == (6, 2)
    for bad in ((2, 1), (3, 7)):
        with pytest.raises(InputError, match="need m <= d <= n"):
            PowerOfChoice.for_nodes(6, *bad)
    with pytest.raises(InputError, match="only 2 nodes have"):
        PowerOfChoice.for_nodes(3, 1, 3, [1, 0, 1])


def test_workers_come_and_go_as_they_are_told(x64):
    for alive, expected in (
        ([3, 1, 0], [[1, 1, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0]]),
        (np.array([[True, False, True], [False, True, False]]), [[1, 0, 1], [0, 1, 0], [0, 1, 0], [0, 1, 0]]),
    ):
        pool = Availability.for_nodes(3, alive)
        plan_at = jax.jit(lambda t, pool=pool: pool((), t, KEY)[0])
        for t, row in enumerate(expected):
            plan = plan_at(jnp.int32(t))
            for found in (plan.active, plan.links.used, plan.links.weights != 0):
                np.testing.assert_array_equal(found, np.array(row, bool))
    plan, weights = draws(Availability.for_nodes(3, 0.7), 20_000)
    assert cases.often(weights.mean(axis=0), 0.7, 20_000)
    assert cases.often(np.mean(weights.sum(axis=1) == 0), 0.3**3, 20_000)
    for bad in (np.ones((2, 4), bool), "all", [0.5, 0.5]):
        with pytest.raises(InputError, match="got alive"):
            Availability.for_nodes(3, bad)
    with pytest.raises(InputError, match="need 0 to n workers"):
        Availability.for_nodes(3, [4])
    with pytest.raises(InputError, match="probability"):
        checks.fields(Availability.for_nodes(3, 1.5))


def test_a_round_without_workers_changes_nothing_and_costs_nothing(x64):
    problem, x = jdl.problems.quadratic(nodes=3, dim=2, noise=0.0), np.ones(2)
    built = jdl.simulation(problem, jdl.algorithms.FedAvg(lr=0.1), Availability.for_nodes(3, [0]))
    after, messages = models(built, 3, x)
    np.testing.assert_array_equal(after[0], x)
    np.testing.assert_array_equal(messages, 0)


CLIENTS = {
    "replacement": lambda: SamplingWithReplacement.for_nodes(6, 4),
    "importance": lambda: Importance.for_nodes(6, 4, np.arange(1, 7)),
    "cyclic": lambda: CyclicSampling(6, 4),
    "power": lambda: PowerOfChoice.for_nodes(6, 2, 4),
    "workers": lambda: Availability.for_nodes(6, 0.5),
    "poisson": lambda: PoissonSampling(6, 0.5, most=4),
    "periodic markov": lambda: Windowed(GilbertElliott.for_nodes(8), every=2),
}


def test_memory_keeps_its_shape_and_parts_are_checked():
    for name, make in CLIENTS.items():
        schedule = make()
        before = jax.eval_shape(schedule.init, KEY)
        _, after = jax.eval_shape(schedule, before, jax.ShapeDtypeStruct((), jnp.int32), KEY)
        assert before == after and isinstance(schedule, Schedule), name
        assert set(getattr(schedule, "watches", ())) == ({"loss"} if name == "power" else set()), name
        checks.fields(schedule)


def test_clients_come_independently_and_chance_decides_among_too_many():
    """Of 20,000 rounds: independent, of the given rate; with room for two, each set of three loses one at random."""

    def came(schedule):
        def row(key):
            plan, _ = schedule((), jnp.int32(0), key)
            return jnp.zeros(4, bool).at[plan.participants].max(plan.links.used), plan.participants

        return jax.jit(jax.vmap(row))(jax.random.split(KEY, 20_000))

    there, _ = came(PoissonSampling(4, 0.4))
    there = np.asarray(there, float)
    expected = np.where(np.eye(4, dtype=bool), 0.4, 0.16)
    assert np.abs(there.T @ there / 20_000 - expected).max() < 5 * np.sqrt(0.25 / 20_000)
    few, ids = came(PoissonSampling(4, 0.4, most=2))
    few, ids = np.asarray(few), np.asarray(ids)
    assert ids.shape[1] == 2 and np.all(np.diff(ids) > 0) and few.sum(axis=1).max() == 2
    np.testing.assert_array_equal(few.sum(axis=1), np.minimum(there.sum(axis=1), 2))
    assert np.abs(few.mean(axis=0) - few.mean()).max() < 5 * np.sqrt(0.25 / 20_000)
    with pytest.raises(InputError, match="most=5"):
        PoissonSampling(4, 0.4, most=5)
    for rate, meant in ((4, "0.25"), (3, "0.1875"), (16, "1")):
        with pytest.raises(
            InputError, match=f"got rate={rate}, .* 16 nodes, .*for {rate} clients .* try rate={meant}$"
        ):
            PoissonSampling(16, rate)
