"""Bias-corrected methods: how they reduce to each other, exact limits, modes, invariants, proximal steps, float32."""

import beds
import jax
import jax.numpy as jnp
import numpy as np
import numpy_decentralized as reference
import numpy_federated
import pytest
import rows
from beds import MEAN, N, apart, close, same
from flax import struct
from table import LR, ROUNDS, X

import jdl
from jdl import algorithms, exchange, topology
from jdl.local.proximal import PROXES
from jdl.oracle import DataOracle
from jdl.types import BatchId

X64 = pytest.mark.usefixtures("x64")
ALPHA = 0.2

# Rates that suit quadratics with L = 1.
NEW = {
    "EXTRA": {"lr": 0.1},
    "NIDS": {"lr": 0.1},
    "DIGing": {"lr": 0.1},
    "KGT": {"lr": 0.1, "server_lr": 1.0},
    "MomentumTracking": {"lr": 0.02, "momentum": 0.9},
    "LED": {"lr": 0.1, "dual_lr": 1.0},
    "GTSARAH": {"lr": 0.1},
    "GTSAGA": {"lr": 0.1},
    "DProxSGT": {"lr": 0.1, "strength": 0.0},
    "NesterovGradientTracking": {"lr": 0.1, "alpha": 0.15},
    "GTVR": {"lr": 0.1},
    "GTAdam": {"lr": 0.05, "eps": 0.25},
    "WangElia": {"lr": 0.1, "gain": 0.5},
    "ATG": {"lr": 0.1, "mixing": 0.5, "penalty": 1.0, "relaxation": 0.5},
}


def network(name):
    """A directed W where the method allows for one; else a random symmetric one, not near -1/3."""
    return beds.symmetric(lazy=0.4) if "symmetric" in rows.method(name).needs else beds.directed_doubly()


def clean():
    return beds.quadratic()


def noisy(noise=0.3):
    return beds.quadratic(noise=noise)


def models(name, W, problem, start=X, **numbers):
    return rows.run(name, W, problem, start, **numbers).models


# ---- how they reduce to each other -------------------------------------------------------------------------------


@X64
def test_exact_diffusion_is_d2_on_half_the_way():
    W, problem = beds.symmetric(), clean()
    same(models("ExactDiffusion", W, problem), models("D2", (np.eye(N) + W) / 2, problem))


@X64
def test_nids_is_exact_diffusion_or_d2_after_one_local_step():
    W, problem = beds.symmetric(), clean()
    moved = X - LR * beds.gradient(problem)(X)
    same(models("NIDS", W, problem)[1:], models("ExactDiffusion", W, problem, moved)[:-1])
    same(models("NIDS", W, problem, mixing=1.0)[1:], models("D2", W, problem, moved)[:-1])


@X64
def test_relaxed_nids_is_its_two_term_form_with_the_relaxed_matrix():
    W, problem = beds.symmetric(lazy=0.4), noisy()
    expected = reference.nids(W, beds.gradient(problem), X, LR, ROUNDS, mixing=0.8)
    same(models("NIDS", W, problem, mixing=0.8), expected)


@X64
@pytest.mark.parametrize(("name", "exchanges"), [("NIDS", 1), ("AugDGM", 2)])
def test_the_message_that_the_first_round_does_not_use_is_not_sent(name, exchanges):
    W = beds.symmetric()
    run, links = rows.run(name, W), np.count_nonzero(W - np.diag(np.diag(W)), axis=0)
    for rounds in (1, 3):
        sent = (rounds * exchanges - 1) * links
        np.testing.assert_array_equal(run.messages[rounds - 1], sent)
        np.testing.assert_array_equal(run.bits[rounds - 1], 64 * beds.DIM * sent)


@X64
def test_nids_is_lead_without_compression():
    W, problem = beds.symmetric(), noisy()
    lead, D = reference.lead(W, beds.gradient(problem), X, LR, ROUNDS, 1.0, 0.4, lambda x: x, hat0=X)
    run = rows.run("NIDS", W, problem)
    same(run.models, lead)
    close(run.nodes.y, LR * D[1:])


@X64
def test_extra_is_not_exact_diffusion():
    W, problem = beds.symmetric(), clean()
    apart(models("EXTRA", W, problem), models("ExactDiffusion", W, problem))


@X64
def test_diging_is_beer_without_compression():
    W, problem, start = beds.directed_doubly(), clean(), beds.one_start()
    ours = models("DIGing", W, problem, start)
    beer = lambda matched: reference.beer(W, beds.gradient(problem), start, LR, ROUNDS, 1.0, lambda x: x, matched)[0]
    same(ours, beer(True), 1e-12)
    apart(ours, beer(False))  # the zeros that the paper starts from: trap TR4


@X64
def test_diging_with_exact_averaging_is_not_gradient_descent():
    problem, start = clean(), beds.one_start()
    apart(models("DIGing", MEAN, problem, start), beds.descent(problem, start[0], LR)[:, None], 1e-3)


@X64
def test_kgt_with_exact_averaging_is_scaffold():
    problem, x = noisy(), X[0]
    run = rows.run("KGT", MEAN, problem, beds.one_start())
    everybody = [np.arange(N)] * ROUNDS
    server, own, mean = numpy_federated.scaffold(everybody, beds.gradient(problem), x, LR, ROUNDS, 3, N, 0.7)
    same(run.models, server[:, None])
    close(run.nodes.c, (mean[:, None] - own)[1:], 1e-10)


@X64
def test_momentum_tracking_without_momentum_is_diging():
    W, problem = beds.directed_doubly(), noisy()
    same(models("MomentumTracking", W, problem, momentum=0.0), models("DIGing", W, problem))


@X64
def test_gtadam_without_a_second_moment_is_momentum_tracking():
    """b2 = 1 keeps v = 0: momentum of the tracker is the tracker of momentum, which is scaled by 1 - b1 there."""
    W, problem, eps = beds.directed_doubly(), noisy(), 0.04
    for b1 in (0.0, 0.6):
        ours = models("GTAdam", W, problem, lr=LR * eps**0.5 / (1 - b1), b1=b1, b2=1.0, eps=eps)
        same(ours, models("MomentumTracking", W, problem, momentum=b1))


@X64
def test_gt_vr_does_not_see_additive_noise_and_is_then_aug_dgm_whatever_its_snapshots():
    W = beds.directed_doubly()
    expected = models("AugDGM", W, clean())
    for probability in (0.0, 0.3, 1.0):
        same(models("GTVR", W, noisy(), probability=probability), expected)


@X64
def test_gt_sarah_does_not_see_additive_noise():
    """Noise that is alike at two points cancels: v is the full gradient in every round, and this is clean DIGing."""
    W = beds.directed_doubly()
    run = rows.run("GTSARAH", W, noisy())
    same(run.models, models("DIGing", W, clean()))
    close(run.nodes.v, np.stack([beds.gradient(clean())(x) for x in run.models[:-1]]))


@X64
def test_dproxsgt_without_prox_is_gradient_tracking_from_a_mixed_tracker():
    """So it is not AugDGM, which starts at y = g, unmixed."""
    W, problem = beds.directed_doubly(), noisy()
    ours = models("DProxSGT", W, problem, strength=0.0)
    same(ours, reference.dproxsgt(W, beds.gradient(problem), X, LR, ROUNDS), 1e-12)
    apart(ours, models("AugDGM", W, problem), 1e-3)


@X64
def test_acc_dngd_on_one_node_is_nesterov():
    problem = clean()
    G, x, y = beds.gradient(problem), X, X
    ours = models("NesterovGradientTracking", np.eye(N), problem, alpha=ALPHA)
    for t in range(ROUNDS):
        close(ours[t], x, 1e-12)
        new = y - LR * G(y)
        x, y = new, new + (1 - ALPHA) / (1 + ALPHA) * (new - x)


# ---- modes -------------------------------------------------------------------------------------------------------


def growth(name, eigenvalue, curvature=0.0, **numbers):
    """The factor a round of the difference of two nodes, where W has this second eigenvalue and f_i = curvature x^2/2.

    The difference follows one linear recursion, whose largest root rules after many rounds."""
    problem = clean()
    problem = problem.replace(A=curvature * jnp.broadcast_to(jnp.eye(beds.DIM), problem.A.shape), b=0 * problem.b)
    start = np.tile([[1.0], [-1.0]], (N // 2, beds.DIM))
    ours = rows.run(name, beds.pairs(eigenvalue), problem, start, first=540, **numbers).models
    gap = np.abs(ours[:, 0, 0] - ours[:, 1, 0])
    return (gap[60] / gap[0]) ** (1 / 60)


@X64
def test_d2_is_stable_for_eigenvalues_above_minus_a_third():
    """Roots of r^2 - 2 lambda r + lambda, on flat ground."""
    for eigenvalue, expected in ((-0.3, 0.3 + np.sqrt(0.39)), (-0.4, 0.4 + np.sqrt(0.56))):
        assert growth("D2", eigenvalue) == pytest.approx(expected, abs=1e-6)
    assert growth("D2", -0.3) < 1 < growth("D2", -0.4)


@X64
def test_led_is_stable_below_its_bound_on_the_dual_rate():
    """2 (1 + lambda) / (1 - lambda) = 0.5 at lambda = -0.6, however many local steps share it."""
    assert growth("LED", -0.6, dual_lr=0.47) < 0.999
    assert growth("LED", -0.6, dual_lr=0.53) > 1.001


@X64
def test_extra_is_stable_below_its_bound_on_the_rate():
    """Equal curvature a: lr a < (5 + 3 lambda) / 4 = 0.8 at lambda = -0.6, which (1 + lambda)/a is below."""
    assert growth("EXTRA", -0.6, 1.0, lr=0.78) < 0.999
    assert growth("EXTRA", -0.6, 1.0, lr=0.82) > 1.001


@X64
def test_diging_is_stable_below_its_bound_on_the_rate():
    """Equal curvature a: lr a < (1 + lambda)^2 / 2 = 0.08 at lambda = -0.6."""
    assert growth("DIGing", -0.6, 1.0, lr=0.078) < 0.999
    assert growth("DIGing", -0.6, 1.0, lr=0.082) > 1.001


@X64
def test_wang_elia_is_stable_below_its_bounds():
    """k = gain (1 - lambda): the modes are sqrt(1 - k + k^2) on flat ground; lr a < 2 - k + k^2/2 with curvature a."""
    W, flat = beds.pairs(-0.8), clean()
    flat = flat.replace(A=0 * flat.A, b=0 * flat.b)
    far = np.tile([[1.0], [-1.0]], (N // 2, beds.DIM))
    x, k = rows.run("WangElia", W, flat, far, lr=0.0, gain=0.5).models[:, 0, 0], 0.9
    close(x[2:], (2 - k) * x[1:-1] - (1 - k + k * k) * x[:-2], 1e-12)
    assert growth("WangElia", -0.8, 1.0, lr=1.49, gain=0.5) < 0.999
    assert growth("WangElia", -0.8, 1.0, lr=1.52, gain=0.5) > 1.001


@X64
def test_nids_takes_any_rate_below_two_over_l_on_any_network():
    problem = beds.in_pairs(clean())
    close(rows.limit("NIDS", 3000, beds.pairs(-0.8), problem, lr=1.95), beds.optimum(problem), 1e-10)
    assert growth("EXTRA", -0.8, 1.0, lr=1.95) > 1.001


# ---- limits and invariants ---------------------------------------------------------------------------------------


@X64
@pytest.mark.parametrize("name", NEW)
def test_the_limit_is_the_optimum_whatever_the_heterogeneity(name):
    for heterogeneity in (1.0, 400.0):
        problem = beds.quadratic(heterogeneity=heterogeneity)
        ours = rows.limit(name, 3000, network(name), problem, start=X, **NEW[name])
        close(ours, beds.optimum(problem), 1e-10 * np.sqrt(heterogeneity))


@struct.dataclass
class OneWay:
    """Messages are lost one by one, where `Lossy` loses both of an undirected link."""

    inner: exchange.Lossy = exchange.Lossy(0.3)
    needs = frozenset()
    breaks = frozenset({"reliable"})

    def init(self, message):
        return self.inner.init(message)

    def apply(self, state, wire, key):
        return self.inner.apply(state, wire.replace(plan=wire.plan.replace(symmetric=False)), key)


@X64
def test_atg_is_exact_while_messages_are_lost_one_by_one():
    """Its averages stay those of all nodes: neither of the two ends of an edge must know what the other one heard."""
    problem = clean()
    built = jdl.simulation(problem, rows.method("ATG", **NEW["ATG"]), topology.ring(N), [OneWay()])
    run = beds.record(built, X, first=3000 - ROUNDS)
    close(run.models[-1], beds.optimum(problem), 1e-10)


@X64
def test_without_correction_the_limit_is_biased_with_the_heterogeneity():
    ends = []
    for heterogeneity in (1.0, 400.0):
        problem = beds.quadratic(heterogeneity=heterogeneity)
        end = rows.limit("DPSGD local", 3000, beds.directed_doubly(), problem, lr=0.1)
        ends.append(np.abs(end - beds.optimum(problem)).max())
    assert ends[0] > 1e-2 and ends[1] / ends[0] == pytest.approx(20)


TRACKED = {
    "DIGing": ("y", "g"),
    "MomentumTracking": ("y", "u"),
    "GTSARAH": ("y", "v"),
    "GTSAGA": ("y", "g"),
    "DProxSGT": ("y", "g"),
    "NesterovGradientTracking": ("s", "g"),
    "GTVR": ("y", "v"),
    "GTAdam": ("s", "g"),
}


@X64
@pytest.mark.parametrize("name", TRACKED)
def test_the_mean_tracker_is_the_mean_of_what_it_tracks(name):
    nodes = rows.run(name, beds.directed_doubly(), noisy(0.4)).nodes
    y, g = (getattr(nodes, field) for field in TRACKED[name])
    close(y.mean(axis=1), g.mean(axis=1), 1e-12)
    assert np.abs(y - g).max() > 0.1 and np.abs(g.mean(axis=1)).max() > 0.1


@X64
@pytest.mark.parametrize(
    ("name", "dual"), [("EXTRA", "y"), ("NIDS", "y"), ("LED", "y"), ("KGT", "c"), ("WangElia", "z")]
)
def test_duals_and_corrections_sum_to_zero(name, dual):
    y = getattr(rows.run(name, network(name), noisy(0.4), lr=0.1).nodes, dual)
    close(y.sum(axis=1), 0, 1e-12)
    assert np.abs(y[-1]).max() > 0.05


@struct.dataclass
class Slow(DataOracle):
    """Node i has time for 1, 2 or 3 local steps."""

    def steps(self, data):
        return data.id % 3 + 1


def test_kgt_averages_over_the_steps_that_a_node_takes():
    W, problem, start = beds.directed_doubly(), clean(), X.astype(np.float32)
    algorithm = rows.method("KGT", server_lr=1.0)
    simulation = jdl.simulation(problem, algorithm, beds.talk(W, algorithm.needs), oracle=Slow())
    ours = beds.record(simulation, start).models[:21]
    G, c, X_, out, budget = (
        beds.gradient(problem),
        np.zeros_like(start),
        start,
        [start],
        (np.arange(N) % 3 + 1)[:, None],
    )
    for t in range(20):
        y = X_
        for k in range(3):
            y = np.where(k < budget, y - LR * (G(y, t, k) + c), y)
        z = (X_ - y) / (budget * LR)
        X_, c = W @ y, c - z + W @ z
        out.append(X_)
    same(ours, np.stack(out), 1e-5)


@X64
@pytest.mark.parametrize("name", ["KGT", "LED"])
def test_a_rate_of_zero_is_pure_gossip(name):
    W = network(name)
    run = rows.run(name, W, noisy(), lr=0.0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.nodes))
    close(run.models.mean(axis=1), X.mean(0), 1e-12)
    close(run.models[1], W @ X, 1e-12)


# ---- variance reduction, on data that are drawn ------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn():
    with jax.enable_x64(True):
        return jdl.problems.logistic(nodes=4, dim=3, examples=12, batch_size=2)


def on_drawn(algorithm, problem, first=0):
    talk = beds.talk(beds.symmetric(n=4), algorithm.needs)
    return beds.record(jdl.simulation(problem, algorithm, talk), beds.start(n=4, dim=3), first=first)


@X64
@pytest.mark.slow
def test_the_noise_of_minibatches_vanishes_at_the_optimum(drawn):
    optimum = np.asarray(drawn.optimum.params)
    for algorithm in (
        algorithms.GTSARAH(lr=0.2, period=6),
        algorithms.GTSAGA(lr=0.2, parts=6),
        algorithms.GTVR(lr=0.2),
    ):
        close(on_drawn(algorithm, drawn, 3000 - ROUNDS).models[-1], optimum, 1e-8)
    for noisy in (algorithms.DIGing(lr=0.2), algorithms.LTADMM(lr=0.1)):
        apart(on_drawn(noisy, drawn, 3000 - ROUNDS).models[-1], optimum)


@X64
def test_gt_sarah_renews_its_estimate_every_period_and_moves_it_by_one_minibatch(drawn):
    period = 6
    run, ids = on_drawn(algorithms.GTSARAH(lr=0.2, period=period), drawn), jnp.arange(4)
    grad = jax.vmap(jax.grad(lambda x, batch: drawn.loss(x, batch)[0]))
    full = beds.jit(lambda x: grad(x, jax.vmap(drawn.full_batch)(ids)))

    @beds.jit
    def mini(x, t):
        keys = jax.vmap(lambda i: jax.random.fold_in(beds.key_of("data", t, i), 0))(ids)
        number = jnp.zeros(4, jnp.int32)
        return grad(x, jax.vmap(drawn.batch)(ids, BatchId(keys, keys, number, number, number)))

    v, models = run.nodes.v, run.models
    for t in range(12):
        if t % period == 0:
            close(v[t], full(models[t]), 1e-12)
        else:
            close(v[t] - v[t - 1], mini(models[t], jnp.int32(t)) - mini(models[t - 1], jnp.int32(t)), 1e-12)
            apart(v[t], full(models[t]), 1e-4)


# ---- proximal steps ----------------------------------------------------------------------------------------------


def central(problem, prox, lr=0.5, rounds=400):
    A, b = np.asarray(problem.A).mean(0), np.asarray(problem.b).mean(0)
    x = np.zeros(len(b))
    for _ in range(rounds):
        x = prox(x - lr * (A @ x - b), lr)
    return x


def simplex(v, total):
    """The threshold by bisection: sum of max(v - threshold, 0) = total."""
    low, high = v.min() - total, v.max()
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(v - middle, 0).sum() > total else (low, middle)
    return np.maximum(v - low, 0)


OPERATORS = {
    "l1": lambda v, step, r: np.sign(v) * np.maximum(np.abs(v) - step * r, 0),
    "l2_ball": lambda v, step, r: v * min(1, r / np.linalg.norm(v)),
    "simplex": lambda v, step, r: simplex(v, r),
    "non_negative": lambda v, step, r: np.maximum(v, 0),
}


@X64
@pytest.mark.parametrize("prox", PROXES)
def test_the_limit_is_that_of_central_proximal_gradient_descent(prox):
    problem, strength = clean(), 0.3
    expected = central(problem, lambda v, step: OPERATORS[prox](v, step, strength))
    apart(expected, beds.optimum(problem), 0.1)
    ours = rows.limit("DProxSGT", 3000, beds.directed_doubly(), problem, lr=0.1, strength=strength, prox=prox)
    close(ours, expected, 1e-9)


def test_proximal_operators_take_all_parameters_at_once():
    """A tree of float32 is one vector, whose norm and sum are those of all of it; strict dtypes are kept."""
    v = np.random.default_rng(3).standard_normal(7).astype(np.float32)
    tree = {"a": jnp.asarray(v[:4]).reshape(2, 2), "b": [jnp.asarray(v[4:])]}
    for prox, operator in PROXES.items():
        out = beds.jit(operator)(tree, jnp.float32(0.5), jnp.float32(0.8))
        assert jax.tree.structure(out) == jax.tree.structure(tree), prox
        assert [leaf.dtype for leaf in jax.tree.leaves(out)] == [jnp.float32] * 2, prox
        flat = np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(out)])
        np.testing.assert_allclose(flat, OPERATORS[prox](v.astype(float), 0.5, 0.8), atol=1e-6, err_msg=prox)


def halved(v, step, strength):
    return jax.tree.map(lambda v: v * (1 - step * strength), v)


@X64
def test_a_proximal_operator_of_ones_own():
    W, problem = beds.directed_doubly(), noisy()
    shrink = lambda Z, step: Z * (1 - step * 0.4)
    expected = reference.dproxsgt(W, beds.gradient(problem), X, LR, ROUNDS, prox=shrink)
    same(models("DProxSGT", W, problem, strength=0.4, prox=halved), expected)


@X64
def test_an_unknown_operator_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="got prox 'l3', which does not exist; did you mean l1"):
        rows.simulation("DProxSGT", beds.symmetric(), clean(), prox="l3")


# ---- float32 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEW)
def test_float32_stays_at_the_optimum_for_2000_rounds(name):
    """As `test_theory_limits` has it for D2, ExactDiffusion, GradientTracking and AugDGM, and with what must fail."""
    problem, W, start, optimum = beds.odd_ring()
    algorithm = rows.method(name, **NEW[name])
    models = beds.record(jdl.simulation(problem, algorithm, beds.talk(W, algorithm.needs)), start, 2000).models
    assert models.dtype == np.float32
    assert np.abs(models - optimum).max(axis=(1, 2))[1000:].max() < 1e-5
