"""Validators that ban, and rules of subspaces, against NumPy and closed forms."""

import functools

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdl import exchange, topology
from jdl import plan as plans
from jdl.types import Roles

N, D = 12, 7
fast = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def messages(seed=0):
    return np.random.default_rng(seed).standard_normal((N, D)).astype(np.float32)


def roles(*liars):
    return Roles(jnp.asarray(~np.isin(np.arange(N), liars)), jnp.zeros(N, jnp.int32))


def clients():
    return plans.clients(jnp.arange(N, dtype=jnp.int32))


def banned(plan, probability, runs, rounds, silent=()):
    """Who is banned after each round, bool[runs, rounds, n], where nodes 1, 5 and 6 lie; a number for each inbox too.

    Messages are one-hot, so that the inboxes show who is heard.
    """
    bits = np.where(np.isin(np.arange(N), silent), 0, 128)
    wire = programs.wire(plan, jnp.eye(N), bits=bits, roles=roles(1, 5, 6))
    part = exchange.Verified(jnp.float32(probability))

    def step(state, key):
        inbox, state, _ = part.apply(state, wire, key)
        return state, (state.banned, inbox != 0)

    run = lambda key: jax.lax.scan(step, part.init(wire.sent), jax.random.split(key, rounds))[1]
    return [np.asarray(x) for x in fast(jax.vmap(run))(jax.random.split(jax.random.key(3), runs))]


@pytest.mark.parametrize("form", ["slots", "server"])
def test_liars_are_banned_after_one_over_p_rounds_and_not_heard_from_then_on(form):
    p, graph = 0.25, topology.erdos_renyi(N, degree=5, seed=3)
    plan = clients() if form == "server" else graph.plan(form)
    after, hears = banned(plan, p, runs=100, rounds=60, silent=(6,))
    assert not after[:, :, [i for i in range(N) if i not in (1, 5)]].any()  # the honest, and a liar that says nothing
    assert np.all(after[:, 1:] >= after[:, :-1]) and np.all(after[:, -1, [1, 5]])
    rounds = 1 + np.argmax(after[:, :, [1, 5]], axis=1)  # a geometric number
    assert abs(rounds.mean() - 1 / p) < 5 * np.sqrt((1 - p) / p**2 / rounds.size)
    before = np.concatenate([np.zeros_like(after[:, :1]), after[:, :-1]], axis=1)
    spoke = np.arange(N) != 6
    if form == "server":
        assert np.array_equal(hears[..., spoke], ~before[..., spoke])
        return
    linked = (graph.weights.toarray() != 0) & ~np.eye(N, dtype=bool)
    expected = linked & ~before[..., :, None] & ~before[..., None, :]
    others = ~np.eye(N, dtype=bool) & spoke[None, :]
    assert np.array_equal(hears & others, expected & others)


@pytest.mark.parametrize("form", ["slots", "server"])
def test_without_liars_nothing_changes_and_weights_of_the_banned_go_home(form):
    x, graph = messages(), topology.erdos_renyi(N, degree=5, seed=3)
    plan = clients() if form == "server" else graph.plan(form)
    part, plain = exchange.Verified(jnp.float32(1.0)), exchange.Linear()

    @fast
    def program(state, wire):
        inbox, state, _ = part.apply(state, wire, jax.random.key(0))
        return inbox, plain.apply((), wire, jax.random.key(0))[0], state

    begun = part.init(jnp.asarray(x))
    mine, linear, state = program(begun, programs.wire(plan, jnp.asarray(x), roles=roles()))
    assert np.array_equal(mine, linear) and not np.any(state.banned)
    wire = programs.wire(plan, jnp.asarray(x), roles=roles(1, 5))
    before, linear, state = program(begun, wire)
    assert np.array_equal(before, linear) and np.flatnonzero(state.banned).tolist() == [1, 5]
    mine, _, _ = program(state, wire)
    honest = ~np.isin(np.arange(N), (1, 5))
    W = graph.weights.toarray() * np.outer(honest, honest) * (1 - np.eye(N))
    W += np.diag(1 - W.sum(axis=1))
    expected = x[honest].mean(axis=0) if form == "server" else W @ x
    np.testing.assert_allclose(mine, expected, atol=2e-6)


FLAGS = [exchange.FlagAggregator(2, 3, False), exchange.FlagAggregator(2, 3), exchange.FlagAggregator(N, 1, False)]


def flag_median(x, dimensions, iterations):
    """Y by singular vectors of whole vectors, in double precision."""
    u = (x / np.linalg.norm(x, axis=1, keepdims=True)).T
    weights = np.ones(len(x))
    for _ in range(iterations + 1):
        Y = np.linalg.svd(weights * u, full_matrices=False)[0][:, :dimensions]
        weights = (1 - np.sum((Y.T @ u) ** 2, axis=0) + 1e-7) ** -0.25
    return Y


def losing(everything):
    return plans.lose(clients(), jnp.full(N, not everything))


def flags(x, plan):
    message = {"a": jnp.asarray(x[:, :3], jnp.float32), "b": jnp.asarray(x[:, 3:], jnp.float32).reshape(N, 2, -1)}
    inboxes = flag_program(programs.wire(plan, message))
    return [np.concatenate([np.asarray(inbox["a"]), np.asarray(inbox["b"]).ravel()]) for inbox in inboxes]


@fast
def flag_program(wire):
    return [rule.apply((), wire, jax.random.key(0))[0] for rule in FLAGS]


def test_flags_project_on_the_flag_median():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((N, 2)) @ rng.standard_normal((2, 15)) + 0.1 * rng.standard_normal((N, 15))
    x[4], x[7] = 1e4 * rng.standard_normal(15), 0.01 * rng.standard_normal(15)
    plan = clients()
    plan = plans.lose(plan.replace(links=plan.links.replace(weights=jnp.arange(1.0, N + 1))), jnp.arange(N) != 2)
    there, lost = np.arange(N) != 2, x.copy()
    lost[2] = np.nan
    found = flags(lost, plan)
    Y, lengths = flag_median(x[there], 2, 3), np.linalg.norm(x[there], axis=1, keepdims=True)
    mean, of_units = x[there].mean(axis=0), np.median(lengths) * (x[there] / lengths).mean(axis=0)
    expected = [Y @ Y.T @ mean, Y @ Y.T @ of_units, mean]
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-4 * np.linalg.norm(other))
    turn = np.linalg.qr(rng.standard_normal((15, 15)))[0]  # a rotation of all messages rotates the result
    for mine, turned in zip(found, flags(lost @ turn, plan), strict=True):
        np.testing.assert_allclose(mine @ turn, turned, atol=2e-4 * np.linalg.norm(turned))
    honest = np.linalg.svd(np.delete(x, (2, 4, 7), axis=0))[2][:2]  # the plane of the honest messages
    far = lambda Y: np.linalg.norm(Y - honest.T @ honest @ Y)
    assert far(Y) < 0.2 and far(Y) < far(flag_median(x[there], 2, 0))


def test_flags_of_equal_messages_are_the_message_and_of_nothing_zero():
    x = np.tile(messages()[:1], (N, 1))
    same = np.pad(x, ((0, 0), (0, 8)))
    for mine in flags(same, losing(False)):
        np.testing.assert_allclose(mine, same[0], atol=1e-5)
    assert not np.any(flags(same, losing(True)))
