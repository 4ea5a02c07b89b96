"""Rates of single links, running sums that bring back what was lost, and numbers that were not sent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl.checks import InputError
from jdl.compressors import TopK
from jdl.exchange import BurstyLinks, FillMissing, Lossy, LossyLinks, RobustPushSum
from jdl.schedule import Fixed
from jdl.topology import from_weights, ring
from jdl.types import Push, Wire

N, ROUNDS, DIM = 8, 120, 3
DATA = jdl.problems.quadratic(nodes=N, dim=DIM)
STARTS = np.random.default_rng(0).standard_normal((N, DIM)).astype(np.float32)
# Columns sum to one, rows do not: each node sends to the next one, and all to node 0.
COLUMNS = np.roll(np.eye(N), 1, axis=0) / 4 + np.eye(N) / 2
COLUMNS[0] += 1 / 4
DIRECTED = from_weights(COLUMNS, stochastic="column")
FORMS = pytest.mark.parametrize("form", ["slots", pytest.param("dense", marks=pytest.mark.slow)])
init = jax.jit(jdl.sim.init)


@jax.jit
def many(simulation, state):
    """The states of all rounds, stacked."""
    return jax.lax.scan(lambda state, _: (jdl.sim.step(simulation, state)[0],) * 2, state, length=ROUNDS)[1]


def rounds(algorithm, talk, network):
    simulation = jdl.simulation(DATA, algorithm, talk, network)
    return many(simulation, init(simulation, STARTS))


def wire_of(plan, message):
    return Wire(message, message, jnp.full(N, 32.0), plan, jnp.arange(N, dtype=jnp.int32))


def arrivals(exchange, plan, count=400):
    """Who hears whom, bool[count, n, n], in rounds of their own keys; read from the W that unit vectors show."""
    wire, keys = wire_of(plan, jnp.eye(N)), jax.random.split(jax.random.key(2), count)
    return np.asarray(jax.jit(jax.vmap(lambda key: exchange.apply((), wire, key)[0]))(keys)) != 0


@FORMS
def test_each_link_fails_at_its_rate_and_equal_rates_are_lossy(form):
    rates = np.broadcast_to(np.where(np.arange(N)[:, None] < 4, 0.2, 0.7), (N, N))
    graph = ring(N)
    there = arrivals(LossyLinks.of(rates), graph.plan(form))
    linked = (graph.weights.toarray() != 0) & ~np.eye(N, dtype=bool)
    expected = 1 - np.maximum(rates, rates.T)  # an undirected link fails both ways, with the larger rate
    np.testing.assert_allclose(there.mean(axis=0)[linked], expected[linked], atol=5 * 0.5 / np.sqrt(len(there)))
    assert np.array_equal(there, there.swapaxes(1, 2)) and not there[:, ~linked & ~np.eye(N, dtype=bool)].any()
    same = arrivals(LossyLinks.of(np.full((N, N), 0.3)), graph.plan(form))
    assert np.array_equal(same, arrivals(Lossy(0.3), graph.plan(form)))


@pytest.mark.parametrize("way", ["network_down", pytest.param("network", marks=pytest.mark.slow)])
def test_rates_of_clients(way):
    network = {way: [LossyLinks.of(np.arange(N) < 3)]}
    simulation = jdl.simulation(DATA, jdl.algorithms.FedAvg(), None, **network)
    reports = jax.jit(jdl.sim.step)(simulation, init(simulation, STARTS[0]))[1]
    assert np.array_equal(reports.present, np.arange(N) >= 3)


def test_rates_of_directed_links_and_wrong_ones():
    rates = np.zeros((N, N))
    rates[1, 0] = 1.0  # node 1 never hears node 0
    there = arrivals(LossyLinks.of(rates), DIRECTED.plan("slots"), 3)
    assert np.array_equal(there[0], (COLUMNS != 0) & (rates == 0))
    with pytest.raises(InputError, match=r"got rates of shape \(8,\), need \[n, n\]"):
        rounds(jdl.algorithms.DPSGD(), ring(N), [LossyLinks.of(np.zeros(N))])
    with pytest.raises(InputError, match=r"got rates of shape \(8, 7\)"):
        LossyLinks.of(np.zeros((8, 7)))
    with pytest.raises(InputError, match="between 0 and 1"):
        LossyLinks.of(np.full(N, 1.5))


def by_running_sums(W, lost):
    """Push-sum of the starts by the published recursion: running sums are sent, and what was received is remembered."""
    x = np.concatenate([STARTS, np.ones((N, 1))], axis=1).astype(float)
    sums, last = np.zeros((N, N, DIM + 1)), np.zeros((N, N, DIM + 1))
    off = W * ~np.eye(N, dtype=bool)
    trajectory = []
    for arrived in ~lost:
        sums += off[:, :, None] * x[None]
        new = np.where(arrived[:, :, None], sums, last)
        x = np.diag(W)[:, None] * x + (new - last).sum(axis=1)
        last = new
        trajectory.append(np.concatenate([x, (sums - last).sum(axis=1)]))
    return np.array(trajectory)


def test_running_sums_are_the_published_recursion_and_no_mass_is_lost():
    network = [Lossy(0.4), RobustPushSum.of(DIRECTED)]
    states = rounds(jdl.algorithms.PushSum(lr=0.0), DIRECTED, network)
    under_way = states.exchange_state[0].under_way[0]
    # Which messages were lost: of a link that brings nothing, something is under way.
    plan = DIRECTED.plan("slots")
    lost = np.zeros((ROUNDS, N, N), bool)
    receivers = np.broadcast_to(np.arange(N)[:, None], plan.links.senders.shape)
    lost[:, receivers, plan.links.senders] = np.asarray(under_way["w"]) != 0
    share = lost[:, (COLUMNS != 0) & ~np.eye(N, dtype=bool)].mean()
    assert abs(share - 0.4) < 0.12
    expected = by_running_sums(COLUMNS, lost)
    np.testing.assert_allclose(states.nodes.x, expected[:, :N, :DIM], rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(states.nodes.w, expected[:, :N, DIM], rtol=2e-5, atol=2e-6)
    waiting = np.einsum("is,tisd->td", plan.links.weights, under_way["x"])
    np.testing.assert_allclose(
        np.asarray(states.nodes.x).sum(axis=1) + waiting, [STARTS.sum(axis=0)] * ROUNDS, atol=1e-5
    )
    z = np.asarray(states.nodes.x[-1]) / np.asarray(states.nodes.w[-1])[:, None]
    np.testing.assert_allclose(z, np.broadcast_to(STARTS.mean(axis=0), z.shape), atol=1e-4)


def test_running_sums_without_losses_are_plain_gossip():
    exchange, plan = RobustPushSum(degree=N), DIRECTED.plan("slots")
    message = {"sum": Push(jnp.asarray(STARTS)), "plain": jnp.asarray(STARTS)}
    inbox, state, _ = jax.jit(exchange.apply)(exchange.init(message), wire_of(plan, message), jax.random.key(0))
    np.testing.assert_allclose(inbox["sum"].content, COLUMNS @ STARTS, atol=1e-6)
    np.testing.assert_allclose(inbox["plain"], COLUMNS @ STARTS, atol=1e-6)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(state))
    with pytest.raises(InputError, match="got degree=1 and a plan with 7 links"):
        rounds(jdl.algorithms.PushSum(), DIRECTED, [RobustPushSum(degree=1)])
    with pytest.raises(InputError, match="RobustPushSum that needs 'fixed_links'"):
        rounds(jdl.algorithms.PushSum(), jdl.schedule.Matching(N), [RobustPushSum(degree=1)])


@FORMS
def test_missing_numbers_are_the_receivers_own(form):
    graph = ring(N)
    sent = np.asarray(STARTS) * np.random.default_rng(1).integers(0, 2, STARTS.shape)
    W = graph.weights.toarray()
    heard = np.where(sent[None] != 0, sent[None], STARTS[:, None])  # [receiver, sender, d]
    off = W * ~np.eye(N, dtype=bool)
    expected = np.diag(W)[:, None] * STARTS + np.einsum("ij,ijd->id", off, heard)
    wire = wire_of(graph.plan(form), jnp.asarray(STARTS)).replace(sent=jnp.asarray(sent, jnp.float32))
    apply = jax.jit(lambda wire: FillMissing().apply((), wire, jax.random.key(0))[0])
    np.testing.assert_allclose(apply(wire), expected, atol=1e-6)
    equal = jnp.broadcast_to(jnp.asarray(STARTS[:1]), STARTS.shape)
    assert np.array_equal(apply(wire.replace(own=equal, sent=equal)), equal)
    kept = jnp.asarray(np.where(np.arange(DIM) == 1, 0, equal), jnp.float32)
    assert np.array_equal(apply(wire.replace(own=equal, sent=kept)), equal)  # where zeros would shrink it


def test_partial_models_do_not_shrink_and_what_needs_sums_is_refused():
    algorithm = jdl.algorithms.DPSGD(lr=0.0)
    shrunk, kept = (
        rounds(algorithm, ring(N), network).nodes.x[-1] for network in ([TopK(0.4)], [TopK(0.4), FillMissing()])
    )
    assert np.abs(shrunk).max() < 0.2 * np.abs(STARTS).max() < np.abs(kept).max()
    assert np.asarray(kept).min() >= STARTS.min() and np.asarray(kept).max() <= STARTS.max()
    with pytest.raises(InputError, match="GradientTracking that needs 'doubly_stochastic'"):
        rounds(jdl.algorithms.GradientTracking(), ring(N), [FillMissing()])
    with pytest.raises(InputError, match="FillMissing that needs 'peers'"):
        jdl.simulation(DATA, jdl.algorithms.FedAvg(), None, [FillMissing()])
    with pytest.raises(InputError, match="put it last"):
        rounds(algorithm, Fixed.of(ring(N)), [FillMissing(), Lossy()])


def test_one_client_a_round_on_the_way_down():
    def shapes(down):
        s = jdl.simulation(DATA, jdl.algorithms.FedAvg(), jdl.schedule.Sampling(N, 1), network_down=[down])
        return jax.eval_shape(lambda s: jdl.sim.step(s, jdl.sim.init(s)), s)

    shapes(LossyLinks.of(np.full(N, 0.3)))
    with pytest.raises(InputError, match="got BurstyLinks in network_down"):
        shapes(BurstyLinks())
