"""Messages sent when there is something to say, and gossip repeated until models are close, against NumPy."""

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import plan_reading
import pytest

import jdl
from jdl import exchange, topology, tree
from jdl.compressors import TopK
from jdl.exchange import Chebyshev, Choco, Lossy, Repeated, Triggered, UntilConsensus

N, BITS = 9, 7 * 32
KEY = jax.random.key(0)
RING = topology.ring(N)
PLAN, W = RING.plan("slots"), RING.weights.toarray()


def message(seed=0):
    rng = np.random.default_rng(seed)
    return {"a": rng.standard_normal((N, 3, 2)).astype(np.float32), "b": rng.standard_normal(N).astype(np.float32)}


def flat(x):
    return np.concatenate([np.asarray(leaf, np.float64).reshape(N, -1) for leaf in (x["a"], x["b"])], axis=1)


def rounds(network, messages, plan=PLAN):
    """The inboxes and the traffic of rounds in which nodes send these messages, whatever they received."""
    network = tree.numbers_to_arrays(exchange.stack(network))
    link, found = programs.begun(network, messages[0]), []
    for x in messages:
        inbox, link, traffic = programs.apply(network, link, programs.wire(plan, x, bits=BITS), KEY)
        found.append((inbox, traffic))
    return found


# ---- triggered ----------------------------------------------------------------------------------------------------

WALK = [{key: x + 0.3 * t * message(t)[key] for key, x in message(0).items()} for t in range(5)]


def sparq(messages, threshold, growth=0.0, gamma=1.0, C=lambda change: change):
    """Inboxes and senders by the recursion of the paper, written apart; the first message is sent."""
    xhat, known, found = np.zeros((N, 7)), np.zeros(N, bool), []
    for t, x in enumerate(map(flat, messages)):
        distance = ((x - xhat) ** 2).sum(axis=1)
        sends = ~known | (distance >= threshold * (t + 1) ** growth)
        xhat = xhat + np.where(sends[:, None], C(x - xhat), 0)
        known |= sends
        found.append((x + gamma * (W @ xhat - xhat), sends))
    return found


def largest(change):
    """The largest two of the six numbers of one array, and the one of the other."""
    kept = change.copy()
    for row in kept[:, :6]:
        row[np.argsort(-np.abs(row))[2:]] = 0
    return kept


@pytest.mark.parametrize(
    ("numbers", "C"),
    [
        ({"threshold": 4.0}, None),
        ({"threshold": 2.0, "growth": 0.5, "gamma": 0.6}, None),
        ({"threshold": 3.0, "gamma": 0.4, "compressor": TopK(1 / 3)}, largest),
    ],
)
def test_it_is_the_recursion_and_who_is_silent_costs_nothing(numbers, C):
    plain = {key: value for key, value in numbers.items() if key != "compressor"}
    expected = sparq(WALK, **plain, **({} if C is None else {"C": C}))
    size = BITS if C is None else 2 * (32 + 3) + 32
    some = [sends.mean() for _, sends in expected]
    assert some[0] == 1 and 0 < np.mean(some[1:]) < 1
    for (inbox, traffic), (x, sends) in zip(rounds([Triggered(**numbers)], WALK), expected, strict=True):
        np.testing.assert_allclose(flat(inbox), x, rtol=0, atol=3e-6)
        np.testing.assert_array_equal(traffic.messages, 2 * sends)
        np.testing.assert_array_equal(traffic.bits, 2 * size * sends)


def test_threshold_zero_is_gossip_to_the_last_bit_and_infinity_is_silence_after_the_first():
    for (inbox, traffic), (plain, sent) in zip(rounds([Triggered(0.0)], WALK), rounds([], WALK), strict=True):
        assert all(np.array_equal(inbox[key], plain[key]) for key in plain)
        assert np.array_equal(traffic.bits, sent.bits) and np.array_equal(traffic.messages, sent.messages)
    first, *rest = rounds([Triggered(np.inf)], WALK)
    assert np.all(first[1].messages == 2) and not any(np.any(traffic.bits) for _, traffic in rest)
    # Neighbours go on with the first message: x_i moves by what all nodes knew of each other in round 0.
    pull = (W - np.eye(N)) @ flat(WALK[0])
    np.testing.assert_allclose(flat(rest[-1][0]), flat(WALK[-1]) + pull, rtol=0, atol=3e-6)


def test_the_mean_is_kept_and_choco_is_the_case_of_no_threshold():
    for x, (inbox, _) in zip(WALK, rounds([Triggered(3.0)], WALK), strict=True):
        np.testing.assert_allclose(flat(inbox).mean(0), flat(x).mean(0), rtol=0, atol=1e-6)
    ours = rounds([Triggered(0.0, gamma=0.4, compressor=TopK(1 / 3))], WALK)
    for (inbox, traffic), (other, sent) in zip(ours, rounds([Choco(0.4, TopK(1 / 3))], WALK), strict=True):
        np.testing.assert_allclose(flat(inbox), flat(other), rtol=0, atol=2e-6)
        np.testing.assert_array_equal(traffic.bits, sent.bits)


def test_a_node_that_diverges_says_so():
    broken = jax.tree.map(lambda x: np.where(np.arange(N).reshape(-1, *[1] * (x.ndim - 1)) == 4, np.nan, x), WALK[0])
    traffic = rounds([Triggered(np.inf)], [WALK[0], broken])[1][1]
    np.testing.assert_array_equal(np.flatnonzero(traffic.bits), [4])


def test_triggered_is_refused_where_it_makes_no_sense():
    for layer in (Repeated(2), Chebyshev(2), UntilConsensus()):
        with pytest.raises(jdl.checks.InputError, match="put Triggered after it"):
            exchange.stack([Triggered(), TopK(), layer])
        exchange.stack([layer, Triggered()])
    data = jdl.problems.quadratic(nodes=N, dim=2)
    with pytest.raises(jdl.checks.InputError, match="needs 'reliable', which the network breaks"):
        jdl.simulation(data, jdl.algorithms.DPSGD(), RING, [Triggered(), Lossy(0.1)])


# ---- until consensus ----------------------------------------------------------------------------------------------


def spread(x):
    return ((x - x.mean(0)) ** 2).sum(1).mean()


def test_gossip_stops_at_the_distance_and_counts_the_steps_it_made():
    x, degree, made = flat(message()), plan_reading.links_into(PLAN).sum(axis=0), set()
    for distance in (3.0, 0.7, 0.1, 1e-6):
        expected, steps = W @ x, 1
        while spread(expected) > distance and steps < 12:
            expected, steps = W @ expected, steps + 1
        ((inbox, traffic),) = rounds([UntilConsensus(distance, most=12)], [message()])
        np.testing.assert_allclose(flat(inbox), expected, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(traffic.messages, steps * degree)
        np.testing.assert_array_equal(traffic.bits, steps * degree * BITS)
        made.add(steps)
    assert len(made) == 4 and {1, 12} <= made


def test_its_ends_are_plain_gossip_and_repeated_gossip_to_the_last_bit():
    for ours, other in (([UntilConsensus(np.inf, 4)], []), ([UntilConsensus(0.0, 4)], [Repeated(4)])):
        ((inbox, traffic),), ((expected, sent),) = rounds(ours, [message()]), rounds(other, [message()])
        assert all(np.array_equal(inbox[key], expected[key]) for key in expected)
        np.testing.assert_array_equal(traffic.bits, sent.bits)
    alike = jax.tree.map(lambda x: np.full_like(x, 0.1), message())
    assert np.all(rounds([UntilConsensus(0.0, 4)], [alike])[0][1].messages == 2)


def test_who_sleeps_is_far_and_does_not_count():
    asleep = np.arange(N) == 0
    links = PLAN.links.replace(used=PLAN.links.used & ~asleep[:, None] & ~asleep[np.asarray(PLAN.links.senders)])
    lost = jnp.where(links.used, 0, PLAN.links.weights).sum(1)
    links = links.replace(weights=jnp.where(links.used, links.weights, 0))
    plan = PLAN.replace(links=links, self_weights=PLAN.self_weights + lost, active=jnp.asarray(~asleep))
    x = jax.tree.map(lambda x: np.where(asleep.reshape(-1, *[1] * (x.ndim - 1)), 100.0, 0.1).astype(x.dtype), message())
    assert np.all(rounds([UntilConsensus(0.01, 12)], [x], plan)[0][1].messages <= 2)
