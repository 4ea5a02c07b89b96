"""Noise that cancels in the network, and masks that cancel in a sum: in float64, by NumPy, and to the last bit."""

from typing import ClassVar

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jdl
from jdl import exchange, topology
from jdl import plan as plans
from jdl.checks import InputError
from jdl.exchange import mixing
from jdl.types import Each

KEY = jax.random.key(9)
N, DIM = 6, 500


@struct.dataclass
class Spy:
    """The inbox is what is on the wire: what nodes keep, what they send, and who gets which row."""

    needs: ClassVar[frozenset[str]] = frozenset()
    breaks: ClassVar[frozenset[str]] = frozenset()

    def init(self, message):
        return ()

    def apply(self, state, wire, key):
        return (wire.own, wire.sent, wire.plan.links.senders, wire.origin), state, mixing.delivered(wire)


def irregular(rng):
    """A symmetric W in which weights and degrees differ."""
    near = np.triu(rng.random((N, N)) < 0.5, 1) | (np.arange(N)[None] == np.arange(N)[:, None] + 1)
    off = np.where(near, rng.uniform(0.05, 0.15, (N, N)), 0)
    off = off + off.T
    return off + np.diag(1 - off.sum(axis=1))


W = irregular(np.random.default_rng(1))
X = np.random.default_rng(2).standard_normal((N, DIM))


def plan_of(form):
    return topology.from_weights(W).plan(form)


def noises(plan):
    """The noise on the wire of ZIP-DL, by sender and receiver: f[N, N, DIM]."""
    found = np.zeros((N, N, DIM))
    x = jnp.asarray(X)
    own, sent, senders, origin = programs.round_of(exchange.ZipDL(0.7, Spy()), (), programs.wire(plan, x), KEY)[0]
    for i in range(N):
        found[i, i] = own[i] - X[i]
        for slot in range(senders.shape[1]):
            if W[i, origin[senders[i, slot]]] and origin[senders[i, slot]] != i:
                found[origin[senders[i, slot]], i] = sent[senders[i, slot]] - X[origin[senders[i, slot]]]
    return found


@pytest.mark.parametrize("form", ["slots", pytest.param("dense", marks=pytest.mark.slow)])
def test_zip_noise_is_zero_in_the_weighted_sum_of_each_sender_and_of_the_stated_variance(form):
    with jax.enable_x64(True):
        plan = plan_of(form)
        Z = noises(plan)
        np.testing.assert_allclose(np.einsum("ji,ijd->id", W, Z), 0, atol=1e-13)
        x = jnp.asarray(X)
        inbox, _, traffic = programs.round_of(exchange.ZipDL(0.7), (), programs.wire(plan, x), KEY)
        np.testing.assert_allclose(np.asarray(inbox).mean(axis=0), X.mean(axis=0), atol=1e-13)
        np.testing.assert_allclose(inbox, W @ X + np.einsum("ij,jid->id", W, Z), atol=1e-12)
    squares = np.sum(W**2, axis=0)
    for i, j in zip(*np.nonzero(W), strict=True):
        expected = 0.7 * np.sqrt(1 - W[j, i] ** 2 / squares[i])
        assert abs(Z[i, j].std() / expected - 1) < 5 / (2 * DIM) ** 0.5
    # Two neighbours of one sender receive other noise; of different senders, it is independent.
    assert abs(np.corrcoef(Z[0, 1], Z[1, 0])[0, 1]) < 5 / DIM**0.5
    degree = (W != 0).sum(axis=0) - 1
    np.testing.assert_array_equal(np.asarray(plans.out_degree(plan)), degree)
    assert float(traffic.bits.sum()) == 64 * DIM * degree.sum()  # in double precision


def test_zip_traffic_belongs_to_senders_also_with_one_link_a_node():
    data = jdl.problems.quadratic(nodes=4, dim=3)
    graphs = jdl.schedule.Cyclic.of(topology.one_peer_exponential(4))
    built = jdl.simulation(data, jdl.algorithms.DPSGD(lr=0.1), graphs, [exchange.ZipDL(0.1)])
    state, _ = jax.jit(jdl.sim.advance)(built, jdl.sim.init(built), jnp.int32(3))
    assert np.all(state.traffic.bits[0] == 3 * 96) and np.all(state.traffic.messages[0] == 3)


def test_shared_noise_cancels_in_the_mean_and_own_noise_does_not():
    rng = np.random.default_rng(3)
    keep = rng.random((N, N)) < 0.7
    keep = np.triu(keep, 1) | np.triu(keep, 1).T
    with jax.enable_x64(True):
        plan = plan_of("dense")
        lossy = plans.lose(plan, jnp.asarray(keep))
        run = lambda network, plan: np.asarray(
            programs.round_of(network, (), programs.wire(plan, jnp.asarray(X)), KEY)[0]
        )
        shared = run(exchange.Decor(0.0, 2.0), plan)
        np.testing.assert_allclose(shared.mean(axis=0), X.mean(axis=0), atol=1e-13)
        np.testing.assert_allclose(run(exchange.Decor(0.0, 2.0), lossy).mean(axis=0), X.mean(axis=0), atol=1e-13)
        both, single = run(exchange.Decor(0.5, 2.0), plan), run(exchange.Decor(0.5, 0.0), plan)
        np.testing.assert_allclose(both.mean(axis=0), single.mean(axis=0), atol=1e-13)
        np.testing.assert_allclose(both - shared, single - W @ X, atol=1e-13)
    noise = (single - W @ X).mean(axis=0)
    assert abs(noise.std() / (0.5 / N**0.5) - 1) < 5 / (2 * DIM) ** 0.5
    # What is on the wire has the covariance of the docstring: own noise, and the Laplacian of the neighbours.
    sent = np.linalg.solve(W, both) - X
    near = (W != 0) & ~np.eye(N, dtype=bool)
    laplacian = np.diag(near.sum(axis=1)) - near
    covariance = 0.25 * np.eye(N) + 4 * laplacian
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert np.abs((sent @ sent.T / DIM - covariance) / scale).max() < 5 / DIM**0.5


def clients(keep=None, used=None):
    plan = plans.clients(jnp.asarray([0, 2, 3, 5], jnp.int32))
    links = plan.links.replace(weights=jnp.asarray([1.0, 3.0, 2.0, 2.0]))
    links = links if used is None else links.replace(used=jnp.asarray(used))
    plan = plan.replace(links=links)
    return plan if keep is None else plans.lose(plan, jnp.asarray(keep))


def test_masks_cancel_in_the_sum_and_alone_are_noise():
    unit, shares = 2.0**-12, np.array([1, 3, 2, 2]) / 8
    message = {"x": jnp.asarray(X[:4].reshape(4, 25, 20), jnp.float32), "report": Each(jnp.arange(4.0))}
    for keep in ([True] * 4, [True, False, True, True], [False, True, False, False], [False] * 4):
        network = exchange.SecureAggregation(unit)
        wire = programs.wire(clients(keep), message)
        inbox, _, deliveries = jax.jit(lambda network, wire: network.apply((), wire, KEY))(network, wire)
        fixed = np.round(shares[:, None] * np.asarray(X[:4], np.float32) / unit)
        part = shares[keep].sum()
        expected = fixed[keep].sum(axis=0) * unit / (part if part else 1)
        np.testing.assert_allclose(np.ravel(inbox["x"]), expected, rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(inbox["report"].content, np.where(keep, np.arange(4.0), 0))
        assert np.all(deliveries[0].bits == 32 * DIM + 32 + 256 * (2 + 3 * 3))
    sent = np.asarray(deliveries[0].sent["x"]).reshape(4, DIM)
    assert sent.dtype == np.uint32
    for rows in (sent[:1], sent[:1] + sent[1:2], sent[:3].sum(axis=0, dtype=np.uint32)[None]):
        uniform = rows[0] / 2**32  # masks with those who are not in the sum remain
        assert abs(uniform.mean() - 0.5) < 5 / (12 * DIM) ** 0.5 and abs(uniform.std() - 12**-0.5) < 0.05
    whole = np.sum(sent, axis=0, dtype=np.uint32).view(np.int32)
    np.testing.assert_array_equal(whole, fixed.sum(axis=0))


def test_clients_that_are_not_in_the_round_have_no_masks():
    message = {"x": jnp.asarray(X[:4], jnp.float32)}
    used = [True, False, True, True]
    inbox, _, traffic = programs.apply(
        exchange.SecureAggregation(2.0**-12), (), programs.wire(clients(used=used), message), KEY
    )
    shares = np.array([1, 0, 2, 2]) / 5
    np.testing.assert_allclose(inbox["x"], shares @ X[:4], atol=4 * 2.0**-13 + 1e-6)
    np.testing.assert_array_equal(traffic.bits, np.where(used, 32 * DIM + 256 * (2 + 3 * 2), 0))


def test_masks_of_ones_own_hide_a_message_that_comes_late():
    """Single and double masks in one program: the sums agree, and of a lost message its own mask is left."""
    unit, shares = 2.0**-12, np.array([1, 3, 2, 2]) / 8
    fixed = np.round(shares[:, None] * np.asarray(X[:4], np.float32) / unit).astype(np.int32).view(np.uint32)
    part = lambda double: exchange.SecureAggregation(unit, 0.5, double=double)
    both = jax.jit(lambda wire: [part(double).apply((), wire, KEY) for double in (False, True)])
    for keep in ([True] * 4, [True, False, True, True], [False, True, True, False], [False, True, False, False]):
        wire = programs.wire(clients(keep), {"x": jnp.asarray(X[:4], jnp.float32), "report": Each(jnp.arange(4.0))})
        single, double = ((inbox, *deliveries) for inbox, _, deliveries in both(wire))
        there = np.array(keep) & (sum(keep) >= 2)  # half of four clients
        expected = fixed.view(np.int32)[there].sum(axis=0) * unit / max(shares[there].sum(), 0.125)
        for inbox, delivery in (single, double):
            np.testing.assert_allclose(inbox["x"], expected, rtol=1e-6, atol=1e-7)
            np.testing.assert_array_equal(inbox["report"].content, np.where(there, np.arange(4.0), 0))
            np.testing.assert_array_equal(plans.arrived(delivery.plan.links), there)
        assert np.all(single[1].bits == 32 * DIM + 32 + 256 * (2 + 3 * 3))
        # Keys of all, shares of two secrets to and from three, and shares that unmask, of those who are still there.
        np.testing.assert_array_equal(double[1].bits, 32 * DIM + 32 + 256 * (2 * 4 + 4 * 3 + 4 * np.array(keep)))
        sent = [np.asarray(delivery.sent["x"]) for _, delivery in (single, double)]
        # Who knows all seeds of pairs reads a message without a mask of its own, and of the other one uniform bits.
        of_pairs = sent[0] - fixed
        np.testing.assert_array_equal(np.sum(of_pairs, axis=0, dtype=np.uint32), 0)
        for k in range(4):
            left = (sent[1][k] - of_pairs[k] - fixed[k]) / 2**32
            assert abs(left.mean() - 0.5) < 5 / (12 * DIM) ** 0.5 and abs(left.std() - 12**-0.5) < 0.05
        own = sent[1] - sent[0]
        np.testing.assert_array_equal(
            np.sum(sent[1], axis=0, dtype=np.uint32) - np.sum(own, axis=0, dtype=np.uint32),
            np.sum(fixed, axis=0, dtype=np.uint32),
        )


def test_what_would_not_cancel_is_refused():
    data, ring = jdl.problems.quadratic(nodes=4, dim=2), topology.ring(4)
    method = jdl.algorithms.DPSGD()
    with pytest.raises(InputError, match="reliable"):
        jdl.simulation(data, method, ring, [exchange.ZipDL(), exchange.Lossy(0.1)])
    with pytest.raises(InputError, match="symmetric"):
        jdl.simulation(data, jdl.algorithms.DPSGD(), topology.exponential(4), [exchange.Decor()])
    with pytest.raises(InputError, match="put ZipDL first"):
        jdl.simulation(data, method, ring, [exchange.ZipDL(), exchange.ZipDL()])
    with pytest.raises(InputError, match="server"):
        jdl.simulation(data, method, ring, [exchange.SecureAggregation()])
