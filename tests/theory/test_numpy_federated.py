"""The NumPy references of the federated methods and outer optimisers, checked against each other; no JAX in here."""

from __future__ import annotations

import numpy as np
import numpy_federated as nf
import pytest

N, D, LR, T, K = 8, 5, 0.05, 60, 5
ALL = [np.arange(N)] * T
J = np.full((N, N), 1 / N)


def _quadratics(seed=0, n=N, d=D):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((n, d, d)))[0]
    return np.einsum("nij,nj,nkj->nik", Q, rng.uniform(1, 4, (n, d)), Q), rng.standard_normal((n, d))


A, B = _quadratics()
X0 = np.random.default_rng(7).standard_normal(D)
BEST = np.linalg.solve(A.mean(0), B.mean(0))


def F(X, t=0, k=0):
    return np.einsum("nij,nj->ni", A, X) - B


def G(X, t, k):
    return F(X) + 0.3 * np.random.default_rng([t, k]).standard_normal(B.shape)


def losses(X, t=0):
    Z = X - np.linalg.solve(A, B[:, :, None])[:, :, 0]
    return 0.5 * np.einsum("ni,nij,nj->n", Z, A, Z) + 0.1


def subsets(rounds=T, size=3, seed=3):
    rng = np.random.default_rng(seed)
    return [np.sort(rng.choice(N, size, replace=False)) for _ in range(rounds)]


def flips(rounds, p, seed=4):
    return np.random.default_rng(seed).random(rounds) < p


def same(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    assert np.abs(a[-1] - a[0]).max() > 1e-2


def differ(a, b, least=1e-3):
    assert np.abs(a - b).max() > least


def descent(oracle=G, rounds=T, lr=LR):
    return nf.fedsgd([np.arange(N)] * rounds, oracle, X0, lr, rounds, N)


def fixed_point(one_round):
    """The limit of a method whose round is an affine map of the server's model."""
    shift = one_round(np.zeros(D))
    P = np.stack([one_round(e) - shift for e in np.eye(D)], axis=1)
    assert np.abs(np.linalg.eigvals(P)).max() < 1
    return np.linalg.solve(np.eye(D) - P, shift)


def top(X, k=2):
    out = np.zeros_like(X)
    for i, row in enumerate(X):
        keep = np.argsort(-np.abs(row), kind="stable")[:k]
        out[i, keep] = row[keep]
    return out


def slowmo(oracle, x, lr, rounds, local_steps, alpha, beta):
    u, out = np.zeros_like(x), [x]
    for t in range(rounds):
        u = beta * u + (x - nf.local_sgd(oracle, nf.spread(x, N), lr, t, local_steps).mean(0)) / lr
        x = x - alpha * lr * u
        out.append(x)
    return np.stack(out)


def kgt(W, oracle, X, lr, rounds, local_steps, server_lr=1.0):
    c, out = np.zeros_like(X), [X]
    for t in range(rounds):
        Y = X
        for k in range(local_steps):
            Y = Y - lr * (oracle(Y, t, k) + c)
        z = (X - Y) / (local_steps * lr)
        c, X = c - z + W @ z, W @ (X - local_steps * lr * server_lr * z)
        out.append(X)
    return np.stack(out)


# ---- FedAvg and what falls back to it ----------------------------------------------------------------------------


def test_fedavg_is_local_sgd_with_exact_averaging():
    X, out = nf.spread(X0, N), [X0]
    for t in range(T):
        for k in range(K):
            X = (J if k == K - 1 else np.eye(N)) @ (X - LR * G(X, t, k))
        out.append(X[0])
    same(nf.fedavg(ALL, G, X0, LR, T, K, N), np.stack(out))


def test_limit_of_fedavg_is_the_closed_form_and_not_the_optimum():
    P = np.linalg.matrix_power(np.eye(D) - LR * A, K)
    own = np.linalg.solve(A, B[:, :, None])[:, :, 0]
    form = np.linalg.solve(np.eye(D) - P.mean(0), np.einsum("nij,nj->i", np.eye(D) - P, own) / N)
    limit = nf.fedavg([np.arange(N)] * 400, F, X0, LR, 400, K, N)[-1]
    np.testing.assert_allclose(limit, form, rtol=0, atol=1e-10)
    differ(limit, BEST)


SAMPLES = subsets()
FEDAVG = {
    "fedavgm": lambda S: nf.fedavgm(S, G, X0, LR, T, K, N, server_lr=1.0, momentum=0.0),
    "fedadam": lambda S: nf.fedopt(S, G, X0, LR, T, K, N, "adam", 1.0, b1=0.0, b2=1.0, tau=0.5),
    "fedyogi": lambda S: nf.fedopt(S, G, X0, LR, T, K, N, "yogi", 1.0, b1=0.0, b2=1.0, tau=0.5),
    "fedprox": lambda S: nf.fedprox(S, G, X0, LR, T, K, N, mu=0.0),
    "fednova": lambda S: nf.fednova(S, G, X0, LR, T, [K] * N, N),
    "fedac": lambda S: nf.fedac(S, G, X0, LR, T, K, N, alpha=1.0, beta=1.0, gamma=LR)[0],
    "mimelite": lambda S: nf.mimelite(S, G, F, X0, LR, T, K, N, momentum=0.0)[0],
    "q_fedavg": lambda S: nf.q_fedavg(S, G, losses, X0, LR, T, K, N, q=0.0),
    "drfa": lambda S: nf.drfa(S, [2] * T, SAMPLES, G, losses, X0, LR, T, K, N, lambda_lr=0.0)[0],
    "diloco": lambda S: nf.diloco(S, G, X0, LR, T, K, N, outer_lr=1.0, outer_momentum=0.0),
}


@pytest.mark.parametrize("name", FEDAVG)
@pytest.mark.parametrize("sampled", [False, True])
def test_special_case_is_fedavg(name, sampled):
    S = SAMPLES if sampled else ALL
    same(FEDAVG[name](S), nf.fedavg(S, G, X0, LR, T, K, N))


NOT_FEDAVG = {
    "sampled": lambda: nf.fedavg(SAMPLES, G, X0, LR, T, K, N),
    "server_lr": lambda: nf.fedavg(ALL, G, X0, LR, T, K, N, server_lr=0.7),
    "fedavgm": lambda: nf.fedavgm(ALL, G, X0, LR, T, K, N, momentum=0.5),
    "fedprox": lambda: nf.fedprox(ALL, G, X0, LR, T, K, N, mu=0.5),
    "fednova": lambda: nf.fednova(ALL, G, X0, LR, T, [1, 2, 3, 4, 5, 6, 7, 8], N),
    "mimelite": lambda: nf.mimelite(ALL, G, F, X0, LR, T, K, N, momentum=0.9)[0],
    "q_fedavg": lambda: nf.q_fedavg(ALL, G, losses, X0, LR, T, K, N, q=1.0),
    "fedlin": lambda: nf.fedlin(ALL, G, X0, LR, T, K, N, F=F),
    "fedspeed": lambda: nf.fedspeed(ALL, G, X0, LR, T, K, N, lam=2.0, rho=0.1)[0],
    "diloco": lambda: nf.diloco(ALL, G, X0, LR, T, K, N),
}


@pytest.mark.parametrize("name", NOT_FEDAVG)
def test_general_case_is_not_fedavg(name):
    differ(NOT_FEDAVG[name](), nf.fedavg(ALL, G, X0, LR, T, K, N))


GD = {
    "fedavg": lambda: nf.fedavg(ALL, G, X0, LR, T, 1, N),
    "scaffold": lambda: nf.scaffold(ALL, G, X0, LR, T, 1, N)[0],
    "fedlin": lambda: nf.fedlin(ALL, G, X0, LR, T, 1, N),
    "scaffnew": lambda: nf.scaffnew([True] * T, G, X0, LR, T, N, p=1.0)[0],
    "ef21": lambda: nf.ef21(G, X0, LR, T, N, lambda v: v)[0],
    "afl": lambda: nf.afl(G, losses, X0, LR, T, N, lambda_lr=0.0)[0],
    "diloco": lambda: nf.diloco(ALL, G, X0, LR, T, 1, N, outer_lr=1.0, outer_momentum=0.0),
    "slowmo": lambda: slowmo(G, X0, LR, T, 1, 1.0, 0.0),
}


@pytest.mark.parametrize("name", GD)
def test_one_local_step_is_gradient_descent(name):
    same(GD[name](), descent())


def test_svrg_with_one_step_is_descent_along_the_full_gradient():
    same(nf.fsvrg(ALL, G, F, X0, LR, T, 1, N), descent(F))


def test_momentum_of_the_server_is_heavy_ball():
    x, v, m, avgm, mime = X0, 0 * X0, 0 * X0, [X0], [X0]
    y = X0
    for _ in range(T):
        v = 0.5 * v + LR * F(nf.spread(x, N)).mean(0)
        x = x - v
        m = 0.5 * m + 0.5 * F(nf.spread(y, N)).mean(0)
        y = y - LR * m
        avgm.append(x)
        mime.append(y)
    same(nf.fedavgm(ALL, F, X0, LR, T, 1, N, momentum=0.5), np.stack(avgm))
    same(nf.mimelite(ALL, F, F, X0, LR, T, 1, N, momentum=0.5)[0], np.stack(mime))


@pytest.mark.parametrize("kind", ["adagrad", "adam", "yogi"])
def test_fedopt_has_no_bias_correction(kind):
    models = nf.fedopt(ALL, G, X0, LR, T, K, N, kind, 0.05, b1=0.9, b2=0.99, tau=0.1)
    delta = nf.local_sgd(G, nf.spread(X0, N), LR, 0, K).mean(0) - X0
    decay = {"adagrad": (1, 1), "adam": (0.99, 0.01)}
    if kind == "yogi":
        v = 0.01 - 0.01 * delta**2 * np.sign(0.01 - delta**2)
    else:
        v = decay[kind][0] * 0.01 + decay[kind][1] * delta**2
    first = X0 + 0.05 * 0.1 * delta / (np.sqrt(v) + 0.1)
    np.testing.assert_allclose(models[1], first, rtol=0, atol=1e-12)
    corrected = X0 + 0.05 * delta / (np.sqrt(v) + 0.1)
    differ(models[1], corrected)


# ---- methods without bias ----------------------------------------------------------------------------------------


def test_scaffold():
    _, c_i, c = nf.scaffold(SAMPLES, G, X0, LR, T, K, N)
    np.testing.assert_allclose(c_i.mean(1), c, rtol=0, atol=1e-12)
    assert np.abs(c[-1]).max() > 1e-2
    long = [np.arange(N)] * 400
    for option in (1, 2):
        models = nf.scaffold(long, F, X0, LR, 400, K, N, option=option, F=F)[0]
        np.testing.assert_allclose(models[-1], BEST, rtol=0, atol=1e-10)
    one, two = (nf.scaffold(ALL, G, X0, LR, T, K, N, option=o, F=F)[0] for o in (1, 2))
    differ(one, two)


def test_scaffold_with_one_client_is_sgd():
    first = lambda X, t, k: G(np.repeat(X, N, axis=0), t, k)[:1]
    x, out = X0[None], [X0]
    for t in range(T):
        x = nf.local_sgd(first, x, LR, t, K)
        out.append(x[0])
    same(nf.scaffold([np.arange(1)] * T, first, X0, LR, T, K, 1)[0], np.stack(out))


@pytest.mark.parametrize("server_lr", [1.0, 0.7])
def test_scaffold_is_kgt_with_exact_averaging(server_lr):
    models = nf.scaffold(ALL, G, X0, LR, T, K, N, server_lr=server_lr)[0]
    same(models, kgt(J, G, nf.spread(X0, N), LR, T, K, server_lr)[:, 0], 1e-11)


def test_fedspeed_without_perturbation_is_inexact_feddyn():
    speed, ghat = nf.fedspeed(ALL, G, X0, LR, T, K, N, lam=2.0, rho=0.0)
    dyn, g, h = nf.feddyn(ALL, G, X0, LR, T, K, N, alpha=0.5)
    same(speed, dyn, 1e-11)
    same(ghat, g, 1e-11)
    np.testing.assert_allclose(h, g.mean(1), rtol=0, atol=1e-11)
    speed = nf.fedspeed(SAMPLES, G, X0, LR, T, K, N, lam=2.0, rho=0.0, prox_over="all")[0]
    same(speed, nf.feddyn(SAMPLES, G, X0, LR, T, K, N, alpha=0.5)[0], 1e-11)
    differ(speed, nf.fedspeed(SAMPLES, G, X0, LR, T, K, N, lam=2.0, rho=0.0)[0])


def test_feddyn_exact():
    models, g, h = nf.feddyn_exact([np.arange(N)] * 400, A, B, X0, 400, N, alpha=1.0)
    np.testing.assert_allclose(models[-1], BEST, rtol=0, atol=1e-9)
    np.testing.assert_allclose(h, g.mean(1), rtol=0, atol=1e-10)
    many = nf.feddyn(ALL, F, X0, LR, 20, 600, N, alpha=1.0)[0]
    np.testing.assert_allclose(many, models[:21], rtol=0, atol=1e-10)


def test_fedsplit():
    exact, _ = nf.fedsplit_exact(A, B, X0, 400, N, s=0.5)
    np.testing.assert_allclose(exact[-1], BEST, rtol=0, atol=1e-9)
    for start in ("server", "centre", "last"):
        many, _ = nf.fedsplit(F, X0, LR, 20, 400, N, s=0.5, start=start)
        np.testing.assert_allclose(many, exact[:21], rtol=0, atol=1e-10)
    few = [nf.fedsplit(F, X0, LR, 1500, K, N, s=0.5, start=start)[0][-1] for start in ("server", "centre", "last")]
    np.testing.assert_allclose(few[0], BEST, rtol=0, atol=1e-9)
    np.testing.assert_allclose(few[2], BEST, rtol=0, atol=1e-9)
    differ(few[1], BEST)
    biased = fixed_point(lambda x: nf.fedprox(ALL, F, x, LR, 1, 400, N, mu=2.0)[-1])
    differ(biased, BEST)


def test_fedprox_solves_the_proximal_problem():
    models = nf.fedprox(ALL, F, X0, LR, 1, 800, N, mu=2.0)
    exact = np.mean([np.linalg.solve(A[i] + 2 * np.eye(D), B[i] + 2 * X0) for i in range(N)], axis=0)
    np.testing.assert_allclose(models[1], exact, rtol=0, atol=1e-10)


def test_fedpd_with_every_coin_reaches_the_optimum():
    server, start, _, lam = nf.fedpd([True] * 1000, F, X0, LR, 1000, K, N, eta=0.25)
    np.testing.assert_allclose(server[-1], BEST, rtol=0, atol=1e-9)
    np.testing.assert_allclose(lam[-1], -F(nf.spread(BEST, N)), rtol=0, atol=1e-8)
    np.testing.assert_array_equal(start, np.repeat(server[:, None], N, axis=1))


def test_fedpd_with_an_exact_oracle():
    """Then lambda_i = -grad f_i(y_i) after every round; without communication x0_i = y_i + eta lambda_i."""
    coins = flips(20, 0.5)
    server, start, Y, lam = nf.fedpd(coins, F, X0, LR, 20, 300, N, eta=0.25)
    np.testing.assert_allclose(lam[1:], [-F(y) for y in Y[1:]], rtol=0, atol=1e-10)
    moved = Y + 0.25 * lam
    for t, coin in enumerate(coins):
        mean = moved[t + 1].mean(0)
        np.testing.assert_allclose(start[t + 1], nf.spread(mean, N) if coin else moved[t + 1], rtol=0, atol=1e-13)
        np.testing.assert_allclose(server[t + 1], mean if coin else server[t], rtol=0, atol=1e-13)
    assert 0 < coins.sum() < 20


def test_fedlin_and_svrg():
    rounds = 400
    long = [np.arange(N)] * rounds
    lin = nf.fedlin(long, F, X0, LR, rounds, K, N, F=F)
    np.testing.assert_allclose(lin[-1], BEST, rtol=0, atol=1e-10)
    same(lin, nf.fsvrg(long, F, F, X0, LR, rounds, K, N))
    taus = np.array([1, 2, 3, 4, 5, 4, 3, 2])
    uneven = nf.fedlin(long, F, X0, 5 * LR / taus, rounds, None, N, F=F, taus=taus)
    np.testing.assert_allclose(uneven[-1], BEST, rtol=0, atol=1e-10)
    differ(nf.fedlin(ALL, G, X0, LR, T, K, N, F=F), nf.fsvrg(ALL, G, F, X0, LR, T, K, N))


def test_scaffnew():
    rounds = 3000
    server, X, H = nf.scaffnew(flips(rounds, 0.2), F, X0, LR, rounds, N, p=0.2)
    np.testing.assert_allclose(server[-1], BEST, rtol=0, atol=1e-9)
    np.testing.assert_allclose(X[-1], nf.spread(BEST, N), rtol=0, atol=1e-9)
    np.testing.assert_allclose(H.sum(1), 0, rtol=0, atol=1e-10)
    assert np.abs(H[-1]).max() > 1e-2


def test_ef21_with_top_2_of_5():
    models, g = nf.ef21(F, X0, LR, 2000, N, top)
    np.testing.assert_allclose(models[-1], BEST, rtol=0, atol=1e-9)
    np.testing.assert_allclose(g[-1], F(nf.spread(BEST, N)), rtol=0, atol=1e-9)
    differ(models[:20], descent(F, 19))


def test_fednova_removes_the_bias_of_unequal_steps():
    taus = np.array([1, 2, 3, 4, 5, 6, 7, 8])

    def plain(x, lr):
        Y = nf.spread(x, N)
        for k in range(8):
            Y = np.where((k < taus)[:, None], Y - lr * F(Y), Y)
        return Y.mean(0)

    nova = [fixed_point(lambda x, lr=lr: nf.fednova(ALL, F, x, lr, 1, taus, N)[-1]) for lr in (2e-3, 1e-3)]
    error = [np.linalg.norm(x - BEST) for x in nova]
    assert 1.8 < error[0] / error[1] < 2.2
    skewed = np.linalg.solve(np.einsum("n,nij->ij", taus, A), taus @ B)
    wrong = fixed_point(lambda x: plain(x, 1e-3))
    assert np.linalg.norm(wrong - BEST) > 10 * error[1]
    assert np.linalg.norm(wrong - skewed) < 0.1 * np.linalg.norm(wrong - BEST)


def test_fednova_with_momentum_and_equal_steps_is_the_mean_of_heavy_ball():
    x, out = X0, [X0]
    for t in range(T):
        Y = m = nf.spread(x, N)
        m = 0 * m
        for k in range(K):
            m = 0.9 * m + G(Y, t, k)
            Y = Y - LR * m
        x = Y.mean(0)
        out.append(x)
    same(nf.fednova(ALL, G, X0, LR, T, [K] * N, N, momentum=0.9), np.stack(out))


def test_norm_of_momentum_in_fednova():
    """On a constant gradient c every client moves by lr |a|_1 c: d = c, so x moves by lr mean |a|_1 c."""
    taus, r = np.array([1, 2, 3, 4, 5, 6, 7, 8]), 0.6
    a = [sum(sum(r**s for s in range(k + 1)) for k in range(tau)) for tau in taus]
    c = np.arange(1.0, D + 1)
    models = nf.fednova(ALL, lambda X, t, k: nf.spread(c, N), X0, LR, 1, taus, N, momentum=r)
    np.testing.assert_allclose(X0 - models[1], LR * np.mean(a) * c, rtol=0, atol=1e-12)


def test_fedac_with_one_step_reaches_the_optimum_faster():
    """The paper's FedAc-I: alpha = 1/(gamma mu), beta = alpha + 1, gamma = max(sqrt(eta/(mu K)), eta)."""
    mu, lr = 1.0, 0.02
    gamma = np.sqrt(lr / mu)
    alpha = 1 / (gamma * mu)
    fast = nf.fedac(ALL, F, X0, lr, T, 1, N, alpha=alpha, beta=alpha + 1, gamma=gamma)[0]
    plain = descent(F, T, lr)
    assert np.linalg.norm(fast[-1] - BEST) < 0.1 * np.linalg.norm(plain[-1] - BEST)


def test_fedac_of_one_step_is_nesterovs_method_at_its_rate():
    """FedAc-I with H = 1: ag+ = md - lr g(md), md = ag + (1 - q)/(1 + q)(ag - ag-), q = sqrt(lr mu)."""
    values = np.linalg.eigvalsh(A.mean(0))
    lr, mu = 1 / values.max(), values.min()
    q, gamma = np.sqrt(lr * mu), np.sqrt(lr / mu)
    old, new, out = X0, X0, [X0]
    for _ in range(T):
        md = new + (1 - q) / (1 + q) * (new - old)
        old, new = new, md - lr * (A.mean(0) @ md - B.mean(0))
        out.append(new)
    alpha = 1 / (gamma * mu)
    ours = nf.fedac(ALL, F, X0, lr, T, 1, N, alpha=alpha, beta=alpha + 1, gamma=gamma)[0]
    same(ours, np.stack(out))
    # Nesterov's bound: f - f* <= (1 - q)^t (f_0 - f* + mu/2 |x_0 - x*|^2).
    gap = lambda x: (x - BEST) @ A.mean(0) @ (x - BEST) / 2
    bound = gap(X0) + mu / 2 * np.sum((X0 - BEST) ** 2)
    assert all(gap(y) <= (1 - q) ** t * bound + 1e-14 for t, y in enumerate(ours))


def test_shares_of_clients():
    """Means that count clients by shares are the uniform ones where shares are equal, and others where they are not."""
    share = np.arange(1.0, N + 1)
    plain = nf.fedavg(SAMPLES, G, X0, LR, T, K, N)
    same(nf.fedavg(SAMPLES, G, X0, LR, T, K, N, share=np.full(N, 2.0)), plain)
    differ(nf.fedavg(SAMPLES, G, X0, LR, T, K, N, share=share), plain)
    taus = 1 + np.arange(N) % K
    nova = nf.fednova(SAMPLES, G, X0, LR, T, taus, N, 0.6)
    same(nf.weighted_fednova(SAMPLES, G, X0, LR, T, taus, N, 0.6, np.ones(N)), nova)
    differ(nf.weighted_fednova(SAMPLES, G, X0, LR, T, taus, N, 0.6, share), nova)
    stops = flips(T, 0.5) * 3 + 1
    same(nf.drfa_by_shares(SAMPLES, stops, G, losses, X0, LR, T, K, N, 0.0)[0], plain)
    moved, shares = nf.drfa_by_shares(ALL, stops, G, losses, X0, LR, T, K, N, 0.02)
    np.testing.assert_allclose(shares[1], nf.drfa(ALL, stops, ALL, G, losses, X0, LR, 1, K, N, 0.02)[1][1], atol=1e-12)
    differ(moved, nf.fedavg(ALL, G, X0, LR, T, K, N))


def test_fedamd():
    everybody = np.arange(N)
    miners, anchors = np.zeros(N, bool), np.ones(N, bool)
    one, _ = nf.fedamd([everybody], [miners], G, F, X0, LR, 1, 1, N)
    same(one, descent(F, 1))
    still, cache = nf.fedamd([everybody] * 3, [anchors] * 3, G, F, X0, LR, 3, K, N)
    np.testing.assert_array_equal(still, nf.spread(X0, 4))
    np.testing.assert_array_equal(cache[-1], F(nf.spread(X0, N)))
    exact, _ = nf.fedamd([everybody], [miners], F, F, X0, LR, 1, K, N)
    same(exact, nf.fedlin([everybody], F, X0, LR, 1, K, N, F=F))
    rounds = 1500
    coins = [flips(N, 0.5, seed=t) for t in range(rounds)]
    models, _ = nf.fedamd([everybody] * rounds, coins, F, F, X0, LR, rounds, K, N)
    np.testing.assert_allclose(models[-1], BEST, rtol=0, atol=1e-9)


def test_afl_and_drfa_stay_in_the_simplex_and_help_the_worst():
    steps = 3000
    models, lam = nf.afl(F, losses, X0, 0.01, steps, N, lambda_lr=0.01)
    drfa, lam2 = nf.drfa(ALL, flips(T, 0.5) * 3 + 1, SAMPLES, G, losses, X0, LR, T, K, N, lambda_lr=0.02)
    for weights in (lam, lam2):
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(1), 1, rtol=0, atol=1e-12)
        assert np.abs(weights[-1] - 1 / N).max() > 1e-2
    worst = [losses(nf.spread(x, N)).max() for x in (models[-1], BEST)]
    assert worst[0] < worst[1]
    same(drfa, nf.fedavg(ALL, G, X0, LR, T, K, N))


def test_simplex_projection():
    rng = np.random.default_rng(0)
    for _ in range(20):
        v, p = rng.standard_normal(N), rng.dirichlet(np.ones(N), 50)
        q = nf.simplex(v)
        assert (p - q) @ (v - q) == pytest.approx(np.minimum((p - q) @ (v - q), 0), abs=1e-12)
    np.testing.assert_allclose(nf.simplex(p[0]), p[0], rtol=0, atol=1e-12)


def test_hierarchical_fedavg():
    clusters = [np.arange(3), np.arange(3, N)]
    same(nf.hierarchical_fedavg(clusters, G, X0, LR, T, K, 1, N), nf.fedavg(ALL, G, X0, LR, T, K, N))
    alone = [np.array([i]) for i in range(N)]
    same(nf.hierarchical_fedavg(alone, G, X0, LR, T, K, 3, N), nf.fedavg(ALL, G, X0, LR, T, 3 * K, N))
    one = nf.hierarchical_fedavg([np.arange(N)], F, X0, LR, 20, K, 3, N)
    same(one, nf.fedavg(ALL, F, X0, LR, 60, K, N)[::3])
    block = np.zeros((N, N))
    for ids in clusters:
        block[np.ix_(ids, ids)] = 1 / len(ids)
    X, out = nf.spread(X0, N), [X0]
    for t in range(T):
        for k in range(6):
            X = (block if k % 2 else np.eye(N)) @ (X - LR * G(X, t, k))
        X = J @ X
        out.append(X[0])
    ours = nf.hierarchical_fedavg(clusters, G, X0, LR, T, 2, 3, N)
    same(ours, np.stack(out))
    differ(ours, nf.fedavg(ALL, G, X0, LR, T, 6, N))


# ---- one round by hand, client after client, where no identity tells a wrong constant --------------------------


def alone(i, y, t, k):
    return G(nf.spread(y, N), t, k)[i]


def test_round_of_fedspeed():
    lam, rho, mix, S = 2.0, 0.3, 0.7, np.array([1, 4, 6])
    models, ghat = nf.fedspeed([S] * 2, G, X0, LR, 2, 2, N, lam, rho, mix)
    x, dual = X0, dict.fromkeys(range(N), np.zeros(D))
    for t in range(2):
        parts = []
        for i in S:
            y = x
            for k in range(2):
                g = alone(i, y, t, k)
                steep = alone(i, y + rho * g / np.sqrt(g @ g), t, k)
                y = y - LR * ((1 - mix) * g + mix * steep - dual[i] + (y - x) / lam)
            dual[i] = dual[i] - (y - x) / lam
            parts.append(y - lam * dual[i])
        x = sum(parts) / 3
        np.testing.assert_allclose(models[t + 1], x, rtol=0, atol=1e-13)
    np.testing.assert_allclose(ghat[-1], [dual[i] for i in range(N)], rtol=0, atol=1e-13)


def test_round_of_fedac():
    alpha, beta, gamma = 3.0, 4.0, 0.2
    x_ag, w = nf.fedac(ALL, G, X0, LR, 2, 2, N, alpha, beta, gamma)
    ag = slow = X0
    for t in range(2):
        ends = []
        for i in range(N):
            a, v = ag, slow
            for k in range(2):
                md = v / beta + (1 - 1 / beta) * a
                g = alone(i, md, t, k)
                a, v = md - LR * g, (1 - 1 / alpha) * v + md / alpha - gamma * g
            ends.append((a, v))
        ag, slow = sum(a for a, _ in ends) / N, sum(v for _, v in ends) / N
        np.testing.assert_allclose(x_ag[t + 1], ag, rtol=0, atol=1e-13)
        np.testing.assert_allclose(w[t + 1], slow, rtol=0, atol=1e-13)


def test_round_of_fedsplit():
    models, Z = nf.fedsplit_exact(A, B, X0, 1, N, s=0.5)
    z = [X0 + 2 * (np.linalg.solve(A[i] + 2 * np.eye(D), B[i] + 2 * X0) - X0) for i in range(N)]
    np.testing.assert_allclose(Z[1], z, rtol=0, atol=1e-13)
    np.testing.assert_allclose(models[1], sum(z) / N, rtol=0, atol=1e-13)


def test_round_of_q_fedavg():
    q, S = 1.5, np.array([0, 3])
    models = nf.q_fedavg([S], G, losses, X0, LR, 1, 2, N, q)
    over = under = 0
    for i in S:
        y, f = X0, losses(nf.spread(X0, N))[i]
        for k in range(2):
            y = y - LR * alone(i, y, 0, k)
        w = (X0 - y) / LR
        over, under = over + f**q * w, under + q * f ** (q - 1) * (w @ w) + f**q / LR
    np.testing.assert_allclose(models[1], X0 - over / under, rtol=0, atol=1e-13)


def test_round_of_drfa():
    S, U = np.array([2, 2, 5]), np.array([0, 1, 6, 7])
    for snapshot in (1, 2, 3):
        models, lam = nf.drfa([S], [snapshot], [U], G, losses, X0, LR, 1, 3, N, lambda_lr=1e-3)
        paths = []
        for i in S:
            path = [X0]
            for k in range(3):
                path.append(path[-1] - LR * alone(i, path[-1], 0, k))
            paths.append(path)
        loss = losses(nf.spread(sum(path[snapshot] for path in paths) / 3, N))
        raised = np.full(N, 1 / N)
        raised[U] += 1e-3 * 3 * (N / 4) * loss[U]
        np.testing.assert_allclose(lam[1], nf.simplex(raised), rtol=0, atol=1e-13)
        np.testing.assert_allclose(models[1], sum(path[3] for path in paths) / 3, rtol=0, atol=1e-13)


@pytest.mark.parametrize("anchor", ["all", "sample"])
def test_round_of_fsvrg_and_fedlin_with_a_sample(anchor):
    S = np.array([1, 4, 6])
    full = F(nf.spread(X0, N))
    mean = full.mean(0) if anchor == "all" else full[S].mean(0)
    svrg, lin = [], []
    for i in S:
        y = z = X0
        for k in range(3):
            y = y - LR * (alone(i, y, 0, k) - alone(i, X0, 0, k) + mean)
            z = z - LR * (alone(i, z, 0, k) - full[i] + full[S].mean(0))
        svrg.append(y)
        lin.append(z)
    models = nf.fsvrg([S], G, F, X0, LR, 1, 3, N, anchor=anchor)
    np.testing.assert_allclose(models[1], sum(svrg) / 3, rtol=0, atol=1e-13)
    np.testing.assert_allclose(nf.fedlin([S], G, X0, LR, 1, 3, N, F=F)[1], sum(lin) / 3, rtol=0, atol=1e-13)


def test_pushes_of_delayed_nesterov_with_c():
    """N = 2, c = 0.3, beta = 0.9, lr = 0.7: the shares of beta m are c, 1 - cN + c, c, ..."""
    g = np.random.default_rng(8).standard_normal((4, D))
    ours = nf.delayed_nesterov(X0, g, 0.7, 0.9, buffer=2, c=0.3)
    m1 = (g[0] + g[1]) / 2
    m2 = 0.9 * m1 + (g[2] + g[3]) / 2
    step = [0.5 * g[0], 0.7 * 0.9 * m1 + 0.5 * g[1], 0.3 * 0.9 * m1 + 0.5 * g[2], 0.7 * 0.9 * m2 + 0.5 * g[3]]
    np.testing.assert_allclose(ours[1:], X0 - 0.7 * np.cumsum(step, axis=0), rtol=0, atol=1e-13)


# ---- outer optimisers --------------------------------------------------------------------------------------------


def adamw(shape):
    return nf.AdamW(shape, weight_decay=0.1)


@pytest.mark.parametrize("inner", [nf.SGD, adamw])
def test_one_fragment_without_delay_is_diloco(inner):
    base = nf.diloco(ALL, G, X0, LR, T, K, N, inner=inner)
    X, world = nf.streaming_diloco(G, X0, LR, T, K, N, [np.arange(D)], inner=inner)
    same(world, base)
    same(X, np.stack([nf.spread(x, N) for x in base]))
    halves = [np.arange(2), np.arange(2, D)]
    for other in (
        nf.streaming_diloco(G, X0, LR, T, K, N, halves, inner=inner)[1],
        nf.streaming_diloco(G, X0, LR, T, K, N, [np.arange(D)], tau=2, inner=inner)[1],
        nf.streaming_diloco(G, X0, LR, T, K, N, [np.arange(D)], alpha=0.5, inner=inner)[1],
    ):
        differ(other, base)


def test_streaming_with_the_local_value_kept_is_local_training():
    X, _ = nf.streaming_diloco(G, X0, LR, T, K, N, [np.arange(2), np.arange(2, D)], alpha=1.0, tau=1)
    Y, out = nf.spread(X0, N), [nf.spread(X0, N)]
    for t in range(T):
        Y = nf.local_sgd(G, Y, LR, t, K)
        out.append(Y)
    same(X, np.stack(out))


def test_delay_of_a_fragment():
    """Two rounds by hand: after round 0 nothing is merged; tau steps into round 1 fragment 0 is, at its old value."""
    fragments, tau = [np.arange(2), np.arange(2, D)], 2
    X, world = nf.streaming_diloco(G, X0, LR, 2, K, N, fragments, 0.7, 0.9, alpha=0.25, tau=tau)
    Y = nf.local_sgd(G, nf.spread(X0, N), LR, 0, K)
    np.testing.assert_allclose(X[1], Y, rtol=0, atol=1e-14)
    merged = X0[:2] - 0.7 * 1.9 * (X0[:2] - Y[:, :2].mean(0))
    np.testing.assert_allclose(world[1], np.r_[merged, X0[2:]], rtol=0, atol=1e-14)
    for k in range(K):
        if k == tau:
            Y = np.c_[0.25 * Y[:, :2] + 0.75 * merged, Y[:, 2:]]
        Y = Y - LR * G(Y, 1, k)
    np.testing.assert_allclose(X[2], Y, rtol=0, atol=1e-14)
    np.testing.assert_allclose(world[2], np.r_[merged, X0[2:] - 1.33 * (X0[2:] - Y[:, 2:].mean(0))], rtol=0, atol=1e-14)


def test_streaming_reaches_every_fragment():
    fragments = [np.array([0, 3]), np.array([1]), np.array([2, 4])]
    X, world = nf.streaming_diloco(F, X0, 0.005, 600, K, N, fragments, outer_momentum=0.5, alpha=0.5, tau=K)
    assert np.abs(world[-1] - BEST).max() < 0.1
    assert np.abs(world[-1] - world[-4]).max() < 1e-8
    assert np.abs(X[-1] - X[-1].mean(0)).max() > 1e-3


def test_eager_with_one_worker_is_diloco():
    first = lambda X, t, k: G(np.repeat(X, N, axis=0), t, k)[:1]
    eager = nf.eager_diloco(np.ones((1, 1)), first, X0[None], LR, T, K)
    same(eager[:, 0], nf.diloco([np.arange(1)] * T, first, X0, LR, T, K, 1))


def test_eager_with_equal_workers_keeps_them_equal_and_differs_from_diloco():
    equal = lambda X, t, k: (X @ A[0].T) - B[0]
    eager = nf.eager_diloco(J, equal, nf.spread(X0, N), LR, T, K, outer_momentum=0.5)
    np.testing.assert_allclose(eager, np.repeat(eager[:, :1], N, axis=1), rtol=0, atol=1e-12)
    differ(eager[:, 0], nf.diloco(ALL, equal, X0, LR, T, K, N, outer_momentum=0.5))
    first = X0 - 0.7 * 1.5 * (X0 - nf.local_sgd(equal, nf.spread(X0, N), LR, 0, K)[0]) / N
    np.testing.assert_allclose(eager[1, 0], first, rtol=0, atol=1e-12)


def test_one_worker_with_outer_sgd_is_lookahead():
    first = lambda X, t, k: G(np.repeat(X, N, axis=0), t, k)[:1]
    ours = nf.diloco([np.arange(1)] * T, first, X0, LR, T, K, 1, outer_lr=0.6, outer_momentum=0.0)
    same(ours, nf.lookahead(first, X0[None], LR, T, K, alpha=0.6)[:, 0])


def test_slowmo_is_diloco_with_heavy_ball_outside():
    ours = nf.diloco(ALL, G, X0, LR, T, K, N, outer_lr=0.7, outer_momentum=0.6, nesterov_form=False)
    same(ours, slowmo(G, X0, LR, T, K, 0.7, 0.6), 1e-11)
    differ(ours, nf.diloco(ALL, G, X0, LR, T, K, N, outer_lr=0.7, outer_momentum=0.6))


def test_inner_state_persists():
    ours = nf.diloco([np.arange(N)] * 10, G, X0, LR, 10, K, N, outer_lr=1.0, outer_momentum=0.0, inner=adamw)
    one = lambda X, t, k: G(np.repeat(X, N, axis=0), t, k)[:1]
    alone = nf.diloco([np.arange(1)] * 10, one, X0, LR, 10, K, 1, outer_lr=1.0, outer_momentum=0.0, inner=adamw)
    x, m, v, out, step = X0, 0 * X0, 0 * X0, [X0], 0
    for t in range(10):
        for k in range(K):
            g, step = one(x[None], t, k)[0], step + 1
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            x = x * (1 - 0.1 * LR) - LR * m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        out.append(x)
    same(alone, np.stack(out))
    fresh = [X0]
    for t in range(10):
        Y = nf.inner_loop(adamw((N, D)), G, nf.spread(fresh[-1], N), LR, t, K)
        fresh.append(Y.mean(0))
    np.testing.assert_allclose(ours[1], fresh[1], rtol=0, atol=1e-12)
    differ(ours, np.stack(fresh))


def test_dilocox():
    base = nf.diloco(ALL, G, X0, LR, T, K, N)
    same(nf.dilocox(G, X0, LR, T, K, N, delay=0)[0], base)
    late = nf.dilocox(G, X0, LR, T, K, N, outer_momentum=0.5)[0]
    differ(late, nf.diloco(ALL, G, X0, LR, T, K, N, outer_momentum=0.5))
    x, b, mail, out = X0, 0 * X0, None, [X0]
    for t in range(T):
        pseudo = x - nf.local_sgd(G, nf.spread(x, N), LR, t, K).mean(0)
        if mail is not None:
            x, b = nf.nesterov(x, b, mail, 0.7, 0.5)
        mail = pseudo
        out.append(x)
    same(late, np.stack(out))


def test_dilocox_error_feedback_loses_nothing():
    """Sent and kept add up to all pseudo-gradients; with constant gradients the compressed run keeps up."""
    c = np.arange(1.0, D + 1)
    push = lambda X, t, k: nf.spread(c, N)
    run = lambda **how: nf.dilocox(push, X0, LR, T, K, N, outer_lr=1.0, outer_momentum=0.0, C=top, delay=0, **how)
    models, e = run()
    np.testing.assert_allclose(X0 - models[-1] + e[-1].mean(0), T * K * LR * c, rtol=0, atol=1e-11)
    assert run(feedback=False)[0][-1][0] == X0[0]


def test_gossip_diloco():
    Y = nf.spread(X0, N)
    ours = nf.gossip_diloco([J] * T, G, Y, LR, T, K, outer_lr=0.7, outer_momentum=0.6)
    base = nf.diloco(ALL, G, X0, LR, T, K, N, outer_lr=0.7, outer_momentum=0.6, nesterov_form=False)
    same(ours, np.repeat(base[:, None], N, axis=1))
    ring = (np.eye(N) + np.roll(np.eye(N), 1, axis=1) + np.roll(np.eye(N), -1, axis=1)) / 3
    X = np.random.default_rng(5).standard_normal((N, D))
    plain = nf.gossip_diloco([ring] * T, G, X, LR, T, K, outer_lr=1.0, outer_momentum=0.0)
    out = [X]
    for t in range(T):
        out.append(ring @ nf.local_sgd(G, out[-1], LR, t, K))
    same(plain, np.stack(out))
    differ(plain, nf.gossip_diloco([ring] * T, G, X, LR, T, K, outer_lr=1.0, outer_momentum=0.0, gamma=0.2))


def test_delayed_nesterov():
    pushes = np.random.default_rng(6).standard_normal((T, D))
    x, b, out = X0, 0 * X0, [X0]
    for g in pushes:
        x, b = nf.nesterov(x, b, g, 0.7, 0.9)
        out.append(x)
    same(nf.delayed_nesterov(X0, pushes, 0.7, 0.9, buffer=1), np.stack(out))
    differ(nf.delayed_nesterov(X0, pushes, 0.7, 0.9, buffer=4), np.stack(out))
    x, b, slow = X0, 0 * X0, [X0]
    for g in pushes.reshape(T // 4, 4, D).mean(1):
        x, b = nf.nesterov(x, b, g, 0.7, 0.9)
        slow.append(x)
    same(nf.delayed_nesterov(X0, pushes, 0.7, 0.9, buffer=4)[::4], np.stack(slow))
    differ(nf.delayed_nesterov(X0, pushes, 0.7, 0.9, buffer=4, c=0.1)[::4], np.stack(slow))
