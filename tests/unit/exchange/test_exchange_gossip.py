"""Repeated, accelerated, stretched and parted gossip against NumPy."""

import functools

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import plan_reading
import pytest

import jdl
from jdl import exchange, topology, tree
from jdl.compressors import TopK
from jdl.exchange.chebyshev import Chebyshev
from jdl.exchange.per_module import PerModule
from jdl.exchange.repeated import Repeated
from jdl.exchange.variance_corrected import VarianceCorrected
from jdl.topology.topology import grouped

N = 9
KEY = jax.random.key(0)
RING = topology.ring(N)
GROUPS = grouped("groups", np.array([0, 2, 0, 1, 1, 2, 0, 1, 3]))
PLANS = {
    "dense": RING.plan("dense"),
    "slots": RING.plan("slots"),
    "edges": RING.plan("edges"),
    "groups": GROUPS.plan("groups"),
}
FORMS = pytest.mark.parametrize(
    "form", ["slots", "groups", *(pytest.param(form, marks=pytest.mark.slow) for form in ("dense", "edges"))]
)


def message(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "a": jnp.asarray(rng.standard_normal((N, 3, 2)), jnp.float32),
        "b": jnp.asarray(rng.standard_normal(N), jnp.float32),
    }


BITS = 7 * 32


def apply(network, plan, own=None, sent=None, key=KEY):
    own = message() if own is None else own
    network = tree.numbers_to_arrays(exchange.stack(network))
    wire = programs.wire(plan, own, sent, BITS)
    return programs.apply(network, network.init(own), wire, key)


def mixed(W, x):
    return {key: np.tensordot(W, np.asarray(value, np.float64), axes=1) for key, value in x.items()}


def close(ours, expected, tolerance=1e-6):
    for key in expected:
        np.testing.assert_allclose(ours[key], expected[key], rtol=0, atol=tolerance)


# ---- repeated -----------------------------------------------------------------------------------------------------


@FORMS
def test_repeated_gossip_is_a_power_of_w(form):
    plan, W = PLANS[form], plan_reading.matrix(PLANS[form]).astype(np.float64)
    inbox, _, traffic = apply([Repeated(3)], plan)
    close(inbox, mixed(np.linalg.matrix_power(W, 3), message()))
    degree = plan_reading.links_into(plan).sum(axis=0)
    np.testing.assert_array_equal(traffic.messages, 3 * degree)
    np.testing.assert_array_equal(traffic.bits, 3 * degree * BITS)


def test_only_the_first_step_tells_own_from_sent():
    plan, W = PLANS["slots"], RING.weights.toarray()
    own, sent = message(0), message(1)
    inbox, _, _ = apply([Repeated(2)], plan, own, sent)
    off = W - np.diag(np.diag(W))
    first = {key: mixed(np.diag(np.diag(W)), own)[key] + mixed(off, sent)[key] for key in own}
    close(inbox, mixed(W, first))


def test_one_step_is_plain_gossip():
    plain = apply([], PLANS["slots"])
    for network in (Repeated(1), Chebyshev(1)):
        inbox, _, traffic = apply([network], PLANS["slots"])
        assert all(np.array_equal(inbox[key], plain[0][key]) for key in inbox)
        np.testing.assert_array_equal(traffic.bits, plain[2].bits)


def test_what_comes_before_acts_once_and_what_comes_after_in_every_step():
    plan, degree = PLANS["slots"], 2
    # top_k makes 2 of 6 numbers and 1 of 1 of the message, with 3 and 0 bits of index.
    small = 2 * (32 + 3) + 32
    np.testing.assert_array_equal(
        apply([TopK(1 / 3), Repeated(3)], plan)[2].bits, np.full(N, degree * (small + 2 * BITS))
    )
    np.testing.assert_array_equal(apply([Repeated(3), TopK(1 / 3)], plan)[2].bits, np.full(N, degree * 3 * small))
    # Links fail anew: of 400 draws of two steps, W_01 of both is zero in a quarter or so, not in half of them.
    eye = {"x": jnp.eye(N, dtype=jnp.float32)}
    network = exchange.stack([Repeated(2), exchange.Lossy(0.5)])
    wire = programs.wire(plan, eye, bits=1)
    keys = jax.random.split(KEY, 400)
    heard = np.asarray(jax.jit(jax.vmap(lambda key: network.apply((), wire, key)[0]["x"]))(keys))
    assert abs((heard[:, 0, 1] == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 400)


def test_an_empty_message_meets_no_exchange():
    """An exchange is not asked about a message without arrays: it keeps no memory, and nothing is on a wire."""
    data = jdl.problems.quadratic(nodes=N, dim=2)
    for network in (Repeated(2), Chebyshev(2), VarianceCorrected(), PerModule.of({"a": np.zeros(N, int)})):
        built = jdl.simulation(data, jdl.algorithms.LocalOnly(), RING, [network])
        state = jax.eval_shape(jdl.sim.init, built)
        assert state.exchange_state == ((),) and jax.eval_shape(jdl.sim.wires, built, state) == ()


# ---- Chebyshev ----------------------------------------------------------------------------------------------------


@functools.partial(jax.jit, static_argnums=1)
def multiplied(plan, K, rho):
    eye = jnp.eye(len(plan.self_weights))
    wire = programs.wire(plan, eye, bits=1)
    return Chebyshev(times=K, rho=rho).apply((), wire, KEY)[0]


def matrix(plan, K, rho):
    """What `Chebyshev` multiplies with, in float64."""
    return np.asarray(multiplied(plan, K, jnp.asarray(rho, float)))


@pytest.mark.parametrize("K", [2, 5, pytest.param(12, marks=pytest.mark.slow)])
def test_chebyshev_contracts_by_its_closed_form(x64, K):
    """||P_K(W) - J|| = 1 / T_K(1 / rho), and P_K is Chebyshev's polynomial of W."""
    graph = topology.ring(12)
    W, rho = graph.weights.toarray(), topology.lambda_2(graph)
    P = matrix(graph.plan("dense"), K, rho)
    small = 1 / np.cosh(K * np.arccosh(1 / rho))
    np.testing.assert_allclose(np.linalg.norm(P - 1 / 12, 2), small, rtol=1e-12)
    values, vectors = np.linalg.eigh(W)
    basis = np.polynomial.chebyshev.Chebyshev.basis(K)
    np.testing.assert_allclose(P, vectors @ np.diag(basis(values / rho) * small) @ vectors.T, rtol=0, atol=1e-12)
    np.testing.assert_allclose(P.sum(1), 1, rtol=0, atol=1e-12)
    assert small < 0.9 * rho**K


def test_a_wrong_rho_costs_speed_alone(x64):
    graph = topology.ring(12)
    norms = [np.linalg.norm(matrix(graph.plan("dense"), 5, rho) - 1 / 12, 2) for rho in (0.0, 0.5, 0.99, 1.0)]
    assert max(norms) < 1 and norms[0] == pytest.approx(topology.lambda_2(graph) ** 5, rel=1e-9)


@FORMS
def test_chebyshev_in_every_form_and_its_traffic(form):
    plan, W = PLANS[form], plan_reading.matrix(PLANS[form]).astype(np.float64)
    inbox, _, traffic = apply([Chebyshev(3, 0.8)], plan)
    T, x = (lambda z: 4 * z**3 - 3 * z), W / 0.8
    close(inbox, mixed((4 * x @ x @ x - 3 * x) / T(1 / 0.8), message()), 2e-6)
    np.testing.assert_array_equal(traffic.bits, 3 * plan_reading.links_into(plan).sum(axis=0) * BITS)
    equal = jax.tree.map(lambda x: jnp.full_like(x, 0.1), message())
    kept = apply([Chebyshev(3, 0.8)], plan, equal)[0]
    assert all(np.asarray(kept[key]).tobytes() == np.asarray(equal[key]).tobytes() for key in equal)


def test_chebyshev_says_where_rho_comes_from():
    with pytest.raises(jdl.checks.InputError, match=r"jdl.topology.lambda_2\(topology\)"):
        Chebyshev(3, None)


# ---- variance -----------------------------------------------------------------------------------------------------


@FORMS
def test_the_variance_of_an_average_is_the_average_of_variances(form):
    plan, W = PLANS[form], plan_reading.matrix(PLANS[form]).astype(np.float64)
    x = {"a": message()["a"] + 3, "b": message()["b"]}
    inbox, _, traffic = apply([VarianceCorrected()], plan, x)
    wide = np.asarray(x["a"], np.float64).reshape(N, -1)
    average = W @ wide
    centre = average.mean(1, keepdims=True)
    factor = np.sqrt((W @ wide.var(1)) / average.var(1))[:, None]
    expected = centre + (average - centre) * factor
    close(inbox, {"a": expected.reshape(N, 3, 2), "b": mixed(W, x)["b"]}, 1e-5)  # one number has no variance
    np.testing.assert_allclose(np.asarray(inbox["a"]).reshape(N, -1).var(1), W @ wide.var(1), rtol=1e-5)
    np.testing.assert_array_equal(traffic.bits, plan_reading.links_into(plan).sum(axis=0) * (BITS + 2 * 32))


def test_xavier_weights_keep_their_variance_and_equal_models_their_bits():
    plan = topology.complete(N).plan("dense")
    x = {"w": jnp.asarray(np.random.default_rng(0).standard_normal((N, 200, 100)), jnp.float32)}
    plain, corrected = (np.asarray(apply(network, plan, x)[0]["w"]) for network in ([], [VarianceCorrected()]))
    assert plain[0].var() == pytest.approx(1 / N, rel=0.02) and corrected[0].var() == pytest.approx(1, rel=0.02)
    equal = {"w": jnp.broadcast_to(x["w"][0], x["w"].shape), "zero": jnp.zeros((N, 4))}
    inbox = apply([VarianceCorrected()], plan, equal)[0]
    close(inbox, {key: np.asarray(value) for key, value in equal.items()})


# ---- modules ------------------------------------------------------------------------------------------------------

MODULES = np.array([0, 0, 1, 1, -1, 2, 2, 2, -1])


def parted(W, modules):
    """A symmetric W between holders of the same module, W'_ij = W_ij min(1 / r_i, 1 / r_j), and the rest at home."""
    held = (modules[:, None] == modules) & (modules[:, None] >= 0)
    shared = held & ~np.eye(N, dtype=bool)
    # What a node gives to holders of its module, itself included.
    given = [W[i, i] + sum(W[i, j] for j in range(N) if shared[i, j]) for i in range(N)]
    off = np.zeros((N, N))
    for i, j in zip(*np.nonzero(shared), strict=True):
        off[i, j] = W[i, j] / max(given[i], given[j])
    return off + np.diag(1 - off.sum(1))


@FORMS
def test_each_array_has_its_own_matrix(form):
    plan, W = PLANS[form], plan_reading.matrix(PLANS[form]).astype(np.float64)
    x = {"layers": {"a": message()["a"], "c": message(1)["a"]}, "b": message()["b"]}
    other = np.array([3, 3, 3, 4, 4, 4, 4, 3, 3])
    network = PerModule.of({"layers": MODULES, ("layers", "c"): other})
    inbox, _, traffic = apply([network], plan, x)
    close(
        inbox["layers"], {"a": mixed(parted(W, MODULES), message())["a"], "c": mixed(parted(W, other), message(1))["a"]}
    )
    close(inbox, {"b": mixed(W, message())["b"]})
    copies = [
        np.count_nonzero(one - np.diag(np.diag(one)), axis=0) for one in (parted(W, MODULES), parted(W, other), W)
    ]
    sizes = np.array([6, 6, 1]) * BITS / 13  # of 13 numbers, in the bits that the message is said to have
    np.testing.assert_allclose(traffic.bits, np.tensordot(sizes, copies, axes=1), rtol=1e-6)
    np.testing.assert_allclose(traffic.messages, copies[2], rtol=1e-6)


def test_all_of_one_module_is_gossip_and_all_private_is_nothing():
    plan = PLANS["slots"]
    plain = apply([], plan)
    inbox, _, traffic = apply([PerModule.of(np.full(N, 5))], plan)
    assert all(np.array_equal(inbox[key], plain[0][key]) for key in inbox)
    np.testing.assert_array_equal(traffic.bits, plain[2].bits)
    np.testing.assert_array_equal(traffic.messages, plain[2].messages)
    inbox, _, traffic = apply([PerModule.of(np.full(N, -1))], plan)
    assert all(np.array_equal(inbox[key], message()[key]) for key in inbox)
    assert np.all(traffic.bits == 0) and np.all(traffic.messages == 0)


def test_disjoint_paths_train_apart():
    """DiPaCo: nodes of one path are a network of their own."""
    W = topology.complete(N).weights.toarray()
    paths = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0])

    def built(weights, *network):
        graph = topology.from_weights(weights, allow_disconnected=True)
        return jdl.simulation(jdl.problems.quadratic(nodes=N, dim=3), jdl.algorithms.DPSGD(lr=0.1), graph, network)

    end = jax.jit(lambda one: jdl.sim.advance(one, jdl.sim.init(one), 20)[0].nodes.x)
    ends = [np.asarray(end(one)) for one in (built(W, PerModule.of(paths)), built(parted(W, paths)), built(W))]
    np.testing.assert_allclose(ends[0], ends[1], rtol=0, atol=1e-6)
    assert np.abs(ends[2] - ends[0]).max() > 1e-2


def test_a_link_that_fails_does_so_for_all_arrays():
    x = {"a": jnp.eye(N, dtype=jnp.float32), "b": jnp.eye(N, dtype=jnp.float32)}
    inbox, _, _ = apply([PerModule.of({"a": np.zeros(N, int)}), exchange.Lossy(0.5)], PLANS["slots"], x)
    assert np.array_equal(inbox["a"], inbox["b"]) and np.count_nonzero(inbox["a"]) < 3 * N


def test_modules_that_do_not_fit_are_refused():
    for bad in (np.zeros(N), np.full(N, -2), np.zeros((N, 2), int), "abc"):
        with pytest.raises(jdl.checks.InputError, match="need whole numbers"):
            PerModule.of(bad)
    with pytest.raises(jdl.checks.InputError, match="which no array of the message has in its path; need one of a, b"):
        PerModule.of({"c": np.zeros(N, int)}).init(message())
    with pytest.raises(jdl.checks.InputError, match="for 3 nodes, need one for each of 9"):
        PerModule.of({"a": np.zeros(3, int)}).init(message())
    assert PerModule.needs == {"peers"}
