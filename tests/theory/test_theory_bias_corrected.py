"""Bias-corrected methods: every iterate against NumPy, how they reduce to each other, exact limits, modes, drift."""

import beds
import jax
import jax.numpy as jnp
import numpy as np
import numpy_decentralized as reference
import numpy_federated
import pytest
from flax import struct

import jdl
from jdl import topology
from jdl.algorithms import D2, DPSGD, AugDGM, ExactDiffusion, GradientTracking
from jdl.algorithms.corrected.diging import DIGing
from jdl.algorithms.corrected.dproxsgt import DProxSGT
from jdl.algorithms.corrected.extra import EXTRA
from jdl.algorithms.corrected.gt_saga import GTSAGA
from jdl.algorithms.corrected.gt_sarah import GTSARAH
from jdl.algorithms.corrected.kgt import KGT
from jdl.algorithms.corrected.led import LED
from jdl.algorithms.corrected.momentum_tracking import MomentumTracking
from jdl.algorithms.corrected.nesterov_gradient_tracking import NesterovGradientTracking
from jdl.algorithms.corrected.nids import NIDS
from jdl.engine import sim as simulator
from jdl.local.proximal import PROXES
from jdl.oracle import DataOracle
from jdl.types import BatchId

X64 = pytest.mark.usefixtures("x64")
ROUNDS, LR, ALPHA = 60, 0.05, 0.2

# Rates that suit quadratics with L = 1; few values of the static fields in this file, as each is a program.
NEW = [
    EXTRA(lr=0.1),
    NIDS(lr=0.1),
    DIGing(lr=0.1),
    KGT(lr=0.1, local_steps=3),
    MomentumTracking(lr=0.02),
    LED(lr=0.1, local_steps=3),
    GTSARAH(lr=0.1, period=7),
    GTSAGA(lr=0.1, parts=4),
    DProxSGT(lr=0.1, strength=0.0),
    NesterovGradientTracking(lr=0.1, alpha=0.15),
]
name_of = lambda algorithm: type(algorithm).__name__


def build(algorithm, W, problem, **parts):
    """Dense whatever W is, so that one program serves all."""
    return jdl.simulation(problem, algorithm, jdl.schedule.Fixed(topology.from_weights(W).plan("dense")), **parts)


def run(algorithm, W, problem, X, rounds=ROUNDS):
    """Models of rounds 0 to T, and the states of rounds 1 to T."""
    models, nodes, _ = beds.trajectory(build(algorithm, W, problem), rounds, X)
    return models, nodes


def far(algorithm, W, problem, X):
    """The models after 3,000 rounds, by the program of `run`."""
    simulation, rounds = build(algorithm, W, problem), jnp.arange(ROUNDS)
    sim = jax.jit(jdl.sim.init)(simulation, X)
    for _ in range(3000 // ROUNDS):
        sim, _ = beds._scan(simulation, sim, rounds)
    return np.asarray(jdl.sim.models(simulation, sim))


def network(algorithm):
    """A directed W where the method allows for one; else a random symmetric one, not near -1/3."""
    return beds.symmetric(lazy=0.4) if "symmetric" in algorithm.needs else beds.directed_doubly()


def check(ours, expected, tolerance=1e-11):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance)
    assert np.abs(np.asarray(expected)[-1] - np.asarray(expected)[0]).max() > 0.1


def clean(problem):
    return beds.gradient(problem.replace(noise=jnp.zeros(())))


def gt_saga(W, G, X, lr, rounds, parts, draws):
    """On data whose parts are all alike: what differs from part to part is when it was drawn last."""
    table = np.repeat(G(X)[:, None], parts, axis=1)
    Y, g, out, rows = np.zeros_like(X), np.zeros_like(X), [X], np.arange(len(X))
    for t in range(rounds):
        fresh = G(X)
        new = fresh - table[rows, draws[t]] + table.mean(axis=1)
        table[rows, draws[t]] = fresh
        Y, g = W @ (Y + new - g), new
        X = W @ (X - lr * Y)
        out.append(X)
    return np.stack(out)


def parts_drawn(rounds, n, parts):
    """The documented key of the node's own randomness, seed 0."""

    def one(t, i):
        return jax.random.randint(jdl.sim.key_of(jax.random.key(0), "node", t, i), (), 0, parts)

    return np.asarray(jax.vmap(lambda t: jax.vmap(lambda i: one(t, i))(jnp.arange(n)))(jnp.arange(rounds)))


def relaxed_nids(W, G, X, lr, rounds, mixing):
    """The two-term form, for any W~ = I - mixing (I - W)."""
    tilde, old, g_old = np.eye(len(W)) - mixing * (np.eye(len(W)) - W), X, G(X, 0)
    X = X - lr * g_old
    out = [old, X]
    for t in range(1, rounds):
        g = G(X, t)
        X, old, g_old = tilde @ (2 * X - old - lr * (g - g_old)), X, g
        out.append(X)
    return np.stack(out)


TRAJECTORIES = {
    "nids, W~ = 0.2 I + 0.8 W": (NIDS(lr=LR, mixing=0.8), lambda W, G, F, X: relaxed_nids(W, G, X, LR, ROUNDS, 0.8)),
    "saga": (
        GTSAGA(lr=LR, parts=4),
        lambda W, G, F, X: gt_saga(W, F, X, LR, ROUNDS, 4, parts_drawn(ROUNDS, len(X), 4)),
    ),
}


@X64
@pytest.mark.parametrize("key", TRAJECTORIES)
def test_every_iterate_equals_the_recursion_of_the_paper(key):
    """With minibatch noise, on a directed W where the method allows for one. EXTRA and NIDS: their two-term forms."""
    algorithm, expected = TRAJECTORIES[key]
    W, problem, X = network(algorithm), beds.quadratic(noise=0.3), beds.start()
    check(run(algorithm, W, problem, X)[0], expected(W, beds.gradient(problem), clean(problem), X))


# ---- how they reduce to each other -------------------------------------------------------------------------------


@X64
def test_nids_is_exact_diffusion_or_d2_after_one_local_step():
    W, problem, X = beds.symmetric(), beds.quadratic(), beds.start()
    moved = X - LR * beds.gradient(problem)(X)
    check(run(NIDS(lr=LR), W, problem, X)[0][1:], run(ExactDiffusion(lr=LR), W, problem, moved)[0][:-1])
    check(run(NIDS(lr=LR, mixing=1.0), W, problem, X)[0][1:], run(D2(lr=LR), W, problem, moved)[0][:-1])


@pytest.mark.parametrize(("kind", "exchanges"), [(NIDS, 1), (AugDGM, 2)])
def test_the_message_that_the_first_round_does_not_use_is_not_sent(kind, exchanges):
    W, problem, X = beds.symmetric(), beds.quadratic(), beds.start().astype(np.float32)
    simulation = build(kind(lr=LR), W, problem)
    start = jax.jit(simulator.init)(simulation, X)
    sim, _ = beds.advance(simulation, start, jnp.int32(3))
    sent = (3 * exchanges - 1) * np.count_nonzero(W - np.diag(np.diag(W)), axis=0)
    np.testing.assert_array_equal(sim.traffic.messages[0], sent)
    np.testing.assert_array_equal(sim.traffic.bits[0], 32 * X.shape[1] * sent)


@X64
def test_nids_is_lead_without_compression():
    W, problem, X = beds.symmetric(), beds.quadratic(noise=0.3), beds.start()
    lead, D = reference.lead(W, beds.gradient(problem), X, LR, ROUNDS, 1.0, 0.4, lambda x: x, hat0=X)
    ours, nodes = run(NIDS(lr=LR), W, problem, X)
    check(ours, lead)
    np.testing.assert_allclose(nodes.y, LR * D[1:], rtol=0, atol=1e-11)


@X64
def test_extra_is_not_exact_diffusion():
    W, problem, X = beds.symmetric(), beds.quadratic(), beds.start()
    extra, diffusion = (run(kind(lr=LR), W, problem, X)[0] for kind in (EXTRA, ExactDiffusion))
    assert np.abs(extra - diffusion).max() > 1e-2


@X64
def test_diging_is_beer_without_compression():
    W, problem, X = beds.directed_doubly(), beds.quadratic(), np.broadcast_to(beds.start()[0], (beds.N, beds.DIM))
    ours = run(DIGing(lr=LR), W, problem, X)[0]
    beer = lambda matched: reference.beer(W, beds.gradient(problem), X, LR, ROUNDS, 1.0, lambda x: x, matched)[0]
    check(ours, beer(True), 1e-12)
    assert np.abs(ours - beer(False)).max() > 1e-2  # the zeros that the paper starts from: trap TR4


@X64
def test_diging_with_exact_averaging_is_not_gradient_descent():
    problem, X = beds.quadratic(), np.broadcast_to(beds.start()[0], (beds.N, beds.DIM))
    J = np.full((beds.N, beds.N), 1 / beds.N)
    descent = beds.atc(J, beds.gradient(problem), X, LR, ROUNDS)
    check(run(GradientTracking(lr=LR), J, problem, X)[0], descent, 1e-12)
    assert np.abs(run(DIGing(lr=LR), J, problem, X)[0] - descent).max() > 1e-3


@X64
def test_kgt_with_one_local_step_is_gradient_tracking():
    W, problem, X = beds.directed_doubly(), beds.quadratic(noise=0.3), beds.start()
    ours = run(KGT(lr=LR, local_steps=1), W, problem, X)[0]
    check(ours, run(GradientTracking(lr=LR), W, problem, X)[0])


@X64
def test_kgt_with_exact_averaging_is_scaffold():
    J, problem, x = np.full((beds.N, beds.N), 1 / beds.N), beds.quadratic(noise=0.3), beds.start()[0]
    ours, nodes = run(KGT(lr=LR, server_lr=0.7, local_steps=3), J, problem, np.broadcast_to(x, (beds.N, beds.DIM)))
    everybody = [np.arange(beds.N)] * ROUNDS
    server, own, mean = numpy_federated.scaffold(everybody, beds.gradient(problem), x, LR, ROUNDS, 3, beds.N, 0.7)
    check(ours, np.broadcast_to(server[:, None], ours.shape))
    np.testing.assert_allclose(nodes.c, (mean[:, None] - own)[1:], rtol=0, atol=1e-10)


@X64
def test_led_with_one_local_step_is_d2():
    W, problem, X = beds.symmetric(), beds.quadratic(noise=0.3), beds.start()
    check(run(LED(lr=LR, local_steps=1), W, problem, X)[0], run(D2(lr=LR), W, problem, X)[0])


@X64
def test_momentum_tracking_without_momentum_is_diging():
    W, problem, X = beds.directed_doubly(), beds.quadratic(noise=0.3), beds.start()
    ours = run(MomentumTracking(lr=LR, momentum=0.0), W, problem, X)[0]
    check(ours, run(DIGing(lr=LR), W, problem, X)[0])


@X64
def test_gt_sarah_does_not_see_additive_noise():
    """Noise that is alike at two points cancels: v is the full gradient in every round, and this is clean DIGing."""
    W, X = beds.directed_doubly(), beds.start()
    ours, nodes = run(GTSARAH(lr=LR, period=7), W, beds.quadratic(noise=0.3), X)
    check(ours, run(DIGing(lr=LR), W, beds.quadratic(), X)[0])
    check(nodes.v, np.stack([beds.gradient(beds.quadratic())(x) for x in ours[:-1]]))


@X64
def test_dproxsgt_without_prox_is_gradient_tracking_from_a_mixed_tracker():
    W, problem, X = beds.directed_doubly(), beds.quadratic(noise=0.3), beds.start()
    G, out = beds.gradient(problem), [X]
    g, x = G(X, 0), X
    y = W @ g
    for t in range(ROUNDS):
        x = W @ (x - LR * y)
        g, old = G(x, t + 1), g
        y = W @ (y + g - old)
        out.append(x)
    ours = run(DProxSGT(lr=LR, strength=0.0), W, problem, X)[0]
    check(ours, np.stack(out), 1e-12)
    assert np.abs(ours - run(AugDGM(lr=LR), W, problem, X)[0]).max() > 1e-3  # which starts at y = g, unmixed


@X64
def test_gt_saga_with_one_part_tracks_full_gradients():
    W, problem, X = beds.directed_doubly(), beds.quadratic(), beds.start()
    check(run(GTSAGA(lr=LR, parts=1), W, problem, X)[0], run(DProxSGT(lr=LR, strength=0.0), W, problem, X)[0])


@X64
def test_acc_dngd_on_one_node_is_nesterov():
    problem, X = beds.quadratic(n=1), beds.start(n=1)
    G, x, y, out = beds.gradient(problem), X, X, [X]
    for _ in range(ROUNDS):
        new = y - LR * G(y)
        x, y = new, new + (1 - ALPHA) / (1 + ALPHA) * (new - x)
        out.append(x)
    ours = run(NesterovGradientTracking(lr=LR, alpha=ALPHA), np.ones((1, 1)), problem, X)[0]
    check(ours, np.stack(out), 1e-12)


# ---- modes -------------------------------------------------------------------------------------------------------


def growth(algorithm, eigenvalue, curvature=0.0):
    """The factor a round of the difference of two nodes, where W has this second eigenvalue and f_i = curvature x^2/2.

    The difference follows one linear recursion, whose largest root rules after many rounds."""
    same, across = (1 + eigenvalue) / 2, (1 - eigenvalue) / 2
    W = np.array([[same, across], [across, same]])
    flat = jdl.problems.Quadratic(A=curvature * jnp.ones((2, 1, 1)), b=jnp.zeros((2, 1)), noise=jnp.zeros(()))
    models, _ = run(algorithm, W, flat, np.array([[1.0], [-1.0]]), 600)
    gap = np.abs(models[:, 0, 0] - models[:, 1, 0])
    return (gap[600] / gap[500]) ** (1 / 100)


@X64
def test_d2_is_stable_for_eigenvalues_above_minus_a_third():
    """Roots of r^2 - 2 lambda r + lambda, on flat ground."""
    for eigenvalue, expected in ((-0.3, 0.3 + np.sqrt(0.39)), (-0.4, 0.4 + np.sqrt(0.56))):
        assert growth(D2(), eigenvalue) == pytest.approx(expected, abs=1e-6)
    assert growth(D2(), -0.3) < 1 < growth(D2(), -0.4)


@X64
def test_led_is_stable_below_its_bound_on_the_dual_rate():
    """2 (1 + lambda) / (1 - lambda) = 0.5 at lambda = -0.6, however many local steps share it."""
    assert growth(LED(dual_lr=0.47, local_steps=3), -0.6) < 0.999
    assert growth(LED(dual_lr=0.53, local_steps=3), -0.6) > 1.001


@X64
def test_extra_is_stable_below_its_bound_on_the_rate():
    """Equal curvature a: lr a < (5 + 3 lambda) / 4 = 0.8 at lambda = -0.6, which (1 + lambda)/a is below."""
    assert growth(EXTRA(lr=0.78), -0.6, 1.0) < 0.999
    assert growth(EXTRA(lr=0.82), -0.6, 1.0) > 1.001


@X64
def test_diging_is_stable_below_its_bound_on_the_rate():
    """Equal curvature a: lr a < (1 + lambda)^2 / 2 = 0.08 at lambda = -0.6."""
    assert growth(DIGing(lr=0.078), -0.6, 1.0) < 0.999
    assert growth(DIGing(lr=0.082), -0.6, 1.0) > 1.001


@X64
def test_nids_takes_any_rate_below_two_over_l_on_any_network():
    problem, W = beds.quadratic(n=2), np.array([[0.1, 0.9], [0.9, 0.1]])
    ends = far(NIDS(lr=1.95), W, problem, beds.start(n=2))
    np.testing.assert_allclose(ends, np.broadcast_to(beds.optimum(problem), ends.shape), rtol=0, atol=1e-10)
    assert growth(EXTRA(lr=1.95), -0.8, 1.0) > 1.001


# ---- limits and invariants ---------------------------------------------------------------------------------------


@X64
@pytest.mark.parametrize("algorithm", NEW, ids=name_of)
def test_the_limit_is_the_optimum_whatever_the_heterogeneity(algorithm):
    for heterogeneity in (1.0, 400.0):
        problem = jdl.problems.quadratic(beds.N, beds.DIM, condition=4.0, heterogeneity=heterogeneity)
        optimum = np.broadcast_to(beds.optimum(problem), (beds.N, beds.DIM))
        ours = far(algorithm, network(algorithm), problem, beds.start())
        np.testing.assert_allclose(ours, optimum, rtol=0, atol=1e-10 * np.sqrt(heterogeneity))


@X64
def test_without_correction_the_limit_is_biased_with_the_heterogeneity():
    ends = []
    for heterogeneity in (1.0, 400.0):
        problem = jdl.problems.quadratic(beds.N, beds.DIM, condition=4.0, heterogeneity=heterogeneity)
        end = far(DPSGD(lr=0.1, local_steps=3), beds.directed_doubly(), problem, beds.start())
        ends.append(np.abs(end - beds.optimum(problem)).max())
    assert ends[0] > 1e-2 and ends[1] / ends[0] == pytest.approx(20)


@X64
@pytest.mark.parametrize(
    ("algorithm", "tracker", "tracked"),
    [
        (DIGing(lr=LR), "y", "g"),
        (MomentumTracking(lr=LR), "y", "u"),
        (GTSARAH(lr=LR, period=7), "y", "v"),
        (GTSAGA(lr=LR, parts=4), "y", "g"),
        (DProxSGT(lr=LR), "y", "g"),
        (NesterovGradientTracking(lr=LR), "s", "g"),
    ],
    ids=lambda x: name_of(x) if not isinstance(x, str) else x,
)
def test_the_mean_tracker_is_the_mean_of_what_it_tracks(algorithm, tracker, tracked):
    _, nodes = run(algorithm, beds.directed_doubly(), beds.quadratic(noise=0.4), beds.start())
    y, g = np.asarray(getattr(nodes, tracker)), np.asarray(getattr(nodes, tracked))
    np.testing.assert_allclose(y.mean(axis=1), g.mean(axis=1), rtol=0, atol=1e-12)
    assert np.abs(y - g).max() > 0.1 and np.abs(g.mean(axis=1)).max() > 0.1


@X64
@pytest.mark.parametrize(
    ("algorithm", "dual"), [(EXTRA(), "y"), (NIDS(), "y"), (LED(local_steps=3), "y"), (KGT(local_steps=3), "c")]
)
def test_duals_and_corrections_sum_to_zero(algorithm, dual):
    _, nodes = run(algorithm, network(algorithm), beds.quadratic(noise=0.4), beds.start())
    y = np.asarray(getattr(nodes, dual))
    np.testing.assert_allclose(y.sum(axis=1), 0, atol=1e-12)
    assert np.abs(y[-1]).max() > 0.05


@struct.dataclass
class Slow(DataOracle):
    """Node i has time for 1, 2 or 3 local steps."""

    def steps(self, data):
        return data.id % 3 + 1


def test_kgt_averages_over_the_steps_that_a_node_takes():
    W, problem, X = beds.directed_doubly(), beds.quadratic(), beds.start().astype(np.float32)
    ours, _, _ = beds.trajectory(build(KGT(lr=LR, local_steps=3), W, problem, oracle=Slow()), 20, X)
    G, c, out, budget = beds.gradient(problem), np.zeros_like(X), [X], (np.arange(beds.N) % 3 + 1)[:, None]
    for t in range(20):
        y = X
        for k in range(3):
            y = np.where(k < budget, y - LR * (G(y, t, k) + c), y)
        z = (X - y) / (budget * LR)
        X, c = W @ y, c - z + W @ z
        out.append(X)
    check(ours, np.stack(out), 1e-5)


@X64
@pytest.mark.parametrize("kind", [KGT, LED])
def test_a_rate_of_zero_is_pure_gossip(kind):
    W, X = network(kind()), beds.start()
    ours, nodes = run(kind(lr=0.0, local_steps=3), W, beds.quadratic(noise=0.3), X)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(nodes))
    np.testing.assert_allclose(ours.mean(axis=1), np.broadcast_to(X.mean(0), (ROUNDS + 1, beds.DIM)), atol=1e-12)
    np.testing.assert_allclose(ours[1], W @ X, atol=1e-12)


# ---- variance reduction, on data that are drawn ------------------------------------------------------------------


def drawn():
    return jdl.problems.logistic(nodes=4, dim=3, examples=12, batch_size=2)


@X64
@pytest.mark.parametrize("algorithm", [GTSARAH(lr=0.2, period=6), GTSAGA(lr=0.2, parts=6)], ids=name_of)
def test_the_noise_of_minibatches_vanishes_at_the_optimum(algorithm):
    problem, W, X = drawn(), beds.symmetric(n=4), beds.start(n=4, dim=3)
    optimum = np.asarray(problem.optimum.params)
    ours = far(algorithm, W, problem, X)
    np.testing.assert_allclose(ours, np.broadcast_to(optimum, ours.shape), rtol=0, atol=1e-8)
    noisy = far(DIGing(lr=0.2), W, problem, X)
    assert np.abs(noisy - optimum).max() > 1e-2


@X64
def test_gt_sarah_renews_its_estimate_every_period_and_moves_it_by_one_minibatch():
    problem, X, period = drawn(), beds.start(n=4, dim=3), 6
    models, nodes = run(GTSARAH(lr=0.2, period=period), beds.symmetric(n=4), problem, X)
    grad = jax.jit(jax.vmap(jax.grad(lambda x, batch: problem.loss(x, batch)[0])))
    full = lambda x: np.asarray(grad(x, jax.vmap(problem.full_batch)(jnp.arange(4))))

    def mini(x, t):
        keys = jax.vmap(lambda i: jax.random.fold_in(jdl.sim.key_of(jax.random.key(0), "data", t, i), 0))(jnp.arange(4))
        number = jnp.zeros(4, jnp.int32)
        return np.asarray(grad(x, jax.vmap(problem.batch)(jnp.arange(4), BatchId(keys, keys, number, number))))

    v = np.asarray(nodes.v)
    for t in range(12):
        if t % period == 0:
            np.testing.assert_allclose(v[t], full(models[t]), rtol=0, atol=1e-12)
        else:
            np.testing.assert_allclose(v[t] - v[t - 1], mini(models[t], t) - mini(models[t - 1], t), atol=1e-12)
            assert np.abs(v[t] - full(models[t])).max() > 1e-4


# ---- proximal steps ----------------------------------------------------------------------------------------------


def central(problem, prox, lr=0.1, rounds=4000):
    A, b = np.asarray(problem.A).mean(0), np.asarray(problem.b).mean(0)
    x = np.zeros(len(b))
    for _ in range(rounds):
        x = prox(x - lr * (A @ x - b), lr)
    return x


def simplex(v, total):
    """The threshold by bisection: sum of max(v - threshold, 0) = total."""
    low, high = v.min() - total, v.max()
    for _ in range(200):
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
    problem, strength = beds.quadratic(), 0.3
    expected = central(problem, lambda v, step: OPERATORS[prox](v, step, strength))
    assert np.abs(expected - beds.optimum(problem)).max() > 0.1
    algorithm = DProxSGT(lr=0.1, strength=strength, prox=prox)
    ours = far(algorithm, beds.directed_doubly(), problem, beds.start())
    np.testing.assert_allclose(ours, np.broadcast_to(expected, ours.shape), rtol=0, atol=1e-9)


@pytest.mark.parametrize("prox", PROXES)
def test_proximal_operators_take_all_parameters_at_once(prox):
    """A tree of float32 is one vector, whose norm and sum are those of all of it; strict dtypes are kept."""
    v = np.random.default_rng(3).standard_normal(7).astype(np.float32)
    tree = {"a": jnp.asarray(v[:4]).reshape(2, 2), "b": [jnp.asarray(v[4:])]}
    out = PROXES[prox](tree, jnp.float32(0.5), jnp.float32(0.8))
    assert jax.tree.structure(out) == jax.tree.structure(tree)
    assert [leaf.dtype for leaf in jax.tree.leaves(out)] == [jnp.float32] * 2
    flat = np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(out)])
    np.testing.assert_allclose(flat, OPERATORS[prox](v.astype(float), 0.5, 0.8), atol=1e-6)


def halved(v, step, strength):
    return jax.tree.map(lambda v: v * (1 - step * strength), v)


@X64
def test_a_proximal_operator_of_ones_own():
    W, problem, X = beds.directed_doubly(), beds.quadratic(noise=0.3), beds.start()
    ours = run(DProxSGT(lr=LR, strength=0.4, prox=halved), W, problem, X)[0]
    shrink = lambda Z, step: Z * (1 - step * 0.4)
    check(ours, reference.dproxsgt(W, beds.gradient(problem), X, LR, ROUNDS, prox=shrink))


def test_an_unknown_operator_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="got prox 'l3', which does not exist; did you mean l1"):
        run(DProxSGT(prox="l3"), beds.symmetric(), beds.quadratic(), beds.start().astype(np.float32), 1)


# ---- float32 -----------------------------------------------------------------------------------------------------


def odd_ring():
    """An odd ring, whose least eigenvalue is above D2's -1/3; the optimum is of these very float32 numbers."""
    problem = beds.quadratic(n=9)
    assert problem.A.dtype == jnp.float32
    exact = jdl.problems.Quadratic(np.asarray(problem.A, np.float64), np.asarray(problem.b, np.float64), np.zeros(()))
    return problem, topology.ring(9).weights.toarray(), beds.start(n=9).astype(np.float32), beds.optimum(exact)


@pytest.mark.parametrize("algorithm", NEW, ids=name_of)
def test_float32_stays_at_the_optimum_for_2000_rounds(algorithm):
    """As `test_theory_limits` has it for D2, ExactDiffusion, GradientTracking and AugDGM."""
    problem, W, X, optimum = odd_ring()
    models, _ = run(algorithm, W, problem, X, 2000)
    assert models.dtype == np.float32
    distance = np.abs(models - optimum).max(axis=(1, 2))
    assert distance[1000:].max() < 1e-5


@pytest.mark.parametrize("form", [reference.extra, reference.nids])
def test_two_term_forms_would_drift(form):
    """Trap TR15, so the bound above is one that a wrong form fails."""
    problem, W, X, optimum = odd_ring()
    G = beds.gradient(problem)
    short = lambda X, t, k=0: G(X, t, k).astype(np.float32)
    models = form(W.astype(np.float32), short, X, np.float32(0.1), 2000)
    assert np.abs(models[-1] - optimum).max() > 2e-5
