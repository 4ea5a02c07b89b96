"""Trainers and aggregators by a hash: who they are, and federated averaging without a server, with failures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import schedule_cases as cases
from plan_reading import awake, faults, links_into

import jdl
from jdl.checks import InputError
from jdl.engine import sim as simulator
from jdl.schedule import Modest

KEY, LR = jax.random.key(11), 0.05


def trainers_of(plan):
    """bool[runs, iterations, n]: nobody computes in odd rounds."""
    works = np.asarray(plan.works)
    assert not works[:, 1::2].any()
    return works[:, ::2]


def test_samples_are_uniform_and_all_nodes_know_them(x64):
    n, s, runs, length = 10, 3, 20, 60
    made = cases.rounds(Modest(n, trainers=s), runs, KEY, length).plan
    chosen = trainers_of(made).reshape(-1, n)
    assert np.all(chosen.sum(axis=1) == s)
    count = len(chosen)
    expected = count * s / n
    # Chi-square over nodes, and over pairs, with 9 and 44 degrees of freedom: means 9 and 44 but for sampling without
    # replacement; five standard deviations above.
    assert np.sum((chosen.sum(axis=0) - expected) ** 2) / (expected * (1 - s / n)) < 9 + 5 * np.sqrt(2 * 9)
    pairs = np.einsum("ri,rj->ij", chosen.astype(int), chosen.astype(int))[np.triu_indices(n, 1)]
    assert cases.often(pairs / count, np.full(45, s * (s - 1) / (n * (n - 1))), count)
    # Other draws of a run leave the samples as they are: they follow from the hash alone.
    talk = Modest(n, trainers=s)
    memory = talk.init(KEY)
    of = jax.jit(lambda t, key: talk(memory, t, key)[0].works)
    assert all(np.array_equal(of(t, jax.random.key(0)), of(t, jax.random.key(1))) for t in range(6))


@pytest.mark.parametrize(("success", "wanted"), [(1.0, 5), (0.6, 3), (0.0, 1)])
def test_aggregators_take_a_share_of_the_models(x64, success, wanted):
    n, s, a = 12, 5, 2
    made, W, _ = cases.rounds(Modest(n, s, a, success), 60, KEY, 4)
    assert not (wrong := faults(made, 1e-14)), wrong
    messages = links_into(made).sum(axis=(2, 3))
    for run in range(60):
        trainers, following = (np.flatnonzero(made.works[run, t]) for t in (0, 2))
        up, down = W[run, 0], W[run, 1]
        assert len(trainers) == len(following) == s
        # Who holds an average before the second round keeps it; all other next trainers take one of these.
        holds = np.flatnonzero(np.diag(down) * made.works[run, 2])
        assert len(holds) == a
        for j in following:
            assert np.count_nonzero(down[j]) == 1 and np.flatnonzero(down[j])[0] in holds
        for i in holds:
            np.testing.assert_allclose(up[i][up[i] > 0], np.full(wanted, 1 / wanted))
            assert set(np.flatnonzero(up[i])) <= set(trainers)
        others = np.setdiff1d(np.arange(n), holds)
        np.testing.assert_array_equal(up[others], np.eye(n)[others])
        assert success < 1 or len({up[i].tobytes() for i in holds}) == 1
        assert messages[run, 0] == a * wanted - np.count_nonzero(np.diag(up)[holds])
        assert messages[run, 1] == s - a


def run_of(talk, n, rounds, x, noise=0.0):
    problem = jdl.problems.quadratic(nodes=n, dim=3, noise=noise)
    s = jdl.simulation(problem, jdl.algorithms.DPSGD(lr=LR), talk, mapping="vmap")

    @jax.jit
    def run(s, x):
        def one(state, _):
            after = simulator.step(s, state)[0]
            plan = talk(state.schedule_state, state.t, KEY)[0]
            return after, (simulator.models(s, after), plan.works)

        return jax.lax.scan(one, simulator.init(s, x), None, length=rounds)[1]

    return problem, jax.device_get(run(s, x))


def test_without_failures_it_is_federated_averaging(x64):
    n, s = 9, 4
    problem, (models, works) = run_of(Modest(n, trainers=s), n, 20, jnp.full((3,), 2.0))
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    x = np.full(3, 2.0)
    for k in range(9):
        trainers, following = works[2 * k], works[2 * k + 2]
        x = np.mean([x - LR * (A[i] @ x - b[i]) for i in np.flatnonzero(trainers)], axis=0)
        np.testing.assert_allclose(models[2 * k + 1][following], np.broadcast_to(x, (s, 3)), atol=1e-10)


def test_with_four_in_five_failing_it_goes_on(x64):
    """From iteration 3 on more and more nodes are gone for ever, and those who train or aggregate are alive."""
    n, s, T = 20, 6, 40
    gone = np.minimum(np.maximum(np.arange(T) - 2, 0), int(0.8 * n))
    alive = np.random.default_rng(2).permutation(n)[None, :] >= gone[:, None]
    talk = Modest(n, trainers=s, success=0.5, alive=jnp.asarray(alive))
    made = cases.rounds(talk, 3, KEY, 2 * T).plan
    assert not (wrong := faults(made, 1e-14)), wrong
    trained, there = trainers_of(made), awake(made)
    assert np.all(trained <= alive[None]) and np.all(trained.sum(axis=2) >= 1)
    assert not np.any(there[:, 1::2] & ~np.append(alive[1:], alive[-1:], axis=0)[None])
    problem, (models, works) = run_of(talk, n, 2 * T, jnp.full((3,), 5.0))
    A, b, left = np.asarray(problem.A), np.asarray(problem.b), np.flatnonzero(alive[-1])
    loss = lambda x: np.mean([x @ A[i] @ x / 2 - b[i] @ x for i in left])
    best = np.linalg.solve(A[left].mean(axis=0), b[left].mean(axis=0))
    last = models[-1][np.flatnonzero(works[-2])].mean(axis=0)
    assert loss(last) - loss(best) < 0.2 * (loss(np.full(3, 5.0)) - loss(best))


def test_refusals():
    with pytest.raises(InputError, match="got trainers=5 with n=4, no more than all nodes can train; try trainers=4"):
        Modest(4, trainers=5)
    with pytest.raises(InputError, match="got aggregators=3 with trainers=2"):
        Modest(4, trainers=2, aggregators=3)
    with pytest.raises(InputError, match=r"got alive of shape \(4,\), need bool\[T, n\] with n=4"):
        Modest(4, trainers=2, alive=np.ones(4, bool))
