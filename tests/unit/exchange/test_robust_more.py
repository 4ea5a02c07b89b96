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
