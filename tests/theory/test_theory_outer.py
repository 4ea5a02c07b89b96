"""Outer optimizers, DiLoCo and its kin: what they are in their limits, where they end, what travels, float32."""

import beds
import jax
import jax.numpy as jnp
import numpy as np
import numpy_federated as federated
import optax
import pytest
import rows
from beds import MEAN, N, apart, close, same
from flax import struct
from table import LR, OUTER, ROUNDS, SGD, WHOLE, WIDE, H, X, adamw, top, x

import jdl
from jdl import algorithms, exchange
from jdl.engine import sim as simulator
from jdl.schedule import Availability, Matching, Sampling

pytestmark = pytest.mark.usefixtures("x64")
EVERYBODY = [np.arange(N)] * ROUNDS
PLAIN = {"outer_lr": 1.0, "outer_momentum": 0.0}


def noisy(**bed):
    return beds.quadratic(noise=0.3, **bed)


def served(name, problem=None, **options):
    """The server's model, `[T + 1, d]`."""
    return rows.run(name, problem=noisy() if problem is None else problem, **options).models[:, 0]


def steps_of(problem, inner=federated.SGD, **how):
    """DiLoCo in NumPy."""
    return federated.diloco(EVERYBODY, beds.gradient(problem), x, LR, ROUNDS, H, N, 0.3, 0.4, inner, **how)


# ---- DiLoCo ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("participants", "tolerance"), [(N, 0), (3, 1e-15)])
def test_diloco_without_an_outer_optimizer_is_fedavg(participants, tolerance):
    ours = served("DiLoCo sgd", participants=participants, **PLAIN)
    same(ours, served("FedAvg unweighted", participants=participants), tolerance)
    apart(ours, served("DiLoCo sgd", participants=participants))


def test_diloco_weighs_workers_by_examples_if_asked():
    problem = beds.quadratic(counts=beds.COUNTS)
    weighted = served("DiLoCo sgd", problem, weighted=True, **PLAIN)
    same(weighted, served("FedAvg", problem, server_lr=1.0), 1e-15)
    apart(weighted, served("DiLoCo sgd", problem, **PLAIN))


def test_one_step_of_gradient_descent_is_gradient_descent():
    problem = beds.quadratic()
    ours = served("DiLoCo sgd", problem, local_steps=1, **PLAIN)
    same(ours, beds.descent(problem, x, LR), 1e-12)


def test_equal_workers_without_outer_momentum_are_lookahead():
    """Lookahead: fast weights take H steps, slow weights go a share `a` of the way; here with momentum inside."""
    problem = beds.same_data(beds.quadratic())
    ours = served("DiLoCo momentum", problem, outer_lr=0.3, outer_momentum=0.0)
    slow = federated.lookahead(beds.gradient(problem), np.tile(x, (N, 1)), LR, ROUNDS, H, 0.3, federated.HeavyBall)
    same(ours, slow[:, 0], 1e-12)


def test_the_two_forms_of_outer_momentum_differ():
    """The heavy ball is SlowMo, which the references are checked for."""
    apart(served("DiLoCo heavy ball"), served("DiLoCo momentum"))


def test_delayed_nesterov_after_a_push_of_every_worker_is_diloco():
    """Workers push one after the other; the momentum is used once in N pushes (c = 0)."""
    G, y, out, pushes = beds.gradient(noisy()), x, [x], []
    for t in range(ROUNDS):
        pushes.extend(y - federated.local_sgd(G, federated.spread(y, N), LR, t, H))
        y = federated.delayed_nesterov(x, pushes, 0.3, 0.4, buffer=N)[-1]
        out.append(y)
    same(served("DiLoCo sgd"), np.stack(out), 1e-12)


def test_the_limit_of_diloco_is_that_of_fedavg_and_not_the_optimum():
    problem = beds.quadratic()
    expected = beds.local_limit(problem, LR, H)
    close(rows.limit("DiLoCo sgd", 600, problem=problem, outer_lr=0.6, outer_momentum=0.8), expected, 1e-10)
    apart(expected, beds.optimum(problem), 1e-3)


def test_open_diloco_in_half_precision_stays_close():
    built = jdl.simulation(
        noisy(), rows.method("DiLoCo sgd"), Sampling(N, N), [jdl.compressors.HalfPrecision("float16")]
    )
    ours, exact = beds.record(built, x).models[:, 0], served("DiLoCo sgd")
    assert 1e-6 < np.linalg.norm(ours[10] - exact[10]) / np.linalg.norm(exact[10]) < 2e-3


def test_in_float32_diloco_does_not_drift_in_two_thousand_rounds():
    """Messages of OpenDiLoCo in float32 are DiLoCo's, bit for bit."""
    with jax.enable_x64(False):
        algorithm = rows.method("DiLoCo sgd", outer_lr=0.6, outer_momentum=0.8)
        networks = ((), [jdl.compressors.HalfPrecision("float32")])
        whole, narrowed = (jdl.simulation(beds.quadratic(), algorithm, Sampling(N, N), net) for net in networks)
        start = x.astype(np.float32)
        after = [beds.limit(whole, rounds, start)[0] for rounds in (500, 2000)]
        narrow = beds.limit(narrowed, 500, start)[0]
    assert after[0].dtype == np.float32
    np.testing.assert_array_equal(narrow, after[0])
    np.testing.assert_allclose(after[1], after[0], rtol=0, atol=2e-6)


def test_adamw_inside_is_the_default():
    """With its usual numbers, decay 0.1, decoupled; the table proves that its state stays with the worker."""
    default = algorithms.DiLoCo(local_steps=H)
    built = jdl.simulation(noisy(), default, Sampling(N, N))
    expected = federated.diloco(EVERYBODY, beds.gradient(noisy()), x, 0.01, ROUNDS, H, N, 0.7, 0.9, adamw)
    same(beds.record(built, x).models[:, 0], expected, 1e-10)


def test_another_outer_optimizer_is_fed_with_the_outer_gradients():
    G, y, adam, out = beds.gradient(noisy()), x, federated.AdamW((1, len(x))), [x]
    for t in range(ROUNDS):
        D = y - federated.local_sgd(G, federated.spread(y, N), LR, t, H).mean(0)
        y = adam(y[None], D[None], 0.3)[0]
        out.append(y)
    same(served("DiLoCo sgd", outer_optimizer="adam"), np.stack(out))


@pytest.mark.slow
def test_an_optax_transform_with_the_same_momentum_is_the_same_outer_step():
    ours = served("DiLoCo sgd", outer_optimizer=optax.trace(decay=0.4, nesterov=True))
    same(ours, served("DiLoCo sgd"), 1e-12)


# ---- Streaming DiLoCo --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fragments"),
    [
        ("StreamingDiLoCo", [0, 0, 1, 1, 0]),
        ("StreamingDiLoCo in order", [0, 0, 0, 0, 1]),
        ("StreamingDiLoCo late", [0, 0, 1, 1, 2]),
    ],
)
def test_streaming_diloco_counts_what_travels(name, fragments):
    """Up the due fragment of each worker, down the one of the round before, 64 bits a number."""
    bits, P = rows.run(name).bits, max(fragments) + 1
    sizes = np.array([fragments.count(t % P) for t in range(ROUNDS)]) * 64.0
    np.testing.assert_array_equal(bits[:, :-1], np.tile(np.cumsum(sizes)[:, None], N))
    np.testing.assert_array_equal(bits[:, -1], N * np.concatenate([[0], np.cumsum(sizes)[:-1]]))


def streamed(problem=None, talk=None, **fields):
    problem = noisy(form=beds.pieces) if problem is None else problem
    algorithm = algorithms.StreamingDiLoCo(lr=LR, **{**SGD, **OUTER, **fields})
    return beds.record(jdl.simulation(problem, algorithm, Sampling(N, N) if talk is None else talk), problem.form(x))


def test_streaming_diloco_of_one_fragment_is_diloco():
    """Unlike DiLoCo its workers keep models, which must make no difference; a share alpha of them must."""
    base = served("DiLoCo sgd")
    same(streamed(fragments=1).models[:, 0], base, 1e-12)
    for other in ({"alpha": 0.3}, {"delay": 1}):
        apart(streamed(fragments=1, **other).models[:, 0], base)
    # A single array is one fragment, whatever the default; and a worker that was away begins with the whole model.
    whole = streamed(noisy(), Sampling(N, 3)).models[:, 0]
    same(whole, served("DiLoCo sgd", participants=3), 1e-12)


def test_streaming_diloco_counts_what_a_worker_fetches_after_an_absence():
    there = np.ones((5, N), bool)
    there[1, 0] = there[3:, 1] = False
    bits = streamed(talk=Availability.for_nodes(N, there)).bits[4]
    up = there * (64.0 * np.array([2, 2, 1, 2, 2]))[:, None]  # one array a round
    up[2, 0] += 64 * 5
    np.testing.assert_array_equal(bits[:-1], up.sum(0))


def test_streaming_diloco_says_what_does_not_fit():
    problem, Streaming = beds.quadratic(form=beds.pieces), algorithms.StreamingDiLoCo
    with pytest.raises(ValueError, match="got fragments=4, need at most the model's 3 arrays; try 0"):
        jdl.simulation(problem, Streaming(fragments=4))
    with pytest.raises(ValueError, match=r"got delay=3, .*; try delay=2"):
        jdl.simulation(problem, Streaming(local_steps=3, delay=3))


def test_streaming_diloco_with_stragglers_splits_their_budget():
    """A budget of two steps of three, with the merge after the first, is a round of two steps."""

    @struct.dataclass
    class Slow(jdl.oracle.DataOracle):
        def steps(self, data):
            return jnp.int32(2)

    fields = {"lr": LR, **SGD, **OUTER, "delay": 1, "alpha": 0.5}
    with jax.enable_x64(False):  # `local_steps` counts in int64 otherwise, which budgets, int32, are not compared with
        slow = jdl.simulation(noisy(), algorithms.StreamingDiLoCo(**fields), oracle=Slow())
        short = jdl.simulation(noisy(), algorithms.StreamingDiLoCo(**{**fields, "local_steps": 2}))
        slow, short = (beds.record(one, x.astype(np.float32)).models[:11, 0] for one in (slow, short))
    same(slow, short, 1e-5)


# ---- peers: eager updates, NoLoCo --------------------------------------------------------------------------------


def test_eager_workers_without_links_are_one_diloco_each():
    problem = noisy()
    ours = rows.run("EagerDiLoCo", np.eye(N), problem).models
    G, A, b = beds.gradient(problem), np.asarray(problem.A), np.asarray(problem.b)
    for i in (0, 5):
        noise = lambda t, k, i=i: G(np.zeros_like(b), t, k)[i : i + 1] + b[i : i + 1]
        alone = lambda Y, t, k, i=i, noise=noise: Y @ A[i] - b[i] + noise(t, k)
        same(ours[:, i], federated.diloco([[0]] * ROUNDS, alone, X[i], LR, ROUNDS, H, 1, 0.3, 0.4, adamw), 1e-12)


def test_equal_eager_workers_stay_equal_and_wait_for_each_other():
    problem = beds.same_data(beds.quadratic())
    equal = rows.run("EagerDiLoCo", MEAN, problem, beds.one_start()).models
    np.testing.assert_array_equal(equal, np.broadcast_to(equal[:, :1], equal.shape))
    apart(equal[:, 0], served("DiLoCo", problem))


def test_eager_diloco_refuses_links_that_fail():
    with pytest.raises(jdl.checks.InputError, match="reliable"):
        jdl.simulation(beds.quadratic(), algorithms.EagerDiLoCo(), MEAN, [exchange.Lossy(0.1)])


def test_gossip_diloco_with_exact_averages_is_diloco_with_the_heavy_ball():
    problem = noisy()
    ours = rows.run("GossipDiLoCo", MEAN, problem, beds.one_start()).models
    ball = steps_of(problem, adamw, nesterov_form=False)
    same(ours, ball[:, None], 1e-12)
    apart(ball, steps_of(problem, adamw))


def test_models_of_noloco_meet_over_random_pairs_as_its_bound_says():
    """The second moments of slow models and momentum, exactly, against the mean over many seeds; then the bound."""
    n, runs, rounds, mu, pull = N, 4000, 4, 0.5, 0.7
    rate = n / (2 * (n - 1))  # E[I - W] over matchings, on vectors of mean zero; I - W is a projection

    def moments(pull, mu):
        """(|x|^2, x.m, |m|^2) of a round from those of the one before."""
        m = np.array([rate * pull**2, -2 * mu * rate * pull, mu**2])
        cross = np.array([-rate * pull, mu, 0])
        return np.stack([np.array([1, 0, 0]) + 2 * cross + m, cross + m, m])

    algorithm = algorithms.GossipDiLoCo(lr=0.0, local_steps=1, optimizer="sgd", outer_momentum=mu, pull=pull)
    built = jdl.simulation(jdl.problems.quadratic(n, 1), algorithm, Matching(n))
    start = beds.start(dim=1) - beds.start(dim=1).mean(0)

    def run(seed):
        simulation = built.replace(key=jax.random.key(seed))
        sim = simulator.init(simulation, start)
        step = lambda sim, _: ((new := simulator.step(simulation, sim)[0]), jnp.sum(new.nodes.x**2))
        return jax.lax.scan(step, sim, None, length=rounds)[1]

    found = np.asarray(beds.jit(jax.vmap(run))(jnp.arange(runs)))
    state = np.array([np.sum(start**2), 0, 0])
    for t in range(rounds):
        state = moments(pull, mu) @ state
        assert abs(found[:, t].mean() - state[0]) < 5 * found[:, t].std() / np.sqrt(runs)
    for mu in (0.0, 0.5, 0.9):
        bound = 2 * (1 - mu**2) / (1 - mu / (n - 1))
        radius = [np.abs(np.linalg.eigvals(moments(share * bound, mu))).max() for share in (0.99, 1.01)]
        assert radius[0] < 1 < radius[1]


# ---- DiLoCoX -----------------------------------------------------------------------------------------------------


def test_dilocox_without_delay_and_compression_is_diloco():
    same(served("DiLoCoX at once", **WHOLE), served("DiLoCo sgd"), 1e-12)


def test_dilocox_with_equal_workers_is_nesterov_fed_with_the_previous_gradient():
    problem = beds.same_data(beds.quadratic())
    ours = served("DiLoCoX at once", problem, overlap=True, **WHOLE)
    G, y, b, old = beds.gradient(problem), x, 0.0, 0.0
    for t in range(ROUNDS):
        close(ours[t], y, 1e-12)
        D = y - federated.local_sgd(G, federated.spread(y, N), LR, t, H)[0]
        (y, b), old = federated.nesterov(y, b, old, 0.3, 0.4), D
    apart(ours[-1], ours[0], 0.1)


def test_dilocox_counts_what_its_compressor_sends():
    bits = rows.run("DiLoCoX").bits[2]
    np.testing.assert_array_equal(bits[:-1], 3 * 2 * (64 + 3))  # two numbers of 64 bits, and indices below 5
    assert bits[-1] == 3 * N * beds.DIM * 64


# ---- SPARTA, DeMo, SparseLoCo, MuLoCo ----------------------------------------------------------------------------


def test_sparta_that_averages_everything_is_dpsgd_and_that_averages_nothing_is_local():
    """It sends what is chosen, 64 bits a number, and no places."""
    problem, W = noisy(), beds.symmetric()
    run = rows.run("SPARTA", W, problem, fraction=1.0)
    same(run.models, rows.run("DPSGD", W, problem).models, 0)
    np.testing.assert_array_equal(run.bits[-1], ROUNDS * beds.DIM * 64 * (W - np.diag(np.diag(W)) > 0).sum(0))
    alone = rows.run("SPARTA", W, problem, fraction=0.0)
    same(alone.models, rows.run("DPSGD", np.eye(N), problem).models, 0)
    assert not alone.bits.any()


def wide():
    return rows.problem_of("SparseLoCo", noise=0.3)


@pytest.mark.parametrize("name", ["SparseLoCo", "SparseLoCo over all"])
def test_sparseloco_that_sends_everything_is_diloco_without_outer_momentum(name):
    """For any decay of the error, which is zero."""
    inner = federated.HeavyBall if name == "SparseLoCo" else federated.SGD
    expected = federated.diloco(
        EVERYBODY, beds.gradient(wide()), WIDE[0], LR, ROUNDS, H, N, outer_lr=0.8, outer_momentum=0.0, inner=inner
    )
    for error_decay in (0.7, 1.0):
        same(served(name, wide(), fraction=1.0, error_decay=error_decay), expected, 1e-12)
    apart(served(name, wide()), expected)


def test_sparseloco_counts_entries_places_and_means_of_bins():
    """Of two blocks of 2 x 3 numbers 2 each: 64 or 2 bits, 3 bits for its place; 5 means of 64 bits."""
    whole, binned = (rows.run(name, problem=wide()).bits[0, :-1] for name in ("SparseLoCo", "SparseLoCo in bins"))
    np.testing.assert_array_equal(whole, 4 * (64 + 3))
    np.testing.assert_array_equal(binned, 4 * (2 + 3) + 5 * 64)
    np.testing.assert_array_equal(rows.run("DeMo", problem=wide()).bits[0, :-1], 4 * (64 + 3))


@pytest.mark.slow
@pytest.mark.parametrize("by_senders", [True, False])
def test_demo_that_sends_all_its_momentum_is_sign_descent(by_senders):
    G, y, out = beds.gradient(wide()), WIDE[0], [WIDE[0]]
    for t in range(ROUNDS):
        y = y - LR * np.sign(G(federated.spread(y, N), t, 0).mean(0))
        out.append(y)
    same(served("DeMo", wide(), k=6, by_senders=by_senders), np.stack(out), 1e-12)


def test_muloco_without_error_feedback_is_diloco_with_compressed_changes():
    """With error_decay = 1 the whole error comes back, as in DiLoCoX without its delay."""
    for error_decay, feedback in ((0.0, False), (1.0, True)):
        expected, _ = federated.dilocox(
            beds.gradient(noisy()), x, LR, ROUNDS, H, N, 0.3, 0.4, top, 0, feedback, federated.HeavyBall
        )
        same(served("MuLoCo compressed", error_decay=error_decay), expected, 1e-12)


@pytest.mark.slow
def test_muloco_without_compression_is_diloco_with_muon():
    diloco = algorithms.DiLoCo(lr=LR, local_steps=H, outer_lr=0.3, outer_momentum=0.4, optimizer="muon")
    built = jdl.simulation(rows.problem_of("MuLoCo", noise=0.3), diloco, Sampling(N, N))
    ours = served("MuLoCo", rows.problem_of("MuLoCo", noise=0.3))
    same(ours, beds.record(built, beds.matrix(WIDE[0])).models[:, 0], 0)
