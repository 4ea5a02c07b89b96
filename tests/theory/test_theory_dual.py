"""Primal-dual, per-link and accelerated methods: iterates against NumPy, limits, invariants, and what must not hold."""

import beds
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jdl
from jdl import exchange, topology
from jdl.algorithms import D2, DPSGD, ExactDiffusion
from jdl.algorithms.compressed.powergossip import PowerGossip
from jdl.algorithms.dual.admm import ADMM
from jdl.algorithms.dual.dlm import DLM
from jdl.algorithms.dual.opapc import OPAPC
from jdl.algorithms.dual.proxskip import ProxSkip
from jdl.algorithms.gossip.relaysgd import RelaySGD
from jdl.exchange.chebyshev import Chebyshev

X64 = pytest.mark.usefixtures("x64")
N, DIM, ROUNDS, LR = beds.N, beds.DIM, 60, 0.05


def run(problem, algorithm, talk, X, rounds=ROUNDS, network=()):
    return beds.trajectory(jdl.simulation(problem, algorithm, talk, network), rounds, X)


def check(ours, reference, tolerance=1e-11):
    np.testing.assert_allclose(ours, reference, rtol=0, atol=tolerance)
    assert np.abs(reference[-1] - reference[0]).max() > 0.1


def close(ours, expected, tolerance=1e-10):
    np.testing.assert_allclose(ours, np.broadcast_to(expected, ours.shape), rtol=0, atol=tolerance)


def one_start():
    return np.broadcast_to(beds.start()[0], (N, DIM))


# ---- ADMM and DLM -------------------------------------------------------------------------------------------------


@X64
def test_admm_solves_its_subproblem_exactly_in_every_step():
    W, problem, X, rho = beds.symmetric(), beds.quadratic(noise=0.3), beds.start(), 0.4
    ours, nodes, _ = run(problem, ADMM(penalty=rho, exact=True), W, X)
    A, b, off = np.asarray(problem.A), np.asarray(problem.b), W - np.diag(np.diag(W))
    degree, x, alpha, out = off.sum(1), X, np.zeros_like(X), [X]
    for _ in range(ROUNDS):
        right = b - alpha + rho * (degree[:, None] * x + off @ x)
        x = np.stack([np.linalg.solve(A[i] + 2 * rho * degree[i] * np.eye(DIM), right[i]) for i in range(N)])
        alpha = alpha + rho * (degree[:, None] * x - off @ x)
        out.append(x)
    check(ours, np.stack(out))
    # grad f_i(x_i+) + alpha_i+ = rho sum_j W_ij ((x_i + x_j) - (x_i+ + x_j+)): a wrong dual step is seen here, not in
    # the limit. alpha of a round is that before its step.
    alphas = np.asarray(nodes.alpha)
    plus = lambda x: degree[:, None] * x + off @ x
    for t in (1, 7, 50):
        left = np.einsum("nij,nj->ni", A, ours[t + 1]) - b + alphas[t + 1]
        np.testing.assert_allclose(left, rho * (plus(ours[t]) - plus(ours[t + 1])), rtol=0, atol=1e-12)
    np.testing.assert_allclose(alphas.sum(1), 0, atol=1e-12)
    assert np.abs(alphas[-1]).max() > 0.1


@X64
def test_admm_with_gradient_steps_minimises_the_same_function():
    """Three noisy steps against NumPy; and very many of them are the exact step."""
    W, problem, X, rho = beds.symmetric(), beds.quadratic(noise=0.3), beds.start(), 0.4
    ours, _, _ = run(problem, ADMM(lr=0.2, penalty=rho, local_steps=3), W, X)
    G, off = beds.gradient(problem), W - np.diag(np.diag(W))
    degree, x, alpha, out = off.sum(1)[:, None], X, np.zeros_like(X), [X]
    for t in range(ROUNDS):
        y, centre = x, (degree * x + off @ x) / 2
        for k in range(3):
            y = y - 0.2 * (G(y, t, k) + alpha + 2 * rho * (degree * y - centre))
        x = y
        alpha = alpha + rho * (degree * x - off @ x)
        out.append(x)
    check(ours, np.stack(out))
    quiet = beds.quadratic()
    many, _, _ = run(quiet, ADMM(lr=0.5, penalty=rho, local_steps=200), W, X, 10)
    exact, _, _ = run(quiet, ADMM(penalty=rho, exact=True), W, X, 10)
    check(many, exact, 1e-10)


@X64
def test_dlm_linearises_admm():
    W, problem, X, rho = beds.symmetric(), beds.quadratic(noise=0.3), beds.start(), 0.7
    ours, nodes, _ = run(problem, DLM(lr=LR, penalty=rho), W, X)
    G, laplacian = beds.gradient(problem), np.eye(N) - W
    step, x, phi, out = 1 / (1 / LR + 2 * rho * np.diag(laplacian))[:, None], X, np.zeros_like(X), [X]
    for t in range(ROUNDS):
        x = x - step * (G(x, t) + rho * laplacian @ x + phi)
        phi = phi + rho * laplacian @ x
        out.append(x)
    check(ours, np.stack(out))
    np.testing.assert_allclose(np.asarray(nodes.phi).sum(1), 0, atol=1e-12)
    # ADMM with one gradient step, of the rate that DLM's proximal term comes to. On a ring all degrees are equal.
    ring, degree = topology.ring(N), 2 / 3
    dlm, _, _ = run(problem, DLM(lr=LR, penalty=rho), ring, X)
    admm, _, _ = run(problem, ADMM(lr=LR / (1 + 2 * LR * rho * degree), penalty=rho), ring, X)
    check(admm, dlm, 1e-12)


@X64
@pytest.mark.parametrize("algorithm", [ADMM(penalty=0.0), DLM(penalty=0.0)], ids=["admm", "dlm"])
def test_no_penalty_is_local_training(algorithm):
    problem, X = beds.quadratic(noise=0.3), beds.start()
    ours, _, _ = run(problem, algorithm.replace(lr=LR), beds.symmetric(), X)
    check(ours, beds.atc(np.eye(N), beds.gradient(problem), X, LR, ROUNDS))


# ---- ProxSkip -----------------------------------------------------------------------------------------------------


def coins(built, p, rounds=ROUNDS):
    keys = [jdl.sim.key_of(built.key, "common", jnp.int32(t)) for t in range(rounds)]
    return np.array([float(jax.random.uniform(key)) < p for key in keys])


@X64
def test_proxskip_mixes_when_the_common_coin_says_so():
    W, problem, X, p, s = beds.symmetric(), beds.quadratic(noise=0.3), beds.start(), 0.3, 0.4
    built = jdl.simulation(problem, ProxSkip(lr=LR, probability=p, share=s), W)
    ours, nodes, _ = beds.trajectory(built, ROUNDS, X)
    G, x, h, out, tossed = beds.gradient(problem), X, np.zeros_like(X), [X], coins(built, p)
    for t in range(ROUNDS):
        hat = x - LR * (G(x, t) - h)
        x = (1 - s) * hat + s * W @ hat if tossed[t] else hat
        h = h + p / LR * (x - hat)
        out.append(x)
    check(ours, np.stack(out))
    np.testing.assert_allclose(np.asarray(nodes.h).sum(1), 0, atol=1e-12)
    np.testing.assert_allclose(np.asarray(nodes.h)[-1] * p / LR, h, rtol=0, atol=1e-10)
    assert 5 < tossed.sum() < 40
    # Rounds without an exchange cost nothing.
    end = beds.advance(built, jax.jit(jdl.sim.init)(built, X), jnp.int32(ROUNDS))[0]
    degree = np.count_nonzero(W - np.diag(np.diag(W)), axis=1)
    np.testing.assert_array_equal(end.traffic.messages[0], tossed.sum() * degree)
    np.testing.assert_array_equal(end.traffic.bits[0], tossed.sum() * degree * 64 * DIM)


@X64
def test_proxskip_in_its_limits():
    W, problem, X = beds.symmetric(), beds.quadratic(noise=0.3), beds.start()
    half, _, _ = run(problem, ProxSkip(lr=LR, probability=1.0, share=0.5), W, X)
    check(half, run(problem, ExactDiffusion(lr=LR), W, X)[0])
    full, _, _ = run(problem, ProxSkip(lr=LR, probability=1.0, share=1.0), W, X)
    check(full, run(problem, D2(lr=LR), W, X)[0])
    assert np.abs(half - full).max() > 1e-2
    never, _, _ = run(problem, ProxSkip(lr=LR, probability=0.0), W, X)
    check(never, beds.atc(np.eye(N), beds.gradient(problem), X, LR, ROUNDS))


@X64
def test_proxskip_with_exact_averages_is_scaffnew_on_a_server():
    problem, X, p = beds.quadratic(noise=0.3), one_start(), 0.2
    built = jdl.simulation(problem, ProxSkip(lr=LR, probability=p, share=1.0), topology.complete(N))
    ours, _, _ = beds.trajectory(built, ROUNDS, X)
    G, x, h, out, tossed = beds.gradient(problem), X, np.zeros_like(X), [X], coins(built, p)
    for t in range(ROUNDS):
        hat = x - LR * (G(x, t) - h)
        x = np.broadcast_to((hat - LR / p * h).mean(0), X.shape) if tossed[t] else hat
        h = h + p / LR * (x - hat)
        out.append(x)
    check(ours, np.stack(out))
    every, _, _ = run(beds.quadratic(), ProxSkip(lr=LR, probability=1.0, share=1.0), topology.complete(N), X)
    check(every, beds.atc(np.full((N, N), 1 / N), beds.gradient(beds.quadratic()), X, LR, ROUNDS), 1e-12)


# ---- OPAPC --------------------------------------------------------------------------------------------------------


def apapc(P, G, X, lr, mu, tau, theta, rounds):
    x, fast, y, out, shrink = X, X, np.zeros_like(X), [X], 1 / (1 + lr * mu)
    for t in range(rounds):
        between = tau * x + (1 - tau) * fast
        g = G(between, t) - mu * between
        y = y + theta * (shrink * (x - lr * (g + y)) - P @ (shrink * (x - lr * (g + y))))
        new = shrink * (x - lr * (g + y))
        fast = between + 2 * tau / (2 - tau) * (new - x)
        x = new
        out.append(x)
    return np.stack(out)


@X64
@pytest.mark.parametrize("chi", [4.0, 1000.0])
def test_opapc_over_plain_gossip(chi):
    W, problem, X, lr, mu = beds.symmetric(), beds.quadratic(noise=0.3), beds.start(), 0.3, 0.25
    ours, nodes, _ = run(problem, OPAPC(lr=lr, mu=mu, chi=chi, largest=1.8), W, X)
    tau = min(1, chi * mu * lr)
    assert (tau == 1) == (chi > 100)
    check(ours, apapc(W, beds.gradient(problem), X, lr, mu, tau, 1 / (lr * 1.8), ROUNDS))
    np.testing.assert_allclose(np.asarray(nodes.y).sum(1), 0, atol=1e-12)


@X64
def test_opapc_with_the_constants_of_its_theorem_over_chebyshev():
    """tau from chi, mu and lr alone is the paper's; its polynomial is a matrix that NumPy can apply."""
    problem, X, graph, K = beds.quadratic(), beds.start(), topology.ring(N), 3
    W, rho, L, mu = graph.weights.toarray(), topology.lambda_2(graph), 1.0, 0.25
    small = 1 / np.cosh(K * np.arccosh(1 / rho))
    largest, chi = 1 + small, (1 + small) / (1 - small)
    tau = min(1, np.sqrt(chi * mu / L) / 2)
    lr = 1 / (4 * tau * L)
    assert tau < 1
    values, vectors = np.linalg.eigh(W)
    P = vectors @ np.diag(np.polynomial.chebyshev.Chebyshev.basis(K)(values / rho) * small) @ vectors.T
    algorithm = OPAPC(lr=lr, mu=mu, chi=chi, largest=largest)
    ours, _, _ = run(problem, algorithm, graph, X, network=[Chebyshev(K, rho)])
    check(ours, apapc(P, beds.gradient(problem), X, lr, mu, tau, 1 / (lr * largest), ROUNDS))


@X64
def test_opapc_is_faster_where_the_condition_is_bad():
    """Condition 1000, equal data: after as many rounds, each with its own rate in theory, orders of magnitude."""
    problem = jdl.problems.quadratic(nodes=N, dim=DIM, condition=1000.0, seed=0)
    problem = problem.replace(A=jnp.repeat(problem.A[:1], N, 0))
    graph, mu, rounds = topology.complete(N), 1e-3, 600
    tau = min(1, np.sqrt(mu) / 2)
    fast = OPAPC(lr=1 / (4 * tau), mu=mu, chi=1.0, largest=1.0)
    ends = [
        beds.limit(jdl.simulation(problem, one, graph), rounds, one_start()) for one in (fast, ExactDiffusion(lr=1.0))
    ]
    errors = [np.linalg.norm(end - beds.optimum(problem)) for end in ends]
    assert errors[0] < 0.1 * errors[1]


# ---- where exact methods end --------------------------------------------------------------------------------------

EXACT = {
    "admm": ADMM(penalty=0.5, exact=True),
    "admm by steps": ADMM(lr=0.2, penalty=0.5, local_steps=3),
    "dlm": DLM(lr=0.3, penalty=0.5),
    "proxskip": ProxSkip(lr=0.3, probability=0.3),
    "opapc": OPAPC(lr=0.3, mu=0.2, chi=4.0),
    "relaysgd": RelaySGD(lr=0.2, local_steps=1),
    "relaysgd by count": RelaySGD(lr=0.2, by_count=True),
}


@X64
@pytest.mark.parametrize("name", EXACT)
def test_the_limit_is_the_optimum_whatever_the_heterogeneity(name):
    problem, tree = beds.quadratic(), topology.binary_tree(N)
    ours = beds.limit(jdl.simulation(problem, EXACT[name], tree), 3000, one_start())
    close(ours, beds.optimum(problem))


@X64
def test_the_limit_of_a_method_without_a_dual_is_another():
    problem = beds.quadratic()
    biased = beds.limit(jdl.simulation(problem, DPSGD(lr=0.2), topology.binary_tree(N)), 1000, one_start())
    assert np.abs(biased - beds.optimum(problem)).max() > 1e-2


@pytest.mark.parametrize("name", ["admm", "dlm", "proxskip", "opapc", "relaysgd"])
def test_float32_does_not_drift(name):
    problem, graph = beds.quadratic(), topology.binary_tree(N)
    built = jdl.simulation(problem, EXACT[name], graph)
    errors = [np.abs(beds.limit(built, t, one_start()) - beds.optimum(problem)).max() for t in (1000, 2000)]
    assert max(errors) < 5e-6


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
        rows = [[halves[s][j] if s >= 0 else x[j] for j, s in enumerate(row)] for row in delay]
        X.append(np.mean(rows, axis=1))
    return np.stack(X)


def distances(W):
    distance = np.where(np.eye(len(W)), 0, np.inf)
    for _ in W:
        distance = np.minimum(distance, np.min(distance[:, :, None] + np.where(W != 0, 1, np.inf)[None], axis=1))
    return distance.astype(int)


def random_tree(seed, n=N):
    rng = np.random.default_rng(seed)
    W, order = np.eye(n), rng.permutation(n)
    for i in range(1, n):
        a, b, w = order[i], order[rng.integers(i)], 0.05
        W[a, b] = W[b, a] = w
        W[a, a] -= w
        W[b, b] -= w
    return W


@X64
@pytest.mark.parametrize("tree", ["random", "path"])
def test_relaysgd_averages_models_of_the_past(tree):
    W = random_tree(3) if tree == "random" else topology.chain(N).weights.toarray()
    problem, X, far = beds.quadratic(noise=0.3), one_start(), distances(W)
    assert far.max() == (7 if tree == "path" else far.max()) and far.max() >= 4
    ours, nodes, _ = run(problem, RelaySGD(lr=LR, local_steps=2), topology.from_weights(W), X)
    check(ours, relayed(far, beds.gradient(problem), X, ROUNDS, local_steps=2), 1e-12)
    # What is known: after t + 1 rounds the models of all within so many links.
    reached = 1 + np.asarray(nodes.counts).sum(2)
    np.testing.assert_array_equal(reached, [(far <= t + 1).sum(1) for t in range(ROUNDS)])


@X64
@pytest.mark.parametrize("by_count", [False, True])
def test_relaysgd_without_some_of_its_messages(by_count):
    """Message by message, along what the counts say arrived; in the end losses bias one variant and not the other."""
    problem, X, graph = beds.quadratic(noise=0.3), one_start(), topology.binary_tree(N)
    network, algorithm = [exchange.Lossy(0.2)], RelaySGD(lr=LR, by_count=by_count)
    ours, nodes, _ = run(problem, algorithm, graph, X, network=network)
    G, links = beds.gradient(problem), jdl.plan.neighbours(graph.plan("slots"))
    ids, used, counts = np.asarray(links.ids), np.asarray(links.used), np.asarray(nodes.counts)
    x, out, known = X, [X], {}
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
        x = np.stack(total) / count if by_count else (np.stack(total) + (N - count) * X) / N
        np.testing.assert_array_equal(count[:, 0], 1 + counts[t].sum(1))
        out.append(x)
    np.testing.assert_allclose(ours, np.stack(out), rtol=0, atol=1e-12)
    assert 50 < lost < 300 and np.abs(ours[-1] - X).max() > 0.05
    quiet = beds.quadratic()
    ours = beds.limit(jdl.simulation(quiet, algorithm, graph, network), 1500, X)
    assert (np.abs(ours - beds.optimum(quiet)).max() < 0.2) == by_count


def test_relaysgd_reaches_all_on_a_tree_and_refuses_what_is_none():
    problem, step = beds.quadratic(), jax.jit(jdl.sim.step)
    built = jdl.simulation(problem, RelaySGD(lr=LR), topology.binary_tree(N))
    sim = jdl.sim.init(built)
    for _ in range(10):
        sim, info = step(built, sim)
    np.testing.assert_array_equal(info["reached"], np.full(N, N))
    with pytest.raises(jdl.checks.InputError, match="without circles"):
        jdl.simulation(problem, RelaySGD(lr=LR), topology.ring(N))


# ---- PowerGossip --------------------------------------------------------------------------------------------------


@struct.dataclass
class Shaped:
    """A quadratic whose parameters are an array of some shape."""

    inner: jdl.problems.Quadratic
    shape: tuple = struct.field(pytree_node=False)
    optimum = None

    @property
    def n(self):
        return self.inner.n

    @property
    def num_examples(self):
        return self.inner.num_examples

    def init(self, key):
        return self.inner.init(key).reshape(self.shape)

    def batch(self, id, draw):
        return self.inner.batch(id, draw)

    def full_batch(self, id):
        return self.inner.full_batch(id)

    def loss(self, params, batch):
        return self.inner.loss(params.reshape(-1), batch)

    def evaluate(self, params):
        return self.inner.evaluate(params.reshape(-1))


def matrices(rows, columns, noise=0.3):
    inner = beds.quadratic(dim=rows * columns, noise=noise)
    return inner, Shaped(inner, (rows, columns)), beds.start(dim=rows * columns).reshape(N, rows, columns)


@X64
def test_powergossip_is_power_iteration_on_every_edge():
    """Rank 1, edge by edge. Power iterations amplify rounding, so the tolerance is for 15 rounds."""
    inner, problem, X = matrices(3, 4)
    W, G, rounds, iterations = beds.symmetric(), beds.gradient(inner), 15, 2
    built = jdl.simulation(problem, PowerGossip(lr=LR, iterations=iterations), W)
    p, q = (np.asarray(side[0])[0, 0, :, 0] for side in (lambda s: (s.left, s.right))(jdl.sim.init(built, X).nodes))
    edges = {(i, j): [p, q] for i in range(N) for j in range(i + 1, N) if W[i, j]}
    ours, nodes, _ = beds.trajectory(built, rounds, X)
    x, out, turn = X, [X], 0
    for t in range(rounds):
        x = x - LR * G(x.reshape(N, -1), t).reshape(x.shape)
        for _ in range(iterations):
            new = x.copy()
            for (i, j), pair in edges.items():
                D = x[i] - x[j]
                if turn % 2 == 0:
                    pair[0] = pair[0] / np.linalg.norm(pair[0])
                    pair[1] = D.T @ pair[0]
                else:
                    pair[1] = pair[1] / np.linalg.norm(pair[1])
                    pair[0] = D @ pair[1]
                new[i] -= W[i, j] * np.outer(*pair)
                new[j] += W[i, j] * np.outer(*pair)
            x, turn = new, turn + 1
        out.append(x)
    check(ours, np.stack(out), 1e-10)
    # Both ends of a link hold the same, to the last bit.
    plan = built.schedule.plan
    ids, back, used = (
        np.asarray(a) for a in (jdl.plan.neighbours(plan).ids, jdl.plan.back(plan.links), plan.links.used)
    )
    for side in (nodes.left[0], nodes.right[0]):
        side = np.asarray(side)[-1]
        for i, s in zip(*np.nonzero(used), strict=True):
            assert side[i, s].tobytes() == side[ids[i, s], back[i, s]].tobytes()


@X64
def test_powergossip_of_full_rank_is_gossip():
    """A square array of at most `rank` rows: P P^T = I in every turn. Of a vector, in every second one."""
    inner, problem, X = matrices(3, 3)
    W, rounds = beds.symmetric(), 15
    ours, _, _ = run(problem, PowerGossip(lr=LR, rank=5), W, X, rounds)
    expected = beds.atc(W, beds.gradient(inner), X.reshape(N, -1), LR, rounds)
    check(ours.reshape(expected.shape), expected, 1e-10)
    vectors, _, _ = run(beds.quadratic(), PowerGossip(lr=0.0), W, beds.start(), 4)
    np.testing.assert_allclose(vectors[2], W @ vectors[1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(vectors[4], W @ vectors[3], rtol=0, atol=1e-12)
    assert np.abs(vectors[1] - W @ vectors[0]).max() > 1e-2


@X64
def test_powergossip_on_two_nodes():
    """The mean stays, whatever is cut off; a difference of rank 1 is gone after two turns."""
    inner = beds.quadratic(n=2, dim=12)
    rng, half = np.random.default_rng(5), np.full((2, 2), 0.5)
    X = rng.standard_normal((2, 4, 3))
    problem = Shaped(inner, (4, 3))
    ours, _, _ = run(problem, PowerGossip(lr=0.0), half, X, 40)
    np.testing.assert_allclose(ours.mean(1), np.broadcast_to(X.mean(0), (41, 4, 3)), rtol=0, atol=1e-15)
    gap = np.linalg.norm(ours[:, 0] - ours[:, 1], axis=(1, 2))
    assert gap[1] > 0.1 and gap[2] > 0.1 and gap[40] < 1e-6 * gap[0]
    X[1] = X[0] + np.outer(rng.standard_normal(4), rng.standard_normal(3))
    ours, _, _ = run(problem, PowerGossip(lr=0.0), half, X, 40)  # the same program
    assert np.abs(ours[1, 0] - ours[1, 1]).max() > 1e-2
    np.testing.assert_allclose(ours[2], np.broadcast_to(X.mean(0), X.shape), rtol=0, atol=1e-12)


def test_powergossip_begins_again_after_perfect_agreement():
    """Equal models leave no direction to go on from; the old one must do, or nothing would ever travel again."""
    _, problem, X = matrices(3, 4, noise=0.0)
    built = jdl.simulation(problem, PowerGossip(lr=0.0), topology.ring(N))
    sim = jax.jit(jdl.sim.init)(built, X[0])
    sim = beds.advance(built, sim, jnp.int32(5))[0]
    sim = sim.replace(nodes=sim.nodes._replace(x=jnp.asarray(X, jnp.float32)))
    end = np.asarray(beds.advance(built, sim, jnp.int32(1500))[0].nodes.x)
    np.testing.assert_allclose(end, np.broadcast_to(X.mean(0), X.shape), rtol=0, atol=2e-5)


def test_powergossip_counts_what_travels_and_stands_losses():
    _, problem, X = matrices(3, 4)
    built = jdl.simulation(problem, PowerGossip(lr=0.0, rank=2, iterations=3), topology.ring(N), [exchange.Lossy(0.4)])
    sim = jax.jit(jdl.sim.init)(built, X)
    end = beds.advance(built, sim, jnp.int32(2))[0]
    np.testing.assert_array_equal(end.traffic.messages[0], np.full(N, 2 * 6))
    np.testing.assert_array_equal(end.traffic.bits[0], np.full(N, 2 * 32 * 2 * (4 + 3 + 4 + 3 + 4 + 3)))
    end = np.asarray(beds.advance(built, sim, jnp.int32(300))[0].nodes.x)
    np.testing.assert_allclose(end, np.broadcast_to(X.mean(0), X.shape), rtol=0, atol=2e-5)
