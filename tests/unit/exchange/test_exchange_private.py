"""Clipping and noise at senders and at a server, against NumPy."""

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import compressors, exchange, topology
from jdl import plan as plans
from jdl.checks import InputError
from jdl.types import Each, Server

KEY = jax.random.key(4)
N, DIM = 5, 400
RNG = np.random.default_rng(0)
# Three arrays in a message: vectors of norms from 0.5 to 2.5 a node, a matrix, and whole numbers that nobody touches.
SCALE = np.linspace(0.5, 2.5, N)[:, None]
FLAT = RNG.standard_normal((N, DIM))
FLAT = SCALE * FLAT / np.linalg.norm(FLAT, axis=1, keepdims=True)
MESSAGE = {
    "a": jnp.asarray(FLAT[:, :100].reshape(N, 10, 10), jnp.float32),
    "b": jnp.asarray(FLAT[:, 100:], jnp.float32),
}


def flat(tree):
    return np.concatenate([np.asarray(x, np.float64).reshape(len(x), -1) for x in jax.tree.leaves(tree)], axis=1)


def clipped(x, most):
    return x * np.minimum(1, most / np.linalg.norm(x, axis=-1, keepdims=True))


def one(network, plan, message=MESSAGE, state=None, key=KEY):
    state = programs.begun(network, message) if state is None else state
    return programs.apply(network, state, programs.wire(plan, message), key)


def clients(count=N, keep=None):
    plan = plans.clients(jnp.arange(count, dtype=jnp.int32))
    plan = plan.replace(links=plan.links.replace(weights=jnp.arange(1.0, count + 1)))  # what a method may set
    return plan if keep is None else plans.lose(plan, jnp.asarray(keep))


def aggregate(tree):
    return np.concatenate([np.ravel(np.asarray(x, np.float64)) for x in jax.tree.leaves(tree)])


def test_messages_are_clipped_as_a_whole_or_array_by_array():
    W = topology.ring(N).weights.toarray()
    off = W - np.diag(np.diag(W))
    plan = topology.ring(N).plan("slots")
    for per_array in (False, True):
        found, _, traffic = one(exchange.MessageNoise(1.2, 0.0, per_array=per_array), plan)
        sent = clipped(FLAT, 1.2)
        if per_array:
            sent = np.hstack([clipped(FLAT[:, :100], 1.2 / 2**0.5), clipped(FLAT[:, 100:], 1.2 / 2**0.5)])
        np.testing.assert_allclose(flat(found), np.diag(np.diag(W)) @ FLAT + off @ sent, atol=1e-6)
        assert np.all(traffic.bits == 2 * 32 * DIM)
    np.testing.assert_allclose(flat(one(exchange.MessageNoise(np.inf, 0.0), plan)[0]), W @ FLAT, atol=1e-6)
    both, _, _ = one(exchange.MessageNoise(1.2, 0.0, own=True), plan)
    np.testing.assert_allclose(flat(both), W @ clipped(FLAT, 1.2), atol=1e-6)


def test_noise_is_the_senders_own_of_the_stated_size_and_one_for_all_neighbours():
    plan = topology.complete(N).plan("dense")
    quiet, loud = (flat(one(exchange.MessageNoise(1.2, z, own=True), plan)[0]) for z in (0.0, 3.0))
    noise = N * (loud - quiet)  # the sum over nodes of their noise, the same in each inbox
    np.testing.assert_allclose(noise, np.broadcast_to(noise[:1], noise.shape), atol=1e-4)
    assert abs(noise[0].std() / (3 * 1.2 * N**0.5) - 1) < 5 / (2 * DIM) ** 0.5
    # What the rows of a round are called changes nothing for a sender.
    few = plans.clients(jnp.asarray([3, 1], jnp.int32))
    network = exchange.MessageNoise(1.2, 3.0)
    pair = jax.tree.map(lambda x: x[jnp.asarray([3, 1])], MESSAGE)
    alone = [plans.clients(jnp.asarray([i], jnp.int32)) for i in (3, 1)]
    together = aggregate(one(network, few, pair, programs.begun(network, MESSAGE))[0])
    each = [
        aggregate(one(network, plan, jax.tree.map(lambda x, i=i: x[i : i + 1], pair), ())[0])
        for i, plan in enumerate(alone)
    ]
    np.testing.assert_allclose(together, np.mean(each, axis=0), atol=1e-5)
    assert abs(np.corrcoef(*(x - y for x, y in zip(each, clipped(FLAT[[3, 1]], 1.2), strict=True)))[0, 1]) < 0.25


def test_muffliato_is_noise_once_and_gossip_of_several_steps():
    """The mean gets the mean of the noise, and W^T of it is what each node ends with."""
    graph = topology.ring(N)
    W = graph.weights.toarray()
    network = exchange.stack([exchange.MessageNoise(np.inf, 0.0, own=True), exchange.Repeated(7)])
    found = flat(one(network, graph.plan("slots"))[0])
    np.testing.assert_allclose(found, np.linalg.matrix_power(W, 7) @ FLAT, atol=1e-5)
    loud = exchange.stack([exchange.MessageNoise(3.0, 2.0, own=True), exchange.Repeated(60)])
    noise = flat(one(loud, graph.plan("slots"))[0]) - FLAT.mean(axis=0)
    np.testing.assert_allclose(noise, np.broadcast_to(noise[:1], noise.shape), atol=1e-2)
    assert abs(noise[0].std() / (6 / N**0.5) - 1) < 5 / (2 * DIM) ** 0.5
    with pytest.raises(InputError, match="own=True"):
        exchange.stack([exchange.MessageNoise(), exchange.Lossy(0.1), exchange.Repeated(2)]).init(MESSAGE)


def test_a_server_adds_clipped_messages_and_divides_by_a_number_that_is_known():
    keep = [True, False, True, True, True]
    quiet = exchange.ClientPrivacy(1.2, 0.0)
    np.testing.assert_allclose(
        aggregate(one(quiet, clients(keep=keep))[0]), clipped(FLAT, 1.2)[keep].sum(axis=0) / N, atol=1e-6
    )
    expected = exchange.ClientPrivacy(1.2, 0.0, expected=8.0)
    np.testing.assert_allclose(aggregate(one(expected, clients())[0]), clipped(FLAT, 1.2).sum(axis=0) / 8, atol=1e-6)
    median = exchange.ClientPrivacy(1.0, 0.0, median=True)
    np.testing.assert_allclose(aggregate(one(median, clients())[0]), clipped(FLAT, 1.5).sum(axis=0) / N, atol=1e-6)
    # As FedAvg of equal weights where nothing is clipped.
    np.testing.assert_allclose(
        aggregate(one(exchange.ClientPrivacy(np.inf, 0.0), clients())[0]), FLAT.mean(0), atol=1e-6
    )


def test_the_noise_of_a_server_is_added_once_also_where_nothing_arrives():
    noises = []
    for keep in ([True] * N, [False] * N):
        network = exchange.ClientPrivacy(1.2, 3.0, expected=8.0)
        total = clipped(FLAT, 1.2)[keep].sum(axis=0) / 8
        noises.append(aggregate(one(network, clients(keep=keep))[0]) - total)
        assert abs(noises[-1].std() / (3 * 1.2 / 8) - 1) < 5 / (2 * DIM) ** 0.5
    np.testing.assert_allclose(*noises, atol=1e-5)


def test_reports_of_clients_are_clipped_with_the_rest_and_get_noise_each():
    message = {"x": MESSAGE["b"], "loss": Each(jnp.asarray(FLAT[:, :100], jnp.float32)), "seed": Each(jnp.arange(N))}
    quiet, loud = (one(exchange.ClientPrivacy(1.2, z), clients(), message)[0] for z in (0.0, 3.0))
    factor = np.minimum(1, 1.2 / np.linalg.norm(FLAT, axis=1))[:, None]
    np.testing.assert_allclose(quiet["loss"].content, factor * FLAT[:, :100], atol=1e-6)
    noise = np.asarray(loud["loss"].content - quiet["loss"].content)
    assert abs(noise.std() / 3.6 - 1) < 5 / (2 * noise.size) ** 0.5
    assert np.abs(np.corrcoef(noise) - np.eye(N)).max() < 0.5
    np.testing.assert_array_equal(loud["seed"].content, np.arange(N))


def test_the_clipping_norm_follows_a_quantile():
    """S halves its distance in the logarithm as the paper's update says, and settles where the share of norms does."""
    network = exchange.QuantileClipping(clip=1.2, quantile=0.6, rate=0.3, noise_multiplier=0.0)
    inbox, state, traffic = one(network, clients())
    np.testing.assert_allclose(aggregate(inbox), clipped(FLAT, 1.2).sum(axis=0) / N, atol=1e-6)
    np.testing.assert_allclose(state.clip, 1.2 * np.exp(-0.3 * (2 / 5 - 0.6)), rtol=1e-6)  # norms 0.5, 1, ..., 2.5
    assert np.all(traffic.bits == 129)
    for _ in range(30):
        _, state, _ = one(network, clients(), state=state)
    assert 1.3 < float(state.clip) < 1.6  # three of five norms are at most 1.5, and of two the share is too small


def test_bits_and_changes_together_cost_what_is_stated():
    z, s = 0.8, 0.5
    for bit_noise, used in ((s, s), (None, z)):
        network = exchange.QuantileClipping(1.2, 0.5, 0.2, z, bit_noise=bit_noise)
        noise = aggregate(one(network, clients())[0]) - clipped(FLAT, 1.2).sum(axis=0) / N
        larger = (z**-2 - (2 * used) ** -2) ** -0.5
        # The two parts of one Gaussian mechanism: 1 / z^2 is their sum.
        np.testing.assert_allclose(1 / larger**2 + 0.5**2 / used**2, 1 / z**2)
        assert abs(noise.std() / (larger * 1.2 / N) - 1) < 5 / (2 * DIM) ** 0.5


def test_noise_of_a_tree_is_one_draw_for_each_one_in_the_binary_number():
    """The sum of t rounds has the noise of popcount(t) draws, and nodes of the tree are shared between rounds."""
    network = exchange.TreeNoise(1.0, 2.0, levels=3)
    state, total, sums = programs.begun(network, MESSAGE), 0, {}
    for t in range(1, 9):
        inbox, state, _ = one(network, clients(), state=state, key=jax.random.fold_in(KEY, t))
        total = total + aggregate(inbox) - clipped(FLAT, 1.0).sum(axis=0) / N
        sums[t] = total
    draws = {
        1: sums[1], 2: sums[2], 3: sums[3] - sums[2], 4: sums[4], 5: sums[5] - sums[4], 6: sums[6] - sums[4],
        7: sums[7] - sums[6], 8: sums[8] - sums[7],
    }  # fmt: skip
    for draw in draws.values():
        assert abs(draw.std() / (2 / N) - 1) < 5 / (2 * DIM) ** 0.5
    assert np.abs(np.corrcoef(list(draws.values())) - np.eye(8)).max() < 5 / DIM**0.5


def test_privacy_of_clients_is_for_a_server_and_on_the_way_up():
    quadratic = jdl.problems.quadratic(nodes=4, dim=2)
    with pytest.raises(InputError, match="server"):
        jdl.simulation(quadratic, jdl.algorithms.DPSGD(), topology.ring(4), network=[exchange.ClientPrivacy()])
    with pytest.raises(InputError, match="put it in network"):
        jdl.simulation(quadratic, jdl.algorithms.FedAvg(), network_down=[exchange.ClientPrivacy()])


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("MessageNoise", "ClientPrivacy", "TreeNoise")]


@pytest.mark.parametrize("kind", ["QuantileClipping", *SLOW])
def test_many_noises_are_one_program(kind):
    """Numbers are leaves: a sweep over them is a vmap, and row by row it is the exchange by itself."""
    make, plan = getattr(exchange, kind), clients()
    both = [make(noise_multiplier=z, clip=1.2) for z in (0.5, 2.0)]
    stacked = jax.tree.map(lambda *x: jnp.asarray(x, jnp.float32), *both)
    run = jax.jit(
        lambda network: programs.round_of(network, network.init(MESSAGE), programs.wire(plan, MESSAGE), KEY)[0]
    )
    together = jax.vmap(run)(stacked)
    for i in range(2):
        alone = run(jax.tree.map(lambda x, i=i: x[i], stacked))
        np.testing.assert_allclose(aggregate(jax.tree.map(lambda x, i=i: x[i], together)), aggregate(alone), atol=1e-5)
    assert isinstance(plan.links, Server)


def test_parts_of_a_message_have_noise_of_their_own():
    plan, message = topology.complete(3).plan("dense"), {"x": jnp.zeros((3, 8)), "y": jnp.zeros((3, 8))}
    noise = exchange.MessageNoise(own=True)
    for cut in (
        exchange.SliceLoss(4, 0.0),
        exchange.RandomShare(probability=1.0),
        exchange.PerModule.of({"x": [0] * 3}),
    ):
        found = flat(one(cut.replace(inner=noise), plan, message)[0])[0]
        assert len(np.unique(found)) == 16
    both = exchange.SliceLoss(4, 0.0, inner=exchange.Lossy(inner=noise))
    with pytest.raises(InputError, match="put MessageNoise first"):
        one(both, plan, message)


def test_noise_fills_what_a_codec_left_out():
    plan, message = topology.complete(3).plan("slots"), {"x": jnp.ones((3, 64))}
    size = lambda network: float(np.sum(one(network, plan, message)[2].bits))
    quiet = exchange.Compressed(compressors.TopK(0.25))
    for noise in (exchange.MessageNoise(), exchange.Decor(), exchange.ZipDL()):
        assert size(quiet.replace(inner=noise)) == 3 * 2 * 64 * 32
        assert size(noise.replace(inner=quiet)) == 3 * 2 * 16 * (32 + 6)


def test_copies_that_neighbours_keep_get_no_noise():
    for keeps in (exchange.Choco, exchange.Triggered):
        with pytest.raises(InputError, match="put MessageNoise first"):
            keeps(inner=exchange.Lossy(inner=exchange.MessageNoise()))
    with pytest.raises(InputError, match="got DCD that needs 'copies'"):
        jdl.simulation(
            jdl.problems.quadratic(4, dim=2), jdl.algorithms.DCD(), topology.ring(4), [exchange.MessageNoise()]
        )


def test_own_noise_is_needed_before_gossip_until_consensus():
    with pytest.raises(InputError, match="got MessageNoise before UntilConsensus"):
        exchange.MessageNoise(inner=exchange.UntilConsensus()).init(MESSAGE)
