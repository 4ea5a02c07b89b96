"""Compressors, medians, liars and CHOCO's memory against NumPy."""

import itertools
import math

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import exchange, topology, tree
from jdl.compressors import HalfPrecision, TopK
from jdl.compressors.top_k import largest as largest_of_one
from jdl.exchange import sorting
from jdl.types import Plan, Slots

KEY = jax.random.key(0)
largest = jax.vmap(largest_of_one, in_axes=(0, None))
select = jax.jit(largest)


def compress_rows(codec, message):
    """Every row of `M[m]` by itself."""
    return _compressed(codec, message)


@jax.jit
def _compressed(codec, message):
    return jax.vmap(lambda row: codec((), row, KEY)[::2])(message)


def apply(network, link, wire):
    return programs.apply(network, link, wire, KEY)


def reference(x, k):
    """The k largest magnitudes of every row, the first ones at a tie."""
    keep = np.zeros(x.shape, bool)
    for row, magnitudes in enumerate(np.abs(x)):
        keep[row, np.argsort(-magnitudes, kind="stable")[:k]] = True
    return keep


INPUTS = {
    "normal": np.random.default_rng(0).standard_normal((6, 17)),
    "ties": np.random.default_rng(1).integers(-2, 3, (6, 17)).astype(float),
    "zeros": np.zeros((2, 17)),
    "wide": np.random.default_rng(2).standard_normal((6, 17))
    * 10.0 ** np.random.default_rng(3).integers(-30, 30, (6, 17)),
    "subnormal and huge": np.array([[1e-40, -1e-39, 3e38, 0.0, -0.0, -3e38, 1.0, 2e-45] + [0.5] * 9]),
}


def test_top_k_is_a_stable_sort():
    x = np.concatenate([*INPUTS.values()]).astype(np.float32)
    for k in (0, 1, 2, 8, 16, 17):
        np.testing.assert_array_equal(select(jnp.asarray(x), jnp.int32(k)), reference(x, k), err_msg=f"k={k}")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_top_k_of_short_numbers(dtype):
    x = jnp.asarray(INPUTS["normal"], dtype)
    np.testing.assert_array_equal(select(x, jnp.int32(5)), reference(np.asarray(x, np.float64), 5))


def test_top_k_of_long_numbers(x64):
    x = INPUTS["normal"]
    np.testing.assert_array_equal(select(jnp.asarray(x), jnp.int32(5)), reference(x, 5))
    close = 1 + np.tile(np.arange(17), (6, 1)) * 1e-15  # float32 would see ties
    np.testing.assert_array_equal(select(jnp.asarray(close), jnp.int32(5)), reference(close, 5))


def test_no_number_is_the_largest():
    """A NaN must travel, not hide: the run should say that it diverged."""
    x = jnp.asarray([[1.0, np.nan, 3.0, np.inf]])
    assert np.array_equal(select(x, jnp.int32(2)), [[False, True, False, True]])


def test_the_fraction_is_traced():
    traces = []
    x = jnp.asarray(INPUTS["normal"], jnp.float32)

    @jax.jit
    def compress(codec, x):
        traces.append(codec)
        return compress_rows(codec, x)

    for fraction in (0.0, 0.05, 0.3, 0.5, 1.0):
        sent, bits = compress(TopK(jnp.float32(fraction)), x)
        k = max(1, round(fraction * 17))
        np.testing.assert_array_equal(sent, np.where(reference(np.asarray(x), k), x, 0))
        np.testing.assert_array_equal(bits, np.full(6, k * (32 + 5)))  # 5 bits name one of 17
    assert len(traces) == 1


def test_bits_of_top_k():
    """So many that they name one of d entries; arrays of a message count one by one."""
    index_bits = {1: 0, 2: 1, 3: 2, 4: 2, 5: 3, 1024: 10, 1025: 11}
    for sizes in ([1, 2, 3, 4, 5], [1024], [1025]):
        _, bits = compress_rows(TopK(0.5), [jnp.ones((2, d)) for d in sizes])
        expected = sum(max(1, round(0.5 * d)) * (32 + index_bits[d]) for d in sizes)
        np.testing.assert_array_equal(bits, np.full(2, expected))


def test_each_array_of_a_message_is_compressed_by_itself():
    message = {"a": jnp.asarray(INPUTS["normal"][:, :8].reshape(6, 2, 4), jnp.float32), "w": jnp.ones(6)}
    sent, bits = compress_rows(TopK(0.25), message)
    kept = np.count_nonzero(np.asarray(sent["a"]).reshape(6, -1), axis=1)
    assert np.array_equal(kept, np.full(6, 2)) and np.array_equal(sent["w"], np.ones(6))
    np.testing.assert_array_equal(bits, np.full(6, 2 * (32 + 3) + 32))


def test_top_k_contracts():
    x = np.random.default_rng(0).standard_normal((1000, 20)).astype(np.float32)
    sent, _ = compress_rows(TopK(0.2), jnp.asarray(x))
    error, size = np.square(sent - x).sum(1), np.square(x).sum(1)
    assert np.all(error <= (1 - 4 / 20) * size + 1e-6)
    tail = np.sort(np.square(x), axis=1)[:, :16].sum(1)
    np.testing.assert_allclose(error, tail, rtol=1e-5)


def test_a_node_keeps_its_own_copy_whole():
    """own is not compressed: with nothing on the links but zeros, W_ii x_i remains."""
    own = jnp.asarray([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    plan = topology.from_weights([[0.25, 0.75], [0.75, 0.25]]).plan()
    wire = programs.wire(plan, own, bits=96)
    network = exchange.Compressed(TopK(0.34))
    inbox, _, traffic = apply(network, network.init(own), wire)
    expected = 0.25 * np.asarray(own) + 0.75 * np.array([[0, 0, 32.0], [0, 0, 4.0]])
    np.testing.assert_allclose(inbox, expected)
    np.testing.assert_array_equal(traffic.bits, [34, 34])


# ---- medians ------------------------------------------------------------------------------------------------------


def star(values, dtype=jnp.float32):
    """Node 0 listens to all others; the others, with padded slots, to nobody."""
    n = len(values)
    table = np.zeros((n, n - 1), np.float32)
    table[0] = 1 / n
    senders = np.tile(np.arange(n, dtype=np.int32)[:, None], (1, n - 1))
    senders[0] = np.arange(1, n)
    links = Slots(weights=jnp.asarray(table), used=jnp.asarray(table != 0), senders=jnp.asarray(senders))
    plan = Plan(links=links, self_weights=jnp.asarray(1 - table.sum(1)), stochastic="row")
    x = jnp.asarray(values, dtype)
    wire = programs.wire(plan, x, bits=32)
    return np.asarray(apply(exchange.CoordinateMedian(), (), wire)[0])


def test_sorting_networks_sort():
    """By the 0-1 principle (Knuth, volume 3, theorem 5.3.4Z): what sorts all rows of zeros and ones sorts anything."""
    for k in range(1, 11):
        rows = np.array(list(itertools.product((0, 1), repeat=k)))
        ordered = np.sort(rows, axis=1)
        for stage in sorting.network(k):
            low, high = np.transpose(stage)
            assert len({*low, *high}) == 2 * len(stage)
            rows[:, low], rows[:, high] = rows[:, low] & rows[:, high], rows[:, low] | rows[:, high]
        np.testing.assert_array_equal(rows, ordered, err_msg=f"k={k}")


# Beyond 64 messages as a loop.
@pytest.mark.parametrize("n", [2, 5, 8, 66, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 4, 33, 64, 65))])
def test_medians_of_odd_and_even_counts(n):
    values = np.random.default_rng(n).standard_normal((n, 7)).astype(np.float32)
    inbox = star(values)
    np.testing.assert_allclose(inbox[0], np.median(values, axis=0), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(inbox[1:], values[1:])  # padding is nobody's vote
    ties = np.round(values)
    np.testing.assert_array_equal(star(ties)[0], np.median(ties, axis=0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e38, -1e38])
@pytest.mark.parametrize("liars", [1, 2])
def test_medians_stand_a_minority_of_anything(bad, liars):
    honest = np.arange(1.0, 8 - liars, dtype=np.float32)
    values = np.concatenate([honest, np.full(liars, bad)])[:, None]
    assert honest.min() <= star(values)[0, 0] <= honest.max()


def test_medians_of_large_equal_numbers_do_not_overflow():
    assert np.all(star(np.full((8, 7), 3e38))[0] == np.float32(3e38))


# ---- liars --------------------------------------------------------------------------------------------------------


def test_the_number_of_liars_is_exact():
    for n in (1, 8, 100):
        for fraction in (0.0, 0.1, 0.25, 0.5, 1.0):
            liars, _ = exchange.SignFlip(fraction).init(jnp.zeros((n, 2)))
            assert int(np.asarray(liars).sum()) == round(fraction * n), (n, fraction)


def test_liars_differ_by_seed_and_stay_the_same_over_rounds():
    draws = [tuple(np.asarray(exchange.SignFlip(0.5, attack_seed=s).init(jnp.zeros((20, 1)))[0])) for s in range(5)]
    assert len(set(draws)) == 5
    again = exchange.SignFlip(0.5, attack_seed=3).init({"a": jnp.zeros((20, 4))})[0]
    assert tuple(np.asarray(again)) == draws[3]


def test_a_server_attacks_nobody():
    """Of the one sender on the way down round(0.9) = 1 would be drawn."""
    data = jdl.problems.quadratic(4, dim=3)
    parts = [
        jdl.simulation(data, jdl.algorithms.FedAvg(lr=0.5), network_down=down)
        for down in ([], [exchange.SignFlip(0.9)])
    ]
    plain, attacked = (jax.jit(lambda part: jdl.sim.step(part, jdl.sim.init(part))[0].server)(part) for part in parts)
    jax.tree.map(np.testing.assert_array_equal, plain, attacked)


def test_liars_flip_what_they_send_and_keep_the_truth():
    plan, own = topology.complete(4).plan("dense"), jnp.asarray([[1.0], [2.0], [3.0], [4.0]])
    attack = exchange.SignFlip(0.5, strength=3.0)
    link = attack.init(own)
    wire = programs.wire(plan, own, bits=32)
    inbox, _, _ = apply(tree.numbers_to_arrays(attack), link, wire)
    lies = np.where(np.asarray(link[0])[:, None], -3 * np.asarray(own), own)
    expected = (lies.sum(0) - lies + np.asarray(own)) / 4
    np.testing.assert_allclose(inbox, expected, atol=1e-6)


def test_liars_are_the_same_nodes_among_the_sampled_clients():
    """Nodes lie, not rows: with participants the row's id decides."""
    from jdl.schedule import Sampling

    data = jdl.problems.quadratic(nodes=10, dim=1, condition=1.0)
    simulation = jdl.simulation(data, jdl.algorithms.FedAvg(lr=0.5), Sampling(10, 1), [exchange.SignFlip(0.4)])
    sim = jax.jit(jdl.sim.init)(simulation, np.zeros(1, np.float32))
    liars = np.asarray(sim.exchange_state[0][0])
    step = jax.jit(jdl.sim.step)
    told = {}
    drawn = jax.jit(lambda t: simulation.schedule((), t, jdl.sim.key_of(simulation.key, "schedule", t))[0].participants)
    for t in range(30):
        node, (new, _) = int(drawn(jnp.int32(t))[0]), step(simulation, sim)
        truth = -0.5 * (np.asarray(sim.server) - np.asarray(data.b)[node])
        told[node] = np.allclose(new.server - sim.server, -truth, atol=1e-6)
        assert told[node] or np.allclose(new.server - sim.server, truth, atol=1e-6)
        sim = new
    assert liars.sum() == 4 and all(liars[node] == lied for node, lied in told.items()) and len(told) > 7


# ---- CHOCO --------------------------------------------------------------------------------------------------------


def test_choco_by_hand():
    """xhat += C(x - xhat); inbox = x + gamma (W xhat - xhat), twice, with `own` and `sent` told apart."""
    W = np.array([[0.5, 0.3, 0.2], [0.3, 0.6, 0.1], [0.2, 0.1, 0.7]])
    plan, rng = topology.from_weights(W).plan(), np.random.default_rng(0)
    network = tree.numbers_to_arrays(exchange.Choco(gamma=0.3, compressor=TopK(0.5)))
    hat = np.zeros((3, 4))
    link = network.init(jnp.zeros((3, 4)))
    for _ in range(2):
        x = rng.standard_normal((3, 4)).astype(np.float32)
        wire = programs.wire(plan, jnp.asarray(x))
        inbox, link, traffic = apply(network, link, wire)
        gap = x - hat
        hat = hat + np.where(reference(gap, 2), gap, 0)
        np.testing.assert_allclose(inbox, x + 0.3 * (W @ hat - hat), rtol=0, atol=1e-6)
        np.testing.assert_allclose(link[0], hat, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(traffic.bits, np.full(3, 2 * 2 * (32 + 2)))


# ---- stacks -------------------------------------------------------------------------------------------------------


def test_a_stack_meets_messages_in_order():
    """top_k then sign_flip, and the other way round, send the same; lossy then top_k counts what is attempted."""
    own = jnp.asarray(np.random.default_rng(0).standard_normal((6, 10)), jnp.float32)
    plan = topology.complete(6).plan("dense")
    wire = programs.wire(plan, own, bits=320)

    def inbox(*network):
        stack = exchange.stack(list(network))
        return apply(tree.numbers_to_arrays(stack), stack.init(own), wire)

    one, other = TopK(0.2), exchange.SignFlip(0.5)
    np.testing.assert_allclose(inbox(one, other)[0], inbox(other, one)[0], atol=1e-6)
    np.testing.assert_array_equal(inbox(exchange.Lossy(1.0), one)[2].bits, np.full(6, 5 * 2 * (32 + 4)))
    assert math.isclose(float(np.abs(np.asarray(inbox()[0]) - np.asarray(own).mean(0)).max()), 0, abs_tol=1e-6)


def test_two_lossy_layers_lose_independently():
    plan, eye = topology.complete(6).plan("dense"), jnp.eye(6)
    network = exchange.stack([exchange.Lossy(0.5), exchange.Lossy(0.5)])
    wire = programs.wire(plan, eye, bits=32)
    keys = jax.random.split(jax.random.key(0), 500)
    matrices = np.asarray(jax.jit(jax.vmap(lambda key: network.apply((), wire, key)[0]))(keys))
    gone = matrices[:, *np.triu_indices(6, 1)] == 0
    assert abs(gone.mean() - 0.75) < 5 * np.sqrt(0.75 * 0.25 / gone.size)


def test_trimmed_mean_is_the_published_example():
    """ByzFL's documentation: honest rows [1 2 3], [4 5 6], [7 8 9], one liar that sends minus their mean, f = 1."""
    honest = np.arange(1.0, 10.0, dtype=np.float32).reshape(3, 3)
    sent = jnp.asarray(np.concatenate([honest, -honest.mean(axis=0, keepdims=True)]))
    plan = topology.complete(4).plan("slots")
    given = programs.wire(plan, sent, bits=1)
    inbox, _, _ = apply(exchange.TrimmedMean(1), (), given)
    np.testing.assert_array_equal(inbox, np.broadcast_to(np.float32([2.5, 3.5, 4.5]), (4, 3)))


@pytest.mark.parametrize(("n", "trim"), [(7, 0), (7, 1), (7, 3), (7, 9), (80, 20)])
def test_trimmed_mean_leaves_out_the_extremes_of_each_coordinate(n, trim):
    """Against NumPy's sort, ties and infinities among the values; more trimmed than there are: the median."""
    rng = np.random.default_rng(n)
    sent = rng.integers(-3, 4, (n, 40)).astype(np.float32)
    sent[0, :5], sent[1, :2] = np.inf, -np.inf
    given = programs.wire(topology.complete(n).plan("slots"), jnp.asarray(sent), bits=1)
    inbox, _, _ = apply(exchange.TrimmedMean(trim), (), given)
    cut = min(trim, (n - 1) // 2)
    with np.errstate(invalid="ignore"):
        expected = np.sort(sent, axis=0)[cut : n - cut].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(inbox[0], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(inbox, np.broadcast_to(inbox[0], inbox.shape))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_messages_are_rounded_on_the_way_only(dtype):
    """Half the bits; own copies exact; the error of a neighbour's copy is at most half a unit in its last place."""
    x = jnp.asarray(np.random.default_rng(0).standard_normal((9, 50)), jnp.float32)
    plan = topology.ring(9).plan()
    network = exchange.stack([HalfPrecision(dtype)])
    given = programs.wire(plan, x, bits=1600)
    inbox, _, traffic = apply(network, network.init(x), given)
    np.testing.assert_array_equal(traffic.bits, np.full(9, 2 * 800.0))
    W = topology.ring(9).weights.toarray()
    rounded = np.asarray(x.astype(dtype).astype(jnp.float32), np.float64)
    expected = np.diag(W)[:, None] * np.asarray(x) + (W - np.diag(np.diag(W))) @ rounded
    np.testing.assert_allclose(inbox, expected, rtol=0, atol=1e-6)
    assert np.abs(expected - W @ np.asarray(x)).max() > 1e-5


def test_a_narrow_type_that_does_not_exist_is_refused():
    with pytest.raises(jdl.checks.InputError, match="got dtype 'int8', which does not exist; did you mean"):
        HalfPrecision("int8")
