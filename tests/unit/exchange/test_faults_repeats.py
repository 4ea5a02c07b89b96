"""Messages that are read again, sent twice, or lost in bursts: frequencies, ages and traffic, over many rounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl.checks import InputError
from jdl.engine.deliveries import traffic_of
from jdl.exchange import BurstyLinks, Duplicated, Linear, Stale
from jdl.topology import ring
from jdl.types import Each, Wire

N, T = 8, 400
PLAN = ring(N).plan("slots")
USED = np.asarray(PLAN.links.used)
SENDERS = np.asarray(PLAN.links.senders)


def listened(exchange, rounds=T):
    """What arrives over the links of a ring in some rounds, in each of which everybody sends its number."""

    def one(state, t):
        message = Each(jnp.full((N, 1), t))
        wire = Wire(message, message, jnp.full(N, 32.0), PLAN, jnp.arange(N, dtype=jnp.int32))
        inbox, state, deliveries = exchange.apply(state, wire, jax.random.fold_in(jax.random.key(1), t))
        told = inbox.inbox.arrived, inbox.inbox.age, inbox.content[inbox.rows][..., 0], traffic_of(deliveries)
        return state, told

    start = exchange.init(Each(jnp.zeros((N, 1), jnp.int32)))
    return jax.device_get(jax.jit(lambda: jax.lax.scan(one, start, jnp.arange(rounds, dtype=jnp.int32))[1])())


def near(share, expected, count):
    return abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / count)


def test_what_is_lost_is_read_again_until_it_is_too_old():
    arrived, age, content, traffic = listened(Stale(probability=0.6, rounds=2))
    t = np.broadcast_to(np.arange(T)[:, None, None], age.shape)
    assert np.array_equal(content[arrived], (t - age)[arrived])
    fresh = arrived & (age == 0)
    assert near(fresh.mean(), 0.4, fresh.size) and near(np.mean(~arrived[3:]), 0.6**3, fresh[3:].size)
    again = arrived[1:] & (age[1:] > 0)  # the message of the round before is read once more
    assert np.all(arrived[:-1][again]) and np.array_equal(age[1:][again], age[:-1][again] + 1)
    assert np.all(traffic.messages == 2)


def test_a_duplicate_costs_and_weighs_nothing():
    *_, traffic = listened(Duplicated(0.3))
    assert near(traffic.messages.mean() / 2 - 1, 0.3, traffic.messages.size * 2)
    np.testing.assert_array_equal(traffic.bits, 32 * traffic.messages)
    x = jax.random.normal(jax.random.key(0), (N, 3))
    wire = Wire(x, x, jnp.full(N, 96.0), PLAN, jnp.arange(N, dtype=jnp.int32))
    plain, twice = (part.apply((), wire, jax.random.key(2))[0] for part in (Linear(), Duplicated(1.0)))
    assert np.array_equal(plain, twice)


def test_losses_come_in_bursts_both_ways():
    arrived, *_ = listened(BurstyLinks(fail=0.1, recover=0.3))
    arrived = arrived[:, USED].reshape(T, N, 2)
    was, now = arrived[:-1].reshape(-1), arrived[1:].reshape(-1)
    assert near(np.mean(~now[was]), 0.1, was.sum() / 2) and near(np.mean(now[~was]), 0.3, (~was).sum() / 2)
    place = {(i, j): arrived[:, i, s] for i in range(N) for s, j in enumerate(SENDERS[i])}
    assert all(np.array_equal(place[i, j], place[j, i]) for i, j in place)


def test_in_bad_times_some_arrive_and_what_does_not_fit_is_refused():
    arrived, *_ = listened(BurstyLinks(fail=1.0, recover=0.0, bad=0.7))
    assert near(arrived.mean(), 0.3, arrived.size / 2)
    data = jdl.problems.quadratic(nodes=N, dim=2)
    with pytest.raises(InputError, match="got BurstyLinks in network_down"):
        jdl.simulation(data, jdl.algorithms.FedAvg(), None, network_down=[BurstyLinks()])
    with pytest.raises(InputError, match="Stale that needs 'fixed_links'"):
        jdl.simulation(data, jdl.algorithms.DPSGD(), jdl.schedule.Matching(N), [Stale()])
    jdl.simulation(data, jdl.algorithms.RelaySGD(), jdl.topology.chain(N), [BurstyLinks()])
