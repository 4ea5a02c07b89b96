"""Primal-dual, per-link and accelerated methods: limit cases, limits, invariants, and what must not hold."""

import beds
import jax.numpy as jnp
import numpy as np
import numpy_decentralized as reference
import numpy_federated
import pytest
import rows
from beds import DIM, MEAN, N, apart, close, same
from table import LR, ROUNDS, WIDE, H, X

import jdl
from jdl import algorithms, exchange, topology
from jdl.exchange.chebyshev import Chebyshev

X64 = pytest.mark.usefixtures("x64")


def models(name, W, problem, start=X, **numbers):
    return rows.run(name, W, problem, start, **numbers).models


def tree():
    return topology.binary_tree(N).weights.toarray()


# ---- ADMM and DLM -------------------------------------------------------------------------------------------------


@X64
def test_admm_solves_its_subproblem_exactly_in_every_step():
    """grad f_i(x_i+) + alpha_i+ = rho sum_j W_ij ((x_i + x_j) - (x_i+ + x_j+)): a wrong dual step is seen here, not in
    the limit. alpha of a round is that before its step.
    """
    W, problem, rho = beds.symmetric(), beds.quadratic(), 0.4
    run = rows.run("ADMM", W, problem, penalty=rho)
    G, alphas, off = beds.gradient(problem), run.nodes.alpha, W - np.diag(np.diag(W))
    plus = lambda x: off.sum(1)[:, None] * x + off @ x
    for t in range(ROUNDS - 1):
        left = G(run.models[t + 1]) + alphas[t + 1]
        close(left, rho * (plus(run.models[t]) - plus(run.models[t + 1])), 1e-12)
    close(alphas.sum(1), 0, 1e-12)
    assert np.abs(alphas[-1]).max() > 0.1


@X64
def test_admm_with_very_many_gradient_steps_takes_the_exact_step():
    W, quiet = beds.symmetric(), beds.quadratic()
    many = models("ADMM by steps", W, quiet, lr=0.5, local_steps=200)
    same(many, models("ADMM", W, quiet, penalty=0.4), 1e-10)


@X64
def test_the_duals_of_dlm_sum_to_zero():
    close(rows.run("DLM", beds.symmetric(), penalty=0.7).nodes.phi.sum(1), 0, 1e-12)


@X64
@pytest.mark.parametrize("name", ["ADMM by steps", "DLM"])
def test_no_penalty_is_local_training(name):
    problem, steps = beds.quadratic(noise=0.3), H if "steps" in name else 1
    alone = reference.atc(np.eye(N), beds.gradient(problem), X, LR, ROUNDS, steps)
    same(models(name, beds.symmetric(), problem, penalty=0.0), alone)


# ---- DiNNO and LT-ADMM --------------------------------------------------------------------------------------------


@X64
def test_dinno_with_plain_steps_and_a_constant_penalty_is_admm_by_steps():
    W, problem, start = beds.symmetric(), beds.quadratic(noise=0.3), beds.one_start()
    ours = models("DiNNO sgd", W, problem, start, growth=1.0)
    same(ours, models("ADMM by steps", W, problem, start))


@X64
def test_lt_admm_with_one_local_step_is_extra():
    """Also with the fresh table of its variance-reduced form, which then takes full gradients."""
    W, start = beds.symmetric(), beds.one_start()
    one = {"local_steps": 1, "dual_lr": 1.0}
    noise = beds.quadratic(noise=0.3)
    same(models("LTADMM", W, noise, start, **one), models("EXTRA", W, noise, start))
    same(models("LTADMMVR", W, noise, start, **one), models("EXTRA", W, beds.quadratic(), start))


@X64
def test_lt_admm_is_stable_below_its_bound_on_the_dual_rate():
    """8 / (3 (1 - lambda)) = 1.404 at lambda = -0.9 on flat ground, however many local steps share it."""
    problem = beds.quadratic()
    flat = problem.replace(A=0 * problem.A, b=0 * problem.b)
    start = np.tile([[1.0], [-1.0]], (N // 2, DIM))
    ends = [rows.limit("LTADMM", 600, beds.pairs(-0.9), flat, start=start, dual_lr=rate) for rate in (1.38, 1.43)]
    assert np.abs(ends[0][0] - ends[0][1]).max() < 1e-3 and np.abs(ends[1][0] - ends[1][1]).max() > 1e3


@X64
@pytest.mark.parametrize("name", ["LTADMM", "LTADMMVR table", "DiNNO sgd"])
def test_their_duals_sum_to_zero(name):
    dual = rows.run(name, beds.symmetric()).nodes.dual
    close(dual.sum(1), 0, 1e-12)
    assert np.abs(dual[-1]).max() > 0.05


# ---- ProxSkip -----------------------------------------------------------------------------------------------------


@X64
def test_proxskip_mixes_when_the_common_coin_says_so_and_other_rounds_cost_nothing():
    W, tossed = beds.symmetric(), beds.coins(0.4)
    run = rows.run("ProxSkip", W)
    close(run.nodes.h.sum(1), 0, 1e-12)
    assert 5 < tossed.sum() < 40
    degree = np.count_nonzero(W - np.diag(np.diag(W)), axis=1)
    sent = np.cumsum(tossed)[:, None] * degree
    np.testing.assert_array_equal(run.messages, sent)
    np.testing.assert_array_equal(run.bits, sent * 64 * DIM)


@X64
def test_proxskip_in_its_limits():
    W, problem = beds.symmetric(), beds.quadratic(noise=0.3)
    half = models("ProxSkip", W, problem, probability=1.0, share=0.5)
    same(half, models("ExactDiffusion", W, problem))
    full = models("ProxSkip", W, problem, probability=1.0, share=1.0)
    same(full, models("D2", W, problem))
    apart(half, full)
    never = models("ProxSkip", W, problem, probability=0.0, share=0.5)
    same(never, reference.atc(np.eye(N), beds.gradient(problem), X, LR, ROUNDS))


@X64
def test_proxskip_with_exact_averages_is_scaffnew_on_a_server():
    problem, start, p = beds.quadratic(noise=0.3), beds.one_start(), 0.2
    ours = models("ProxSkip", MEAN, problem, start, probability=p, share=1.0)
    server = numpy_federated.scaffnew(beds.coins(p), beds.gradient(problem), start[0], LR, ROUNDS, N, p)
    same(ours, server[1])
    every = models("ProxSkip", MEAN, beds.quadratic(), start, probability=1.0, share=1.0)
    same(every, beds.descent(problem, start[0], LR)[:, None], 1e-12)


# ---- OPAPC --------------------------------------------------------------------------------------------------------


@X64
@pytest.mark.parametrize("chi", [4.0, 1000.0])
def test_opapc_over_plain_gossip(chi):
    """chi = 1000 is so bad a condition that there is no momentum, tau = 1."""
    W, problem, lr, mu = beds.symmetric(), beds.quadratic(noise=0.3), 0.3, 0.25
    run = rows.run("OPAPC", W, problem, lr=lr, mu=mu, chi=chi, largest=1.8)
    tau = min(1, chi * mu * lr)
    assert (tau == 1) == (chi > 100)
    same(run.models, reference.apapc(W, beds.gradient(problem), X, lr, ROUNDS, tau, 1 / (lr * 1.8), mu)[0])
    close(run.nodes.y.sum(1), 0, 1e-12)


@X64
def test_opapc_with_the_constants_of_its_theorem_over_chebyshev():
    """tau from chi, mu and lr alone is the paper's; its polynomial is a matrix that NumPy can apply."""
    problem, graph, K = beds.quadratic(), topology.ring(N), 3
    W, rho, L, mu = graph.weights.toarray(), topology.lambda_2(graph), 1.0, 0.25
    small = 1 / np.cosh(K * np.arccosh(1 / rho))
    largest, chi = 1 + small, (1 + small) / (1 - small)
    tau = min(1, np.sqrt(chi * mu / L) / 2)
    lr = 1 / (4 * tau * L)
    assert tau < 1
    values, vectors = np.linalg.eigh(W)
    P = vectors @ np.diag(np.polynomial.chebyshev.Chebyshev.basis(K)(values / rho) * small) @ vectors.T
    algorithm = algorithms.OPAPC(lr=lr, mu=mu, chi=chi, largest=largest)
    ours = beds.record(jdl.simulation(problem, algorithm, graph, [Chebyshev(K, rho)]), X).models
    same(ours, reference.apapc(P, beds.gradient(problem), X, lr, ROUNDS, tau, 1 / (lr * largest), mu)[0])


@X64
def test_opapc_is_faster_where_the_condition_is_bad():
    """Condition 1000, equal data: after as many rounds, each with its own rate in theory, orders of magnitude."""
    hard, mu = jdl.problems.quadratic(nodes=N, dim=DIM, condition=1000.0, seed=0), 1e-3
    problem = beds.quadratic().replace(A=jnp.repeat(hard.A[:1], N, 0), b=hard.b)
    tau = min(1, np.sqrt(mu) / 2)
    ways = {"OPAPC": {"lr": 1 / (4 * tau), "mu": mu, "chi": 1.0, "largest": 1.0}, "ExactDiffusion": {"lr": 1.0}}
    ends = [rows.limit(name, 600, MEAN, problem, start=beds.one_start(), **way) for name, way in ways.items()]
    errors = [np.linalg.norm(end - beds.optimum(problem)) for end in ends]
    assert errors[0] < 0.1 * errors[1]


# ---- where exact methods end --------------------------------------------------------------------------------------

EXACT = {
    "ADMM": {"penalty": 0.5},
    "ADMM by steps": {"lr": 0.2, "penalty": 0.5},
    "DLM": {"lr": 0.3, "penalty": 0.5},
    "ProxSkip": {"lr": 0.3, "probability": 0.3, "share": 0.5},
    "OPAPC": {"lr": 0.3, "mu": 0.2, "chi": 4.0, "largest": 2.0},
    "RelaySGD": {"lr": 0.2},
    "RelaySGD by count": {"lr": 0.2, "by_count": True},
    "DiNNO sgd": {"lr": 0.2, "penalty": 0.5, "growth": 1.0},
    "LTADMM": {"lr": 0.1, "dual_lr": 1.0},
    "LTADMMVR": {"lr": 0.1, "dual_lr": 1.0},
    "LTADMMVR table": {"lr": 0.1, "dual_lr": 1.0},
}


def row_of(name):
    return name.removesuffix(" by count")


@X64
@pytest.mark.parametrize("name", EXACT)
def test_the_limit_is_the_optimum_whatever_the_heterogeneity(name):
    problem = beds.quadratic()
    ours = rows.limit(row_of(name), 3000, tree(), problem, start=beds.one_start(), **EXACT[name])
    close(ours, beds.optimum(problem), 1e-10)


@X64
def test_the_limit_of_a_method_without_a_dual_is_another():
    problem = beds.quadratic()
    apart(rows.limit("DPSGD", 1000, tree(), problem, lr=0.2), beds.optimum(problem))


@pytest.mark.parametrize("name", ["ADMM", "DLM", "ProxSkip", "OPAPC", "RelaySGD", "DiNNO sgd", "LTADMM"])
@pytest.mark.slow
def test_float32_does_not_drift(name):
    problem, start = beds.quadratic(), beds.one_start().astype(np.float32)
    for rounds in (1000, 2000):
        ours = rows.limit(name, rounds, tree(), problem, start=start, **EXACT[name])
        assert np.abs(ours - beds.optimum(problem)).max() < 5e-6


# ---- RelaySGD -----------------------------------------------------------------------------------------------------


def relayed(distance, G, x, rounds, local_steps=1):
    """x_i^{t+1} = (1/n) sum_j z_j^{t - max(0, dist_ij - 1)}, z of the time before the start is x^0."""
    X, halves = [x], []
    for t in range(rounds):
        z = X[-1]
        for k in range(local_steps):
            z = z - LR * G(z, t, k)
        halves.append(z)
        delay = t - np.maximum(0, distance - 1)
        models = [[halves[s][j] if s >= 0 else x[j] for j, s in enumerate(row)] for row in delay]
        X.append(np.mean(models, axis=1))
    return np.stack(X)


def distances(W):
    distance = np.where(np.eye(len(W)), 0, np.inf)
    for _ in W:
        distance = np.minimum(distance, np.min(distance[:, :, None] + np.where(W != 0, 1, np.inf)[None], axis=1))
    return distance.astype(int)


@X64
@pytest.mark.parametrize("which", ["path", "another"])
def test_relaysgd_averages_models_of_the_past(which):
    W = beds.path() if which == "path" else tree()
    problem, far = beds.quadratic(noise=0.3), distances(W)
    assert far.max() == (7 if which == "path" else far.max()) and far.max() >= 4
    run = rows.run("RelaySGD local", W, problem, beds.one_start())
    same(run.models, relayed(far, beds.gradient(problem), beds.one_start(), ROUNDS, H), 1e-12)
    # What is known: after t + 1 rounds the models of all within so many links.
    reached = 1 + run.nodes.counts.sum(2)
    np.testing.assert_array_equal(reached, [(far <= t + 1).sum(1) for t in range(ROUNDS)])


@X64
@pytest.mark.parametrize("by_count", [False, True])
def test_relaysgd_without_some_of_its_messages(by_count):
    """Message by message, along what the counts say arrived; in the end losses bias one variant and not the other."""
    problem, start, graph = beds.quadratic(noise=0.3), beds.one_start(), topology.binary_tree(N)
    network, algorithm = [exchange.Lossy(0.2)], algorithms.RelaySGD(lr=LR, by_count=by_count)
    run = beds.record(jdl.simulation(problem, algorithm, graph, network), start)
    G, links, counts = beds.gradient(problem), jdl.plan.neighbours(graph.plan("slots")), run.nodes.counts
    ids, used = np.asarray(links.ids), np.asarray(links.used)
    x, out, known = start, [start], {}
    lost = 0
    for t in range(ROUNDS):
        z, sent = x - LR * G(x, t), {}
        for i, s in zip(*np.nonzero(used), strict=True):
            others = [known[k, i] for k in ids[i][used[i]] if k != ids[i, s] and (k, i) in known]
            sent[i, ids[i, s]] = (z[i] + sum(m for m, _ in others), 1 + sum(c for _, c in others))
        arrived = {(ids[i, s], i) for i, s in zip(*np.nonzero(counts[t] > 0), strict=True)}
        lost += len(sent) - len(arrived)
        known = {link: sent[link] for link in arrived}
        total = [z[i] + sum(known[link][0] for link in arrived if link[1] == i) for i in range(N)]
        count = np.array([1 + sum(known[link][1] for link in arrived if link[1] == i) for i in range(N)])[:, None]
        x = np.stack(total) / count if by_count else (np.stack(total) + (N - count) * start) / N
        np.testing.assert_array_equal(count[:, 0], 1 + counts[t].sum(1))
        out.append(x)
    close(run.models, np.stack(out), 1e-12)
    assert 50 < lost < 300 and np.abs(run.models[-1] - start).max() > 0.05
    quiet = beds.quadratic()
    ours = beds.limit(jdl.simulation(quiet, algorithm, graph, network), 1500, start)
    assert (np.abs(ours - beds.optimum(quiet)).max() < 0.2) == by_count


def test_relaysgd_reaches_all_on_a_tree_and_refuses_what_is_none():
    problem, step = beds.quadratic(), beds.jit(jdl.sim.step)
    built = jdl.simulation(problem, rows.method("RelaySGD"), topology.binary_tree(N))
    sim = beds.jit(jdl.sim.init)(built)
    for _ in range(10):
        sim, info = step(built, sim)
    np.testing.assert_array_equal(info.values["reached"], np.full(N, N))
    with pytest.raises(jdl.checks.InputError, match="without cycles"):
        jdl.simulation(problem, rows.method("RelaySGD"), topology.ring(N))


# ---- PowerGossip --------------------------------------------------------------------------------------------------


def wide(n=N, noise=0.0, form=beds.matrix, dim=12):
    return beds.quadratic(n=n, dim=dim, noise=noise, form=form)


@X64
def test_both_ends_of_a_link_of_powergossip_hold_the_same_to_the_last_bit():
    built = rows.simulation("PowerGossip twice", beds.symmetric())
    nodes = beds.record(built, beds.matrix(WIDE)).nodes
    plan = built.schedule.plan
    near = jdl.plan.neighbours(plan)
    ids, used = np.asarray(near.ids), np.asarray(near.used)
    for side in (nodes.left[0][-1], nodes.right[0][-1]):
        for i, s in zip(*np.nonzero(used), strict=True):
            j = ids[i, s]
            back = np.flatnonzero((ids[j] == i) & used[j])[0]
            assert side[i, s].tobytes() == side[j, back].tobytes()


@X64
@pytest.mark.slow
def test_powergossip_of_full_rank_is_gossip():
    """A square array of at most `rank` rows: P P^T = I in every turn. Of a vector, in every second one."""
    problem, W = wide(noise=0.3, form=beds.square, dim=9), beds.symmetric()
    start = beds.start(dim=9)
    algorithm = algorithms.PowerGossip(lr=LR, rank=5)
    ours = beds.record(jdl.simulation(problem, algorithm, W), beds.square(start)).models[:16]
    same(ours, reference.atc(W, beds.gradient(problem), start, LR, 15), 1e-10)
    vectors = beds.record(jdl.simulation(beds.quadratic(), algorithms.PowerGossip(lr=0.0), W), X).models
    close(vectors[2], W @ vectors[1], 1e-12)
    close(vectors[4], W @ vectors[3], 1e-12)
    apart(vectors[1], W @ vectors[0])


@X64
def test_powergossip_on_two_nodes():
    """The mean stays, whatever is cut off; a difference of rank 1 is gone after two turns."""
    rng = np.random.default_rng(5)
    pair = rng.standard_normal((2, 4, 3))
    line = np.stack([pair[0], pair[0] + np.outer(rng.standard_normal(4), rng.standard_normal(3))])
    ours = rows.run("PowerGossip", beds.pairs(0.0), wide(), np.tile(pair.reshape(2, 12), (4, 1)), lr=0.0).models
    close(ours[:, :2].mean(1), pair.mean(0).ravel(), 1e-15)
    gap = np.linalg.norm(ours[:, 0] - ours[:, 1], axis=1)
    assert gap[1] > 0.1 and gap[2] > 0.1 and gap[40] < 1e-6 * gap[0]
    ours = rows.run("PowerGossip", beds.pairs(0.0), wide(), np.tile(line.reshape(2, 12), (4, 1)), lr=0.0).models
    apart(ours[1, 0], ours[1, 1])
    close(ours[2], line.mean(0).ravel(), 1e-12)


def test_powergossip_begins_again_after_perfect_agreement():
    """Equal models leave no direction to go on from; the old one must do, or nothing would ever travel again."""
    built = jdl.simulation(wide(), algorithms.PowerGossip(lr=0.0), topology.ring(N))
    sim = beds.jit(jdl.sim.init)(built, beds.matrix(WIDE[0]))
    sim = beds.advance(built, sim, jnp.int32(5))[0]
    start = beds.matrix(WIDE)
    sim = sim.replace(nodes=sim.nodes._replace(x=jnp.asarray(start, jnp.float32)))
    close(beds.advance(built, sim, jnp.int32(1500))[0].nodes.x, start.mean(0), 2e-5)


def test_powergossip_counts_what_travels_and_stands_losses():
    algorithm, start = algorithms.PowerGossip(lr=0.0, rank=2, iterations=3), beds.matrix(WIDE).astype(np.float32)
    built = jdl.simulation(wide(), algorithm, topology.ring(N), [exchange.Lossy(0.4)])
    run = beds.record(built, start, first=300 - ROUNDS)
    close(run.models[-1], WIDE.mean(0), 2e-5)
    np.testing.assert_array_equal(run.messages[-1], np.full(N, 300 * 6))
    np.testing.assert_array_equal(run.bits[-1], np.full(N, 300 * 32 * 2 * (4 + 3 + 4 + 3 + 4 + 3)))
