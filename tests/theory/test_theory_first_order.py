"""First-order decentralized methods: every iterate against NumPy, limits in closed form, and what each reduces to.

The NumPy versions follow the papers' recursions (EQUATIONS rows O3 to O12, A2, S7, 3.050, 3.059, 3.060, 3.111) with
matrices and old and new values kept apart, and share no code with the library.
"""

import beds
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct

import jdl
from jdl import schedule, topology
from jdl.algorithms import DPSGD, FedAvg, PushSum
from jdl.algorithms.federated.easgd import EASGD
from jdl.algorithms.gossip.average_direction_sam import AverageDirectionSAM
from jdl.algorithms.gossip.cta import CTA
from jdl.algorithms.gossip.dadam import DAdam
from jdl.algorithms.gossip.decentlam import DecentLaM
from jdl.algorithms.gossip.delta_sgd import DeltaSGD
from jdl.algorithms.gossip.dfedavgm import DFedAvgM
from jdl.algorithms.gossip.dfedsam import DFedSAM
from jdl.algorithms.gossip.dmsgd import DmSGD
from jdl.algorithms.gossip.dsgdm import DSGDm
from jdl.algorithms.gossip.overlap_sgp import OverlapSGP
from jdl.algorithms.gossip.qg_dsgdm import QGDSGDm
from jdl.algorithms.gossip.scaled_local_sgd import ScaledLocalSGD
from jdl.algorithms.gossip.swarm_sgd import SwarmSGD
from jdl.algorithms.outer.slowmo import SlowMo

X64 = pytest.mark.usefixtures("x64")
ROUNDS, LR, N, DIM = 60, 0.05, beds.N, beds.DIM
MEAN = np.full((N, N), 1 / N)


def close(ours, expected, tolerance=1e-11):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance)


def differ(ours, other, least=1e-4):
    assert np.abs(np.asarray(ours) - np.asarray(other)).max() > least


def dense(W, kind=None):
    known = {} if kind is None else {"kind": kind}
    return schedule.Fixed(topology.from_weights(W, allow_disconnected=True, **known).plan("dense"))


def run(algorithm, W, problem=None, X=None, rounds=ROUNDS, **parts):
    """Models of all rounds, then the states of rounds 1 to T. Over a dense plan, so that programs are shared."""
    problem = beds.quadratic() if problem is None else problem
    if isinstance(W, np.ndarray):
        W = dense(W)
    X = beds.start() if X is None else X
    return beds.trajectory(jdl.simulation(problem, algorithm, W, **parts), rounds, X)


# ---- the recursions ----------------------------------------------------------------------------------------------


def cta(W, G, X, steps):
    for t in range(ROUNDS):
        X = W @ X
        for k in range(steps):
            X = X - LR * G(X, t, k)
        yield X


def dsgdm(W, G, X, beta):
    m = 0 * X
    for t in range(ROUNDS):
        g = G(X, t)
        m = beta * m + g
        X = W @ (X - LR * m)
        yield X


def amsgrad(W, G, X, b1, b2, eps):
    m, v, peak, u = 0 * X, eps + 0 * X, eps + 0 * X, eps + 0 * X
    for t in range(ROUNDS):
        g = G(X, t)
        m, v, before = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2, peak
        peak, mixed = np.maximum(peak, v), W @ u
        X = W @ X - LR * m / np.sqrt(np.maximum(mixed, eps))
        u = mixed - before + peak
        yield X


def overlap(P, G, X):
    n = len(P)
    own, off, w = np.diag(np.diag(P)), P - np.diag(np.diag(P)), np.ones(n)
    sent_before, weight_before, Z = 0 * X, 0 * w, X
    for t in range(ROUNDS):
        half = X - LR * G(Z, t)
        X, w, sent_before, weight_before = own @ half + off @ sent_before, own @ w + off @ weight_before, half, w
        Z = X / w[:, None]
        yield Z


def scaled(W, G, X, beta, floor, steps):
    v, D = 0 * X, 1 + 0 * X
    for t in range(ROUNDS):
        v = W @ (beta * v + (1 - beta) * G(X, t, 0) ** 2)
        for k in range(steps):
            X = X - LR * G(X, t, k) / D
        X = W @ X
        D = np.maximum(np.sqrt(v / (1 - beta ** (t + 1))), floor)
        yield X


def slowmo(Ws, G, X, alpha, beta, steps, momentum=0.0):
    """The paper's, with u and not lr u; local momentum is reset at each slow step, after the last of the Ws."""
    slow, u, m = X, 0 * X, 0 * X
    for t in range(ROUNDS):
        for k in range(steps):
            m = momentum * m + G(X, t, k)
            X = X - LR * m
        X = Ws[t % len(Ws)] @ X
        if t % len(Ws) == len(Ws) - 1:
            u = beta * u + (slow - X) / LR
            slow = slow - alpha * LR * u
            X, m = slow, 0 * m
        yield X


W = beds.directed_doubly()
EACH = {
    "cta": (CTA(lr=LR, local_steps=2), cta, (2,)),
    "amsgrad": (DAdam(lr=LR, b1=0.8, b2=0.95, eps=0.1, amsgrad=True), amsgrad, (0.8, 0.95, 0.1)),
    "overlap sgp": (OverlapSGP(lr=LR), overlap, ()),
    "scaled": (ScaledLocalSGD(lr=LR, beta=0.9, floor=0.3, local_steps=3), scaled, (0.9, 0.3, 3)),
}


@X64
@pytest.mark.parametrize("name", EACH)
def test_every_iterate_is_the_papers(name):
    """Noisy gradients, so the minibatch of every gradient is checked; a directed W, where that is allowed."""
    algorithm, recursion, numbers = EACH[name]
    matrix = {"overlap sgp": beds.directed_column(), "decentlam": beds.symmetric()}.get(name, W)
    graph = dense(matrix, "column") if name == "overlap sgp" else matrix
    problem, X = beds.quadratic(noise=0.3), beds.start()
    ours, *_ = run(algorithm, graph, problem)
    close(ours[1:], np.stack(list(recursion(matrix, beds.gradient(problem), X, *numbers))))
    differ(ours[-1], ours[0], 0.1)


# ---- what they reduce to -----------------------------------------------------------------------------------------

SAME = [
    (DSGDm(lr=LR, momentum=0.0), 1),
    (DmSGD(lr=LR, momentum=0.0), 1),
    (DecentLaM(lr=LR, momentum=0.0), 1),
    (QGDSGDm(lr=LR, momentum=0.0), 1),
    (DeltaSGD(lr=LR, local_steps=1), 1),
    (AverageDirectionSAM(lr=LR, rho=0.7), 1),  # a quadratic has no third derivative
    (DFedAvgM(lr=LR, momentum=0.0, local_steps=3), 3),
    (DFedSAM(lr=LR, rho=0.0, local_steps=3), 3),
    (SwarmSGD(lr=LR, local_steps=3), 3),
    (SlowMo(lr=LR, slow_lr=1.0, slow_momentum=0.0, local_steps=3), 3),
]


@X64
def test_without_its_own_twist_each_is_dpsgd():
    """Cross-check 19, and rows O9 and 3.060: the same minibatches, so with noise as well."""
    problem, matrix = beds.quadratic(noise=0.3), beds.symmetric()
    plain = {steps: run(DPSGD(lr=LR, local_steps=steps), matrix, problem)[0] for steps in (1, 3)}
    for algorithm, steps in SAME:
        close(run(algorithm, matrix, problem)[0], plain[steps], 1e-12)
    differ(plain[1], plain[3])


@X64
def test_local_and_mixed_momentum_are_the_heavy_ball_on_the_complete_graph():
    problem, X = beds.quadratic(), np.tile(beds.start()[0], (N, 1))
    mean = lambda X, t: np.tile(beds.gradient(problem)(X, t).mean(0), (N, 1))
    ball = np.stack(list(dsgdm(np.eye(N), mean, X, 0.8)))
    for algorithm in (DSGDm(lr=LR, momentum=0.8), DmSGD(lr=LR, momentum=0.8)):
        close(run(algorithm, MEAN, problem, X)[0][1:], ball, 1e-12)
    for algorithm in (QGDSGDm(lr=LR, momentum=0.8), DmSGD(lr=LR, momentum=0.8, old=True)):
        differ(run(algorithm, MEAN, problem, X)[0][1:], ball)


@X64
def test_on_one_node_the_quasi_global_momentum_is_not_plain():
    problem, X = beds.quadratic(n=1), beds.start(n=1)
    models, nodes, _ = run(QGDSGDm(lr=LR, momentum=0.8, mu=0.7), np.ones((1, 1)), problem, X)
    q, g = np.asarray(nodes.m) / LR, np.stack([beds.gradient(problem)(X) for X in models[1:-1]])
    close(q[1:], (0.7 + 0.3 * 0.8) * q[:-1] + 0.3 * g, 1e-12)
    differ(q[1:], 0.8 * q[:-1] + 0.3 * g)


@X64
def test_combining_first_is_adapting_first_seen_half_a_round_later():
    problem, X = beds.quadratic(), beds.start()
    ours, *_ = run(CTA(lr=LR), W, problem, X)
    atc, *_ = run(DPSGD(lr=LR), W, problem, W @ X)
    close(np.einsum("ij,tjd->tid", W, ours), atc, 1e-12)
    ours, *_ = run(CTA(lr=LR), MEAN, problem, X)
    z, central = X.mean(0), []
    for _ in range(ROUNDS):
        z = z - LR * beds.gradient(problem)(np.tile(z, (N, 1))).mean(0)
        central.append(z)
    close(ours[1:].mean(1), central, 1e-12)
    differ(ours[1:, 0], central)


@X64
def test_adam_without_links_is_adam_on_every_node():
    problem, X = beds.quadratic(noise=0.3), beds.start()
    ours, *_ = run(DAdam(lr=LR, b1=0.8, b2=0.95, eps=1e-6), np.eye(N), problem, X)
    adam = optax.adam(LR, b1=0.8, b2=0.95, eps=1e-6)
    x, G = jnp.asarray(X), beds.gradient(problem)
    opt = adam.init(x)
    for t in range(ROUNDS):
        with jax.numpy_dtype_promotion("standard"):
            updates, opt = adam.update(jnp.asarray(G(np.asarray(x), t)), opt)
        x = x + updates
        close(ours[t + 1], x)


@X64
def test_the_scaling_of_one_node_is_adams_second_moment_a_round_late():
    problem, X = beds.quadratic(n=1, noise=0.3), beds.start(n=1)
    ours, nodes, _ = run(ScaledLocalSGD(lr=LR, beta=0.9, floor=0.0), np.ones((1, 1)), problem, X)
    moment, G = optax.scale_by_adam(b1=0.0, b2=0.9), beds.gradient(problem)
    opt, D = moment.init(jnp.asarray(X)), 1.0
    for t in range(ROUNDS):
        g = G(ours[t], t)
        close(ours[t + 1], ours[t] - LR * g / D)
        with jax.numpy_dtype_promotion("standard"):
            _, opt = moment.update(jnp.asarray(g), opt)
        D = np.sqrt(np.asarray(opt.nu) / (1 - 0.9 ** (t + 1)))
        close(np.sqrt(np.asarray(nodes.v[t]) / np.asarray(nodes.total[t])[:, None]), D)


@X64
def test_scaling_is_shared_where_exchanges_average_and_absent_below_the_floor():
    problem = beds.quadratic(noise=0.3)
    shared = run(ScaledLocalSGD(lr=LR, local_steps=3), MEAN, problem)[1].v
    close(shared, np.broadcast_to(shared[:, :1], shared.shape), 1e-12)
    own = run(ScaledLocalSGD(lr=LR, local_steps=3), W, problem)[1].v
    differ(own, np.broadcast_to(own[:, :1], own.shape))
    small = problem.replace(A=problem.A / 100, b=problem.b / 100, noise=problem.noise / 100)
    ours, *_ = run(ScaledLocalSGD(lr=5.0, floor=1.0, local_steps=3), W, small)
    plain, *_ = run(DPSGD(lr=5.0, local_steps=3), W, small)
    close(ours, plain, 1e-12)


# ---- where they end ----------------------------------------------------------------------------------------------


def blocks(problem, matrix):
    n, d = problem.b.shape
    A = np.zeros((n * d, n * d))
    for i, block in enumerate(np.asarray(problem.A)):
        A[i * d : (i + 1) * d, i * d : (i + 1) * d] = block
    return np.kron(matrix, np.eye(d)), A, np.asarray(problem.b).ravel()


def fixed_point(problem, matrix, lr, mixed=0.0):
    """X = W (X - lr S (A X - b)), with S = (I - mixed W)^-1 where the momentum is mixed as well."""
    big, A, b = blocks(problem, matrix)
    eye = np.eye(len(b))
    S = lr * np.linalg.inv(eye - mixed * big)
    return np.linalg.solve(eye - big @ (eye - S @ A), big @ S @ b).reshape(N, -1)


ENDS = [  # (method, effective rate, momentum that is mixed)
    (DSGDm(lr=LR, momentum=0.8), LR / 0.2, 0.0),
    (DmSGD(lr=LR, momentum=0.8), LR, 0.8),
    (DmSGD(lr=LR, momentum=0.8, old=True), LR, 0.8),
    (DecentLaM(lr=LR, momentum=0.8), LR, 0.0),
    (QGDSGDm(lr=LR, momentum=0.8, mu=0.8), LR, 0.0),
]


@X64
def test_momentum_methods_end_in_their_closed_forms():
    """Row 6 with the rate each has in the end. With `old` the momentum lags: W (m) is what enters, so W S in place."""
    problem, matrix = beds.quadratic(), beds.symmetric()
    plain, optimum = fixed_point(problem, matrix, LR), beds.optimum(problem)
    bias = lambda X: np.abs(X - optimum).max()
    for algorithm, lr, mixed in ENDS:
        expected = fixed_point(problem, matrix, lr, mixed)
        if isinstance(algorithm, DmSGD) and algorithm.old:
            big, A, b = blocks(problem, matrix)
            S = LR * np.linalg.inv(np.eye(len(b)) - 0.8 * big) @ big
            expected = np.linalg.solve(np.eye(len(b)) - big @ (np.eye(len(b)) - S @ A), big @ S @ b).reshape(N, -1)
        ours = beds.limit(jdl.simulation(problem, algorithm, dense(matrix)), 1500)
        close(ours, expected, 1e-9)
        if lr != LR or mixed:
            differ(ours, plain, 1e-3)
    assert bias(fixed_point(problem, matrix, LR / 0.2)) > 2 * bias(plain) > 1e-2


def test_limits_hold_in_float32():
    """2,000 rounds; 20 times the rounding that the plain method has (row 6)."""
    problem, matrix = beds.quadratic(), beds.symmetric()
    expected = fixed_point(problem, matrix, LR)
    start = beds.start().astype(np.float32)
    for algorithm in (DecentLaM(lr=LR, momentum=0.8), QGDSGDm(lr=LR, momentum=0.8, mu=0.8)):
        close(beds.limit(jdl.simulation(problem, algorithm, dense(matrix)), 2000, start), expected, 6e-6)


@X64
def test_gossiping_second_moments_takes_away_the_bias_of_local_ones():
    problem, matrix, lr = beds.quadratic(), beds.symmetric(), 1e-3
    optimum = beds.optimum(problem)
    plain = DAdam(lr=lr, b2=0.99)
    safe = DAdam(lr=lr, b2=0.99, eps=0.1, amsgrad=True)
    ends = lambda algorithm: beds.limit(jdl.simulation(problem, algorithm, dense(matrix)), 20_000)
    error = lambda algorithm: np.abs(ends(algorithm).mean(0) - optimum).max()
    assert error(safe) < 2e-2 and error(plain) > 10 * error(safe)
    nodes = run(DAdam(lr=LR, eps=0.1, amsgrad=True), W, beds.quadratic(noise=0.3))[1]
    close(nodes.u.mean(1), nodes.peak.mean(1), 1e-12)
    differ(nodes.u, nodes.peak)


# ---- push-sum, a round late --------------------------------------------------------------------------------------


@X64
def test_overlap_keeps_all_mass_and_reaches_the_mean():
    P, problem, X = beds.directed_column(), beds.quadratic(noise=0.3), beds.start()
    graph = dense(P, "column")
    models, nodes, _ = run(OverlapSGP(lr=LR), graph, problem)
    close(np.sum(nodes.w + nodes.w_coming, axis=1), N, 1e-12)
    assert np.abs(np.sum(nodes.w, axis=1) - N).min() > 1e-2
    mass = np.concatenate([X.sum(0)[None], np.sum(nodes.x + nodes.coming, axis=1)])
    g = np.stack([beds.gradient(problem)(models[t], t).sum(0) for t in range(ROUNDS)])
    close(mass[1:], mass[:-1] - LR * g, 1e-11)
    still, nodes, _ = run(OverlapSGP(lr=0.0), graph, problem, rounds=400)
    close(still[-1], np.tile(X.mean(0), (N, 1)), 1e-10)
    differ(nodes.x[-1], X.mean(0), 1e-2)
    on_time, *_ = run(PushSum(lr=LR), graph, problem)
    differ(models, on_time, 1e-2)
    alone, *_ = run(OverlapSGP(lr=LR, local_steps=3), np.eye(N), problem)
    close(alone, run(DPSGD(lr=LR, local_steps=3), np.eye(N), problem)[0], 1e-12)


# ---- one-dimensional closed forms --------------------------------------------------------------------------------


@X64
def test_sharpness_in_one_dimension():
    """Row 3.060: on L (x - c)^2 / 2 the gradient is L (x - c) + L rho sign(x - c)."""
    problem, x = beds.quadratic(n=1, dim=1), np.array([[3.0]])
    L, c = float(problem.A[0, 0, 0]), beds.optimum(problem)
    ours, *_ = run(DFedSAM(lr=LR, rho=0.2), np.ones((1, 1)), problem, x, rounds=1)
    close(ours[1], x - LR * (L * (x - c) + L * 0.2 * np.sign(x - c)), 1e-12)
    stays, *_ = run(DFedSAM(lr=LR, rho=0.2), np.ones((1, 1)), problem, c[None], rounds=1)
    close(stays[1], c[None], 1e-12)


@X64
def test_the_rate_of_delta_sgd_settles_at_the_curvature_and_grows_without():
    """Row 3.111: gamma / (2 L) on L x^2 / 2, so half of the way a step for gamma = 1; and sqrt(1 + delta q) else."""
    problem, x = beds.quadratic(n=1, dim=1), np.array([[3.0]])
    c = beds.optimum(problem)
    far = [
        run(DeltaSGD(lr=0.01, gamma=1.0, delta=1.0, local_steps=H), np.ones((1, 1)), problem, x, rounds=1)[0][1] - c
        for H in (20, 21)
    ]
    close(far[1] / far[0], 0.5, 1e-9)
    flat, H = problem.replace(A=0 * problem.A, b=1 + 0 * problem.b), 20
    ours, *_ = run(DeltaSGD(lr=0.001, delta=0.3, local_steps=H), np.ones((1, 1)), flat, x, rounds=1)
    rates, growth = [0.001], 1.0
    while len(rates) < H:
        growth = np.sqrt(1 + 0.3 * growth)
        rates.append(growth * rates[-1])
    close(ours[1] - x, sum(rates), 1e-12)
    still, *_ = run(DeltaSGD(lr=0.0), W)
    close(still[1], W @ still[0], 1e-12)


# ---- meetings ----------------------------------------------------------------------------------------------------


@X64
def test_swarm_on_two_nodes_and_over_matchings():
    problem, X = beds.quadratic(n=2), beds.start(n=2)
    ours, *_ = run(SwarmSGD(lr=LR), schedule.pairwise(2), problem, X)
    close(ours, run(DPSGD(lr=LR), np.full((2, 2), 0.5), problem, X)[0], 1e-12)
    problem, X, talk = beds.quadratic(noise=0.3), beds.start(), schedule.matching(N)
    ours, *_ = run(SwarmSGD(lr=LR, local_steps=2), talk, problem, X)
    for t in range(ROUNDS):
        key = jdl.sim.key_of(jax.random.key(0), "schedule", t)
        matrix = np.asarray(topology.to_dense(talk((), jnp.int32(t), key)[0]))
        X = X - LR * beds.gradient(problem)(X, t, 0)
        X = matrix @ (X - LR * beds.gradient(problem)(X, t, 1))
        close(ours[t + 1], X)


@X64
def test_geometric_steps_have_the_mean_and_the_law_they_should():
    """A constant slope counts steps. 8 nodes, 1,000 rounds: mean H with variance H (H - 1), and one step with 1/H."""
    problem, H = beds.quadratic(dim=1), 3
    slope = problem.replace(A=0 * problem.A, b=1 + 0 * problem.b)
    ours, *_ = run(SwarmSGD(lr=1.0, local_steps=H, geometric=True), np.eye(N), slope, np.zeros((N, 1)), rounds=1000)
    steps = np.diff(ours[..., 0], axis=0).ravel()
    assert steps.min() == 1 and steps.max() > 8 and np.array_equal(steps, np.round(steps))
    assert abs(steps.mean() - H) < 3.5 * np.sqrt(H * (H - 1) / steps.size)
    assert abs((steps == 1).mean() - 1 / H) < 3.5 * np.sqrt(2 / 9 / steps.size)
    assert np.mean(steps[:-1] == steps[1:]) < 0.5  # each node, each round its own


# ---- slow momentum -----------------------------------------------------------------------------------------------


@X64
def test_slow_momentum_around_local_steps_and_around_a_base():
    problem, X = beds.quadratic(noise=0.3), beds.start()
    ring = np.asarray(topology.ring(N).weights.toarray())
    cycle = schedule.cyclic([topology.ring(N)] * 2 + [topology.complete(N)])
    G, numbers = beds.gradient(problem), {"slow_lr": 0.8, "slow_momentum": 0.6, "period": 3}
    ours, nodes, _ = run(SlowMo(lr=LR, local_steps=2, **numbers), cycle, problem)
    close(ours[1:], np.stack(list(slowmo([ring, ring, MEAN], G, X, 0.8, 0.6, 2))))
    assert not np.array_equal(nodes.slow[1], nodes.slow[2]) and np.array_equal(nodes.slow[2], nodes.slow[4])
    around = SlowMo(base=DSGDm(lr=LR, momentum=0.7), **numbers)
    ours, *_ = run(around, cycle, problem)
    close(ours[1:], np.stack(list(slowmo([ring, ring, MEAN], G, X, 0.8, 0.6, 1, momentum=0.7))))
    without, *_ = run(around, topology.ring(N), problem)  # the variant without exact averages
    close(without[1:], np.stack(list(slowmo([ring] * 3, G, X, 0.8, 0.6, 1, momentum=0.7))))
    differ(ours, without, 1e-3)


@X64
def test_slow_momentum_is_diloco_with_a_heavy_ball_outside():
    problem, x = beds.quadratic(), beds.start()[0]
    talk = topology.complete(N)
    algorithm = SlowMo(lr=LR, slow_lr=0.7, slow_momentum=0.6, local_steps=3, period=1)
    ours, *_ = run(algorithm, talk, problem, np.tile(x, (N, 1)))
    ball = 0 * x
    for t in range(ROUNDS):
        Y = np.tile(x, (N, 1))
        for k in range(3):
            Y = Y - LR * beds.gradient(problem)(Y, t, k)
        ball = 0.6 * ball + x - Y.mean(0)
        x = x - 0.7 * ball
        close(ours[t + 1], np.tile(x, (N, 1)), 1e-12)


def test_slow_momentum_asks_for_what_its_base_asks_for():
    assert SlowMo.needs == SlowMo().needs == DPSGD.needs
    assert SlowMo(base=PushSum()).needs == PushSum.needs
    for base in (FedAvg(), EASGD()):
        with pytest.raises(jdl.checks.InputError, match="needs 'server'"):
            jdl.simulation(beds.quadratic(), SlowMo(base=base), dense(W))

    @struct.dataclass
    class Twice(DPSGD):
        phases = (("send", "recv"), ("send", "recv"))

    with pytest.raises(ValueError, match="one exchange a round"):
        jdl.simulation(beds.quadratic(), SlowMo(base=Twice()), dense(W))


# ---- elastic averaging -------------------------------------------------------------------------------------------


@X64
def test_elastic_averaging_is_dgd_with_the_centre_as_a_node():
    """Row O10: weights (1 - a) on the diagonal, a to and from the centre, 1 - n a in its corner; no data there."""
    problem, x, a = beds.quadratic(noise=0.3), beds.start()[0], 0.09
    algorithm = EASGD(lr=LR, pull=a, moving_rate=N * a, local_steps=1)
    centre, clients, _ = run(algorithm, schedule.sampling(N, N), problem, x)
    big = np.diag([1 - a] * N + [1 - N * a])
    big[:N, N] = big[N, :N] = a
    G = beds.gradient(problem)
    padded = lambda X, t: np.concatenate([G(X[:N], t), np.zeros((1, DIM))])
    expected = beds.dgd(big, padded, np.tile(x, (N + 1, 1)), LR, ROUNDS)
    close(centre[:, 0], expected[:, N], 1e-12)
    close(clients, expected[1:, :N], 1e-12)


@X64
def test_elastic_averaging_over_samples_and_local_steps():
    problem, x, m = beds.quadratic(noise=0.3), beds.start()[0], 3
    talk = schedule.sampling(N, m)
    algorithm = EASGD(lr=LR, pull=0.2, moving_rate=0.7, local_steps=2)
    centre, clients, _ = run(algorithm, talk, problem, x)
    X, z, G = np.tile(x, (N, 1)), x, beds.gradient(problem)
    for t in range(ROUNDS):
        key = jdl.sim.key_of(jax.random.key(0), "schedule", t)
        ids = np.asarray(talk((), jnp.int32(t), key)[0].participants)
        Y = X - LR * G(X, t, 0)
        Y = Y - LR * G(Y, t, 1) - 0.2 * (X - z)
        z = z + 0.7 / N * (X[ids] - z).sum(0)
        X = X.copy()
        X[ids] = Y[ids]
        close(centre[t + 1, 0], z)
        close(clients[t], X)


# ---- the scatter of models as a perturbation ---------------------------------------------------------------------


@struct.dataclass
class Cubic:
    """f_i(x) = sum(c x^3 / 6 + a x^2 / 2 - b x), the same on every node: its third derivative is c."""

    a: jax.Array
    b: jax.Array
    c: jax.Array

    n = N
    optimum = None

    @property
    def num_examples(self):
        return jnp.ones(N, jnp.int32)

    def init(self, key):
        return jnp.zeros(DIM, self.b.dtype)

    def batch(self, id, draw):
        return ()

    def full_batch(self, id):
        return ()

    def loss(self, params, batch):
        return jnp.sum(self.c * params**3 / 6 + self.a * params**2 / 2 - self.b * params), ()

    def evaluate(self, params):
        return {"loss": self.loss(params, ())[0]}


@X64
def test_dsgd_descends_the_loss_averaged_over_the_scatter_of_its_models():
    """Row 3.050: mean f'(x_i) = f'(mean) + f''' S / 2 exactly on a cubic; a quadratic is not regularised at all."""
    X = beds.start()
    m, scatter = X.mean(0), X.var(0)
    for c in (0.8, 0.0):
        cubic = Cubic(jnp.float64(1.3), jnp.full(DIM, 0.4), jnp.float64(c))
        slope = c * m**2 / 2 + 1.3 * m - 0.4
        ours, *_ = run(DPSGD(lr=LR), MEAN, cubic, X, rounds=1)
        close(ours[1].mean(0), m - LR * (slope + c * scatter / 2), 1e-12)
        assert (np.abs(c * scatter / 2).max() > 1e-2) == (c > 0)


@X64
def test_average_direction_adds_half_the_third_derivative_times_the_variance():
    """800 pairs of 8 nodes and 5 numbers: the mean square of a direction is known to 1%."""
    X, rho, c = beds.start(), 0.6, 0.8
    cubic = Cubic(jnp.float64(1.3), jnp.full(DIM, 0.4), jnp.float64(c))
    ours, *_ = run(AverageDirectionSAM(lr=LR, rho=rho, samples=800), np.eye(N), cubic, X, rounds=2)
    for t in range(2):
        slope = c * ours[t] ** 2 / 2 + 1.3 * ours[t] - 0.4
        extra = (ours[t] - ours[t + 1]) / LR - slope
        assert extra.mean() == pytest.approx(c * rho**2 / 2, rel=0.04)
        assert np.all(extra > 0) and np.abs(extra - extra.mean()).max() < 0.25 * extra.mean()
        assert len(np.unique(extra.round(12))) == X.size  # every node and number has directions of its own
