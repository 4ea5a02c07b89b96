"""The NumPy references against each other: identities of EQUATIONS section 3, and what must not match. No JAX."""

from __future__ import annotations

import numpy as np
import numpy_decentralized as ref
import pytest

N, DIM, LR, ROUNDS = 8, 5, 0.05, 60
RNG = np.random.default_rng(7)
_ROOTS = RNG.standard_normal((N, DIM, DIM))
A = np.einsum("nij,nkj->nik", _ROOTS, _ROOTS) / DIM + 0.5 * np.eye(DIM)
B = RNG.standard_normal((N, DIM)) * 2
X0 = RNG.standard_normal((N, DIM))
SAME = np.broadcast_to(X0[0], X0.shape)
OPTIMUM = np.linalg.solve(A.mean(0), B.mean(0))
EYE, J = np.eye(N), np.full((N, N), 1 / N)
RING = (EYE + np.roll(EYE, 1, 0) + np.roll(EYE, -1, 0)) / 3
LAZY = (EYE + RING) / 2


def F(X):
    return np.einsum("nij,nj->ni", A, X) - B


def G(X, t=0, k=0):
    return F(X)


def noisy(X, t=0, k=0):
    return F(X) + 0.3 * np.random.default_rng([t, k]).standard_normal(X.shape)


def same(C):
    return C


def top2(X):
    keep = np.argsort(-np.abs(X), axis=1, kind="stable")[:, :2]
    out = np.zeros_like(X)
    np.put_along_axis(out, keep, np.take_along_axis(X, keep, 1), 1)
    return out


def shrink(Z, lr):
    return np.sign(Z) * np.maximum(np.abs(Z) - 0.1 * lr, 0)


atc, dgd = ref.atc, ref.dgd


def tracking(W, G, X, lr, rounds, Y=None):
    g = G(X, 0)
    Y, out = g if Y is None else Y, [X]
    for t in range(rounds):
        X = W @ (X - lr * Y)
        new = G(X, t + 1)
        Y, g = W @ Y + new - g, new
        out.append(X)
    return np.stack(out)


def exact_diffusion(half, G, X, lr, rounds):
    psi, out = X, [X]
    for t in range(rounds):
        new = X - lr * G(X, t)
        X, psi = half @ (new + X - psi), new
        out.append(X)
    return np.stack(out)


def descent(x, lr, rounds, momentum=0.0):
    m, out = np.zeros_like(x), [x]
    for _ in range(rounds):
        m = momentum * m + A.mean(0) @ x - B.mean(0)
        x = x - lr * m
        out.append(x)
    return np.broadcast_to(np.stack(out)[:, None], (rounds + 1, N, DIM))


def close(a, b, tolerance=1e-12):
    a, b = np.broadcast_arrays(a, b)
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    assert a.ndim < 3 or np.abs(a[-1] - a[0]).max() > 0.1


def apart(a, b, least=1e-4):
    assert np.abs(a - b).max() > least


def at_optimum(trajectory, tolerance=1e-9):
    np.testing.assert_allclose(trajectory[-1], np.broadcast_to(OPTIMUM, (N, DIM)), rtol=0, atol=tolerance)


def test_row_2_combine_then_adapt():
    close(atc(RING, G, RING @ X0, LR, ROUNDS), RING @ ref.cta(RING, G, X0, LR, ROUNDS))
    close(ref.cta(J, G, SAME, LR, ROUNDS).mean(1), descent(X0[0], LR, ROUNDS)[:, 0])
    apart(ref.cta(RING, G, X0, LR, ROUNDS), dgd(RING, G, X0, LR, ROUNDS))


@pytest.mark.parametrize("nesterov", [False, True])
def test_row_19_without_momentum_all_are_atc(nesterov):
    base = atc(RING, noisy, X0, LR, ROUNDS)
    close(ref.dsgdm(RING, noisy, X0, LR, ROUNDS, 0.0, nesterov), base)
    close(ref.dmsgd(RING, noisy, X0, LR, ROUNDS, 0.0), base)
    close(ref.decentlam(RING, noisy, X0, LR, ROUNDS, 0.0), base)
    close(ref.qg_dsgdm(RING, noisy, X0, LR, ROUNDS, 0.0, 0.9, nesterov), base)
    close(ref.dfedavgm(RING, noisy, X0, LR, ROUNDS, 1, 0.9), base)
    close(ref.dfedavgm(RING, noisy, X0, LR, ROUNDS, 4, 0.0), atc(RING, noisy, X0, LR, ROUNDS, 4))


def test_row_19_exact_averaging_is_heavy_ball():
    ball = descent(X0[0], LR, ROUNDS, 0.9)
    close(ref.dsgdm(J, G, SAME, LR, ROUNDS, 0.9)[:, 0], ball[:, 0])
    close(ref.dmsgd(J, G, SAME, LR, ROUNDS, 0.9), ball)
    for other in (ref.dsgdm, ref.decentlam):
        apart(ref.dmsgd(RING, G, X0, LR, ROUNDS, 0.9), other(RING, G, X0, LR, ROUNDS, 0.9))
    apart(ref.dsgdm(RING, G, X0, LR, ROUNDS, 0.9), ref.dsgdm(RING, G, X0, LR, ROUNDS, 0.9, nesterov=True))


def test_nesterov_momentum_looks_ahead():
    """In the form theta <- theta + v, v <- beta v - lr g(theta + beta v), whose models are theta + beta v."""
    theta, v, ours = X0[0], np.zeros(DIM), ref.dsgdm(J, G, SAME, LR, ROUNDS, 0.9, nesterov=True)
    for t in range(ROUNDS):
        np.testing.assert_allclose(ours[t], np.broadcast_to(theta + 0.9 * v, (N, DIM)), rtol=0, atol=1e-11)
        v = 0.9 * v - LR * (A.mean(0) @ (theta + 0.9 * v) - B.mean(0))
        theta = theta + v
    faster = ref.qg_dsgdm(RING, noisy, X0, LR, ROUNDS, 0.9, 1.0, nesterov=True)
    close(faster, atc(RING, noisy, X0, 1.9 * LR, ROUNDS))


def test_local_momentum_is_forgotten_every_round():
    ours, X = ref.dfedavgm(RING, noisy, X0, LR, ROUNDS, 4, 0.6), X0
    for t in range(ROUNDS):
        np.testing.assert_allclose(ours[t], X, rtol=0, atol=1e-11)
        m = 0
        for k in range(4):
            m = 0.6 * m + noisy(X, t, k)
            X = X - LR * m
        X = RING @ X


def test_dmsgd_with_the_old_momentum_is_one_round_late():
    late = ref.dmsgd(J, G, SAME, LR, ROUNDS, 0.9, old=True)
    x, m = X0[0], np.zeros(DIM)
    for t in range(ROUNDS):
        np.testing.assert_allclose(late[t], np.broadcast_to(x, (N, DIM)), rtol=0, atol=1e-12)
        x, m = x - LR * m, 0.9 * m + A.mean(0) @ x - B.mean(0)
    apart(late, ref.dmsgd(J, G, SAME, LR, ROUNDS, 0.9))


def test_row_19_coefficient_of_quasi_global_momentum_on_one_node():
    def one(X, t=0, k=0):
        return X @ A[0] - B[0]

    mu, beta = 0.8, 0.9
    ours = ref.qg_dsgdm(np.ones((1, 1)), one, X0[:1], LR, ROUNDS, beta, mu)
    x, hat = X0[:1], np.zeros((1, DIM))
    for t in range(ROUNDS):
        np.testing.assert_allclose(ours[t], x, rtol=0, atol=1e-12)
        g = one(x)
        x, hat = x - LR * (beta * hat + g), (mu + (1 - mu) * beta) * hat + (1 - mu) * g
    apart(ours, ref.qg_dsgdm(np.ones((1, 1)), one, X0[:1], LR, ROUNDS, beta, 0.5))


def test_adam_without_links_is_adam_on_every_node():
    m = v = 0
    X, ours = X0, ref.dadam(EYE, noisy, X0, LR, ROUNDS, 0.9, 0.99, 1e-8)
    for t in range(1, ROUNDS + 1):
        g = noisy(X, t - 1)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        X = X - LR * np.sqrt(1 - 0.99**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-8 * np.sqrt(1 - 0.99**t))
        np.testing.assert_allclose(ours[t], X, rtol=0, atol=1e-12)
    close(ours, ref.dadam(EYE, noisy, X0, LR, ROUNDS, 0.9, 0.99, 1e-8, atc=True))
    for order, base in ((False, dgd), (True, atc)):
        signs = base(RING, lambda X, t, k=0: np.sign(noisy(X, t)), X0, LR, ROUNDS)
        close(ref.dadam(RING, noisy, X0, LR, ROUNDS, 0.0, 0.0, 0.0, order), signs)
    apart(*(ref.dadam(RING, noisy, X0, LR, ROUNDS, 0.9, 0.99, 1e-8, order) for order in (False, True)))


def test_quasi_global_adam():
    """Without decay it is sign descent then gossip; its versions differ."""
    signs = atc(RING, lambda X, t, k: np.sign(F(X)), X0, LR, ROUNDS)
    close(ref.qg_adam(RING, G, X0, LR, ROUNDS, 0.0, 0.0, 0.0, bias_correction=False), signs)
    kinds = [{}, {"first": "local"}, {"gain": 1.0}, {"bias_correction": False}]
    runs = [ref.qg_adam(RING, noisy, X0, LR, ROUNDS, 0.9, 0.99, 1e-8, **kind) for kind in kinds]
    for one in range(4):
        assert np.isfinite(runs[one]).all()
        for other in range(one):
            apart(runs[one], runs[other])
    apart(runs[0], ref.dadam(RING, noisy, X0, LR, ROUNDS, 0.9, 0.99, 1e-8, atc=True))


@pytest.mark.parametrize("kind", [{}, {"first": "local"}, {"gain": 1.0}, {"bias_correction": False}])
def test_quasi_global_adam_as_weighted_means_of_the_past(kind):
    """With bias correction the moments are means of unit increments and the present gradient, weights b^(age)."""
    b1, b2, eps, tiny = 0.8, 0.9, 1e-3, 1e-2
    ours = ref.qg_adam(RING, noisy, X0, LR, 20, b1, b2, eps, norm_eps=tiny, **kind)
    past, gradients = [], []
    for t in range(20):
        g = noisy(ours[t], t)
        ages = np.arange(t, -1, -1)
        older = gradients if kind.get("first") == "local" else past
        now = kind.get("gain", 1 - b1) / (1 - b1) * g
        m = np.tensordot(b1**ages, np.stack([*older, now]), 1) / (b1**ages).sum()
        v = np.tensordot(b2**ages, np.stack([*past, g]) ** 2, 1) / (b2**ages).sum()
        if not kind.get("bias_correction", True):
            m, v = m * (1 - b1 ** (t + 1)), v * (1 - b2 ** (t + 1))
        np.testing.assert_allclose(ours[t + 1], RING @ (ours[t] - LR * m / (np.sqrt(v) + eps)), rtol=0, atol=1e-11)
        d = ours[t] - ours[t + 1]
        past.append(d / (np.sqrt((d**2).sum(1, keepdims=True)) + tiny))
        gradients.append(g)


def test_sharpness_aware():
    one = atc(RING, noisy, X0, LR, ROUNDS)
    close(ref.dfedsam(RING, noisy, X0, LR, ROUNDS, 1, 0.0), one)
    close(
        ref.dfedsam(RING, noisy, X0, LR, ROUNDS, 2, 0.1, 3),
        ref.dfedsam(np.linalg.matrix_power(RING, 3), noisy, X0, LR, ROUNDS, 2, 0.1),
    )

    def bowl(X, t=0, k=0):
        return 3 * X

    close(
        ref.dfedsam(np.ones((1, 1)), bowl, X0[:1, :1], LR, 1, 1, 0.2)[1],
        X0[:1, :1] - LR * (3 * X0[:1, :1] + 0.6 * np.sign(X0[:1, :1])),
    )
    close(
        ref.dfedsam(np.ones((1, 1)), bowl, X0[:1, :1], LR, 1, 1, 0.2, eps=0.5)[1],
        X0[:1, :1] * (1 - 3 * LR * (1 + 0.6 / (3 * np.abs(X0[:1, :1]) + 0.5))),
    )
    apart(ref.dfedsam(RING, noisy, X0, LR, ROUNDS, 1, 0.1), one)


def test_delta_sgd():
    def bowl(X, t=0, k=0):
        return 4 * X

    _, rates = ref.delta_sgd(RING, bowl, X0, 0.1, 2, 4, delta=1.0)
    np.testing.assert_allclose(rates[1], 1 / 4, rtol=0, atol=1e-9)

    _, rates = ref.delta_sgd(RING, bowl, X0, 0.25, 1, 2, delta=0.0, eps=0.01)
    np.testing.assert_allclose(rates[1], 0.26, rtol=0, atol=1e-12)

    def slope(X, t=0, k=0):
        return np.ones_like(X)

    _, rates = ref.delta_sgd(RING, slope, X0, LR, 1, 3, delta=0.1)
    first = np.sqrt(1.1)
    np.testing.assert_allclose(rates[1], LR * first * np.sqrt(1 + 0.1 * first), rtol=0, atol=1e-12)
    models, _ = ref.delta_sgd(RING, noisy, X0, LR, ROUNDS, 1)
    close(models, atc(RING, noisy, X0, LR, ROUNDS))
    apart(models, ref.delta_sgd(RING, noisy, X0, LR, ROUNDS, 1, grow_first=True)[0])
    apart(atc(RING, noisy, X0, LR, ROUNDS, 4), ref.delta_sgd(RING, noisy, X0, LR, ROUNDS, 4)[0])


def test_elastic_averaging_is_dgd_with_a_node_more():
    alpha = 0.1
    W = np.zeros((N + 1, N + 1))
    W[:N, :N], W[:N, N], W[N, :N], W[N, N] = (1 - alpha) * EYE, alpha, alpha, 1 - N * alpha

    def wide(X, t=0, k=0):
        return np.vstack([noisy(X[:N], t, k), np.zeros((1, DIM))])

    models, centre = ref.easgd(noisy, X0, LR, ROUNDS, alpha, centre=X0[0])
    wanted = dgd(W, wide, np.vstack([X0, X0[:1]]), LR, ROUNDS)
    close(models, wanted[:, :N])
    close(centre, wanted[:, N])


def test_rows_8_and_23_slowmo():
    local = atc(J, noisy, SAME, LR, ROUNDS, 4)
    close(ref.slowmo(None, noisy, SAME, LR, ROUNDS, 4), local)
    ours = ref.slowmo(None, noisy, SAME, LR, ROUNDS, 4, 0.7, 0.6)
    x, v = X0[0], np.zeros(DIM)
    for t in range(ROUNDS):
        np.testing.assert_allclose(ours[t], np.broadcast_to(x, (N, DIM)), rtol=0, atol=1e-11)
        Y = np.broadcast_to(x, (N, DIM))
        for k in range(4):
            Y = Y - LR * noisy(Y, t, k)
        v = 0.6 * v + x - Y.mean(0)
        x = x - 0.7 * v
    close(ref.slowmo(J, G, SAME, LR, ROUNDS, 1), descent(X0[0], LR, ROUNDS))
    apart(ref.slowmo(RING, noisy, SAME, LR, ROUNDS, 4), local)


def test_forms_of_the_corrected_methods():
    """Exact diffusion, adapt-correct-combine, is D2's two-term form on half the way; trackers mix before or after."""
    close(ref.exact_diffusion(RING, noisy, X0, LR, ROUNDS), ref.d2(LAZY, noisy, X0, LR, ROUNDS), 1e-11)
    close(ref.d2(RING, noisy, X0, LR, ROUNDS), exact_diffusion(RING, noisy, X0, LR, ROUNDS), 1e-11)
    close(ref.nids(RING, noisy, X0, LR, ROUNDS), ref.nids(LAZY, noisy, X0, LR, ROUNDS, mixing=1.0), 1e-11)
    models, Y = ref.gradient_tracking(RING, noisy, X0, LR, ROUNDS)
    close(models, tracking(RING, noisy, X0, LR, ROUNDS))
    means = np.stack([noisy(models[t], t).mean(0) for t in range(ROUNDS + 1)])
    np.testing.assert_allclose(Y.mean(1), means, rtol=0, atol=1e-12)
    augmented = ref.gradient_tracking(RING, noisy, X0, LR, ROUNDS, mix_difference=True)[0]
    apart(augmented, models)
    one_part = ref.gt_saga(RING, F, X0, LR, ROUNDS, 1, np.zeros((ROUNDS, N), int))
    close(one_part, ref.dproxsgt(RING, G, X0, LR, ROUNDS))
    apart(one_part, ref.gt_saga(RING, F, X0, LR, ROUNDS, 2, np.zeros((ROUNDS, N), int)))


def test_plain_gossip_in_its_options():
    """Push-sum of a doubly stochastic matrix, CHOCO of nothing compressed, momentum between rounds, overlap alone."""
    base = atc(RING, noisy, X0, LR, ROUNDS)
    models, _, weights = ref.push_sum(RING, noisy, X0, LR, ROUNDS)
    close(models, base)
    np.testing.assert_allclose(weights, 1, rtol=0, atol=1e-12)
    close(ref.choco_sgd(RING, noisy, X0, LR, ROUNDS, 1.0, same), base)
    apart(ref.choco_sgd(RING, noisy, X0, LR, ROUNDS, 0.3, top2), base)
    close(atc(J, G, SAME, LR, ROUNDS, momentum=0.9), ref.dsgdm(J, G, SAME, LR, ROUNDS, 0.9))
    close(ref.overlap_sgp(EYE, noisy, X0, LR, ROUNDS, 3), atc(EYE, noisy, X0, LR, ROUNDS, 3))
    close(
        ref.scaled_local_sgd(RING, lambda X, t, k: 0.01 * noisy(X, t, k), X0, 5.0, ROUNDS, 3, 0.9, 1.0)[0],
        atc(RING, lambda X, t, k: 0.01 * noisy(X, t, k), X0, 5.0, ROUNDS, 3),
    )
    everybody = [np.arange(N)] * ROUNDS
    centre, clients = ref.sampled_easgd(everybody, noisy, X0[0], LR, ROUNDS, 1, N, 0.1, 0.1 * N)
    models, z = ref.easgd(noisy, SAME, LR, ROUNDS, 0.1)
    close(centre, z)
    close(clients, models)
    cycles = ref.slowmo_in_cycles([J], noisy, SAME, LR, ROUNDS, 4, 0.7, 0.6)
    close(cycles, ref.slowmo(None, noisy, SAME, LR, ROUNDS, 4, 0.7, 0.6), 1e-11)


def test_row_12_extra_in_two_forms():
    ours, X, Y = ref.extra(RING, noisy, X0, LR, ROUNDS), X0, np.zeros_like(X0)
    for t in range(ROUNDS):
        np.testing.assert_allclose(ours[t], X, rtol=0, atol=1e-11)
        X, Y = RING @ X - LR * noisy(X, t) - Y, Y + (X - RING @ X) / 2
    apart(ours, exact_diffusion(LAZY, noisy, X0, LR, ROUNDS))
    at_optimum(ref.extra(RING, G, X0, LR, 3000))


def test_rows_11_and_17_diging():
    models, Y = ref.diging(RING, noisy, X0, LR, ROUNDS)
    means = np.stack([noisy(models[t], t).mean(0) for t in range(ROUNDS + 1)])
    np.testing.assert_allclose(Y.mean(1), means, rtol=0, atol=1e-12)
    apart(ref.diging(J, G, SAME, LR, ROUNDS)[0], descent(X0[0], LR, ROUNDS))
    at_optimum(ref.diging(RING, G, X0, LR, 3000)[0])


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_row_14_nids_is_lead(alpha):
    nids = ref.nids(RING, noisy, X0, LR, ROUNDS)
    close(nids, ref.lead(RING, noisy, X0, LR, ROUNDS, 1.0, alpha, same, hat0=X0)[0], 1e-11)
    close(nids, ref.lead(RING, noisy, X0, LR, ROUNDS, 1.0, alpha, same)[0], 1e-11)
    at_optimum(ref.lead(RING, G, X0, LR, 4000, 0.5, 0.05, top2)[0])
    squeezed, D = ref.lead(RING, noisy, X0, LR, ROUNDS, 0.5, alpha, top2)
    np.testing.assert_allclose(D.sum(1), 0, rtol=0, atol=1e-10)
    apart(squeezed, nids)
    apart(nids, exact_diffusion(LAZY, noisy, X0, LR, ROUNDS))
    at_optimum(ref.nids(RING, G, X0, LR, 3000))


def test_row_10_local_tracking():
    x, c, ci = X0[0], np.zeros(DIM), np.zeros((N, DIM))
    ours, corrections = ref.kgt(J, noisy, SAME, LR, ROUNDS, 3)
    for t in range(ROUNDS):
        np.testing.assert_allclose(ours[t], np.broadcast_to(x, (N, DIM)), rtol=0, atol=1e-11)
        Y = np.broadcast_to(x, (N, DIM))
        for k in range(3):
            Y = Y - LR * (noisy(Y, t, k) - ci + c)
        ci = ci - c + (x - Y) / (3 * LR)
        x, c = Y.mean(0), ci.mean(0)
    np.testing.assert_allclose(corrections.sum(1), 0, rtol=0, atol=1e-11)
    close(ref.kgt(RING, noisy, X0, LR, ROUNDS, 1)[0], tracking(RING, noisy, X0, LR, ROUNDS), 1e-11)
    close(ref.kgt(J, G, SAME, LR, ROUNDS, 1, 0.5)[0], descent(X0[0], LR / 2, ROUNDS))
    start, (first, _) = SAME, ref.kgt(J, G, SAME, LR, 1, 3, 0.5)
    for _ in range(3):
        start = start - LR * F(start)
    np.testing.assert_allclose(first[1, 0], (X0[0] + start.mean(0)) / 2, rtol=0, atol=1e-12)
    for kind in ({}, {"start": "mean"}, {"server_lr": 0.5}):
        at_optimum(ref.kgt(RING, G, X0, LR, 3000, 5, **kind)[0])
    apart(ref.kgt(RING, G, X0, LR, ROUNDS, 5)[0], ref.kgt(RING, G, X0, LR, ROUNDS, 5, start="mean")[0])


def test_momentum_tracking():
    close(ref.momentum_tracking(RING, noisy, X0, LR, ROUNDS, 0.0)[0], ref.diging(RING, noisy, X0, LR, ROUNDS)[0], 1e-11)
    ours, _ = ref.momentum_tracking(RING, noisy, X0, LR, ROUNDS, 0.9)
    X, u, Y = X0, np.zeros_like(X0), np.zeros_like(X0)
    for t in range(ROUNDS):
        np.testing.assert_allclose(ours[t], X, rtol=0, atol=1e-11)
        new = 0.9 * u + noisy(X, t)
        Y, u = (RING @ Y if t else Y) + new - u, new
        X = RING @ X - LR * Y
    m, models, directions = np.zeros(DIM), *ref.momentum_tracking(RING, noisy, X0, LR, ROUNDS, 0.9)
    np.testing.assert_array_equal(directions[0], 0)
    for t in range(ROUNDS):
        m = 0.9 * m + noisy(models[t], t).mean(0)
        np.testing.assert_allclose(directions[t + 1].mean(0), m, rtol=0, atol=1e-11)
        taken = (RING @ models[t] - models[t + 1]) / LR
        np.testing.assert_allclose(directions[t + 1], RING @ taken, rtol=0, atol=1e-11)
    np.testing.assert_array_equal(ref.momentum_tracking(RING, noisy, X0, LR, 1, 0.9, "mean")[1][0], 0)
    first = ref.momentum_tracking(RING, noisy, X0, LR, 1, 0.9, start="mean")[0][1]
    np.testing.assert_allclose(first, RING @ X0 - LR * noisy(X0, 0).mean(0), rtol=0, atol=1e-12)
    for start in ("zero", "mean"):
        at_optimum(ref.momentum_tracking(RING, G, X0, LR / 5, 3000, 0.8, start)[0])


def test_recursive_gradients_without_noise_are_diging():
    wanted, _ = ref.diging(RING, G, X0, LR, ROUNDS)
    close(ref.gt_sarah(RING, noisy, X0, LR, ROUNDS, F, 1)[0], wanted, 1e-11)
    close(ref.gt_sarah(RING, G, X0, LR, ROUNDS, F, 7)[0], wanted, 1e-11)

    def steep(X, t=0, k=0):
        scale = 1 + 0.2 * np.random.default_rng([t, k]).standard_normal((N, 1))
        return scale * F(X)

    models, Y = ref.gt_sarah(RING, steep, X0, LR, ROUNDS, F, 7)
    apart(models, wanted)
    for t in range(1, ROUNDS, 7):
        np.testing.assert_allclose(Y[t].mean(0), F(models[t - 1]).mean(0), rtol=0, atol=1e-11)
    combined, _ = ref.gt_sarah(RING, G, X0, LR, ROUNDS, F, 7, atc=True)
    np.testing.assert_allclose(combined[1], RING @ (X0 - LR * RING @ F(X0)), rtol=0, atol=1e-12)
    close(combined, ref.dproxsgt(RING, G, X0, LR, ROUNDS), 1e-11)


@pytest.mark.parametrize("rho", [0.5, 2.0])
def test_admm(rho):
    models, alpha = ref.admm(RING, A, B, X0, 1500, rho)
    at_optimum(models)
    np.testing.assert_allclose(alpha.sum(1), 0, rtol=0, atol=1e-10)
    L = rho * (EYE - RING)

    def residual(step):
        X, new = models[step], models[step + 1]
        both = rho * ((1 - np.diag(RING))[:, None] * (X - new) + (RING - np.diag(np.diag(RING))) @ (X - new))
        return F(new) + alpha[step + 1] - both

    for t in range(20):
        np.testing.assert_allclose(residual(t), 0, rtol=0, atol=1e-10)
        np.testing.assert_allclose(alpha[t + 1] - alpha[t], L @ models[t + 1], rtol=0, atol=1e-12)
    assert np.abs(residual(0) + alpha[1]).max() > 1e-2


def test_linearised_admm():
    models, alpha = ref.dlm(RING, G, X0, LR, 3000, 1.0)
    at_optimum(models)
    np.testing.assert_allclose(alpha.sum(1), 0, rtol=0, atol=1e-10)
    close(ref.dlm(RING, noisy, X0, LR, ROUNDS, 0.0)[0], atc(EYE, noisy, X0, LR, ROUNDS))
    # ADMM with one gradient step, of the rate that DLM's proximal term comes to. On a ring all degrees are equal.
    one_step = ref.admm_by_steps(RING, noisy, X0, LR / (1 + 2 * LR * 0.7 * 2 / 3), ROUNDS, 0.7, 1)
    close(one_step, ref.dlm(RING, noisy, X0, LR, ROUNDS, 0.7)[0])
    exact = ref.admm(RING, A, B, X0, 20, 0.7)[0]
    close(ref.admm_by_steps(RING, G, X0, 0.1, 20, 0.7, 300), exact, 1e-10)
    X, a, step = X0, np.zeros_like(X0), 1 / (2 * 1.5 * 2 / 3 + 9)
    ours, _ = ref.dlm(RING, noisy, X0, LR, ROUNDS, 1.5, c=9)
    for t in range(ROUNDS):
        np.testing.assert_allclose(ours[t], X, rtol=0, atol=1e-11)
        X = X - step * (noisy(X, t) + 1.5 * (X - RING @ X) + a)
        a = a + 1.5 * (X - RING @ X)


def test_row_23_proxskip():
    always = np.ones(ROUNDS, bool)
    close(ref.proxskip(J, G, SAME, LR, ROUNDS, 1.0, 1.0, always)[0], descent(X0[0], LR, ROUNDS))
    close(
        ref.proxskip(RING, noisy, X0, LR, ROUNDS, 1.0, 0.5, always)[0],
        exact_diffusion(LAZY, noisy, X0, LR, ROUNDS),
        1e-11,
    )
    coins = np.random.default_rng(3).random(6000) < 0.2
    models, h = ref.proxskip(RING, G, X0, LR, 6000, 0.2, 0.5, coins)
    np.testing.assert_allclose(h.sum(1), 0, rtol=0, atol=1e-9)
    at_optimum(models)
    ours, _ = ref.proxskip(J, G, SAME, LR, ROUNDS, 0.2, 1.0, coins[:ROUNDS])
    X, h = SAME, np.zeros((N, DIM))
    for t in range(ROUNDS):
        np.testing.assert_allclose(ours[t], X, rtol=0, atol=1e-11)
        hat = X - LR * (F(X) - h)
        X = np.broadcast_to((hat - LR / 0.2 * h).mean(0), hat.shape) if coins[t] else hat
        h = h + 0.2 / LR * (X - hat)


def test_local_exact_diffusion():
    close(ref.led(RING, noisy, X0, LR, ROUNDS, 1)[0], exact_diffusion(RING, noisy, X0, LR, ROUNDS), 1e-11)
    for kind in ({}, {"beta": 0.1}, {"start": "difference"}):
        models, Y = ref.led(LAZY, G, X0, LR, 3000, 4, **kind)
        at_optimum(models)
        np.testing.assert_allclose(Y.sum(1), 0, rtol=0, atol=1e-10)
    apart(*(ref.led(LAZY, G, X0, LR, ROUNDS, 4, start=start)[0] for start in ("zero", "difference")))
    close(ref.led(J, G, SAME, LR, ROUNDS, 1, beta=1)[0], descent(X0[0], LR, ROUNDS))


def test_proximal_tracking():
    ours = ref.dproxsgt(RING, noisy, X0, LR, ROUNDS)
    close(ref.dproxsgt(RING, noisy, X0, LR, ROUNDS, mixed=False), tracking(RING, noisy, X0, LR, ROUNDS), 1e-11)
    X, g = X0, noisy(X0, 0)
    Y = RING @ g
    for t in range(ROUNDS):
        np.testing.assert_allclose(ours[t], X, rtol=0, atol=1e-12)
        X = RING @ (X - LR * Y)
        new = noisy(X, t + 1)
        Y, g = RING @ (Y + new - g), new
    apart(ours, tracking(RING, noisy, X0, LR, ROUNDS))
    x = X0[0]
    for _ in range(3000):
        x = shrink(x - LR * (A.mean(0) @ x - B.mean(0)), LR)
    assert np.abs(x - OPTIMUM).max() > 1e-2
    for mixed in (True, False):
        limit = ref.dproxsgt(RING, G, X0, LR, 3000, shrink, mixed)[-1]
        np.testing.assert_allclose(limit, np.broadcast_to(x, (N, DIM)), rtol=0, atol=1e-9)
    close(
        ref.cdproxsgt(RING, noisy, X0, LR, ROUNDS, 1.0, 1.0, same, shrink),
        ref.dproxsgt(RING, noisy, X0, LR, ROUNDS, shrink),
    )
    limit = ref.cdproxsgt(RING, G, X0, 0.02, 6000, 0.2, 0.2, top2, shrink)[-1]
    x = X0[0]
    for _ in range(6000):
        x = shrink(x - 0.02 * (A.mean(0) @ x - B.mean(0)), 0.02)
    np.testing.assert_allclose(limit, np.broadcast_to(x, (N, DIM)), rtol=0, atol=1e-8)


@pytest.mark.parametrize("parents", [[0, 1, 2, 3, 4, 5, 6], [0, 0, 1, 1, 2, 2, 3], [0] * 7])
def test_row_20_relays_on_a_tree(parents):
    W = np.eye(N)
    for child, parent in enumerate(parents, 1):
        W[child, parent] = W[parent, child] = 1
    links = (W != 0).astype(int)
    distance = np.zeros((N, N), int)
    for hops in range(1, N):
        distance += np.linalg.matrix_power(links, hops) == 0
    distance += 1 - np.eye(N, dtype=int)
    ours = ref.relaysgd(W, noisy, SAME, LR, ROUNDS)
    halves = [ours[t] - LR * noisy(ours[t], t) for t in range(ROUNDS)]
    for t in range(ROUNDS):
        for i in range(N):
            when = [t - max(0, distance[i, j] - 1) for j in range(N)]
            wanted = sum(halves[when[j]][j] if when[j] >= 0 else X0[0] for j in range(N)) / N
            np.testing.assert_allclose(ours[t + 1, i], wanted, rtol=0, atol=1e-12)
    at_optimum(ref.relaysgd(W, G, SAME, LR, 1500))
    at_optimum(ref.relaysgd(W, G, X0, LR, 1500))


def test_accelerated_tracking():
    mu = np.linalg.eigvalsh(A.mean(0))[0]
    for order in (False, True):
        models, Y, S = ref.nesterov_gradient_tracking(RING, G, X0, 0.01, 4000, mu, order)
        at_optimum(models)
        means = np.stack([F(y).mean(0) for y in Y])
        np.testing.assert_allclose(S.mean(1), means, rtol=0, atol=1e-11)
    close(
        ref.nesterov_gradient_tracking(RING, noisy, X0, LR, ROUNDS, 1 / LR)[0],
        ref.diging(RING, noisy, X0, LR, ROUNDS)[0],
    )
    for order in (False, True):
        gossip = ref.nesterov_gradient_tracking(RING, lambda X, t, k: 0 * X, X0, LR, ROUNDS, mu, order)[0]
        np.testing.assert_allclose(gossip[9], np.linalg.matrix_power(RING, 9) @ X0, rtol=0, atol=1e-12)
    ours = ref.nesterov_gradient_tracking(J, G, SAME, LR, ROUNDS, mu, True)[0]
    x, y, root = X0[0], X0[0], np.sqrt(mu * LR)
    for t in range(ROUNDS):
        np.testing.assert_allclose(ours[t], np.broadcast_to(x, (N, DIM)), rtol=0, atol=1e-11)
        new = y - LR * (A.mean(0) @ y - B.mean(0))
        x, y = new, new + (1 - root) / (1 + root) * (new - x)


def test_forward_backward():
    values = np.linalg.eigvalsh(A)
    mu, L = values.min(), values.max()
    models, Xf, Z = ref.apapc(RING, G, X0, rounds=4000, **ref.apapc_constants(RING, mu, L))
    at_optimum(models)
    at_optimum(Xf)
    np.testing.assert_allclose(Z.sum(1), 0, rtol=0, atol=1e-8)
    constants = ref.opapc_constants(RING, mu, L)
    assert constants["gossip_steps"] > 1
    fast = ref.opapc(RING, G, X0, rounds=4000, **constants)[0]
    at_optimum(fast)
    assert np.abs(fast[200] - OPTIMUM).max() < np.abs(models[200] - OPTIMUM).max()
    step = LR / (1 + LR * mu)
    half = EYE - step * 5.0 * (EYE - RING)
    models, Xf, _ = ref.apapc(RING, noisy, X0, LR, ROUNDS, tau=1.0, theta=5.0, alpha=mu)
    close(models, exact_diffusion(half, noisy, X0, step, ROUNDS), 1e-11)
    np.testing.assert_allclose(Xf[1:], 2 * models[1:] - models[:-1], rtol=0, atol=1e-11)
    models, Xf, _ = ref.apapc(RING, noisy, X0, LR, ROUNDS, tau=0.4, theta=5.0, alpha=mu)
    moved = 0.4 * models[:-1] + 0.6 * Xf[:-1] + 0.5 * (models[1:] - models[:-1])
    np.testing.assert_allclose(Xf[1:], moved, rtol=0, atol=1e-11)
    low, high = np.linalg.eigvalsh(EYE - RING)[[1, -1]]
    kind = {"tau": 0.4, "alpha": mu, "lr": LR, "rounds": ROUNDS}
    one = ref.opapc(RING, noisy, X0, theta=3.0, gossip_steps=1, **kind)[0]
    close(one, ref.apapc(RING, noisy, X0, theta=3.0 * 2 / (low + high), **kind)[0], 1e-11)
    apart(one, ref.opapc(RING, noisy, X0, theta=3.0, gossip_steps=2, **kind)[0])


def test_chebyshev_gossip_and_constants():
    values, vectors = np.linalg.eigh(EYE - RING)
    low, high = values[1], values[-1]
    edge = (high + low) / (high - low)
    mu, L = 0.5, 40.0
    slow, fast = ref.apapc_constants(RING, mu, L), ref.opapc_constants(RING, mu, L)
    for steps in range(1, 6):
        T = np.polynomial.chebyshev.Chebyshev.basis(steps)
        P = vectors @ np.diag(1 - T(edge * (1 - 2 * values / (high + low))) / T(edge)) @ vectors.T
        _, _, Z = ref.opapc(RING, lambda X, t, k: 0 * X, X0, 1.0, 1, 1.0, 1.0, 0.0, steps)
        np.testing.assert_allclose(Z[1], P @ X0, rtol=0, atol=1e-12)
    reach = 1 / np.cosh(fast["gossip_steps"] * np.arccosh(edge))
    for found, smallest, largest in ((slow, low, high), (fast, 1 - reach, 1 + reach)):
        tau = min(1, np.sqrt(largest / smallest * mu / L) / 2)
        assert tau < 1
        wanted = [tau, 1 / (4 * tau * L), 4 * tau * L / largest, mu]
        np.testing.assert_allclose([found[key] for key in ("tau", "lr", "theta", "alpha")], wanted, rtol=1e-12)
    assert fast["gossip_steps"] == int(np.sqrt(high / low)) == 2


def test_row_15_compression_by_nothing():
    close(ref.choco_sgd_iclr(RING, noisy, X0, LR, ROUNDS, 1.0, same, hat0=X0), dgd(RING, noisy, X0, LR, ROUNDS))
    apart(ref.choco_sgd_iclr(RING, noisy, X0, LR, ROUNDS, 1.0, same), dgd(RING, noisy, X0, LR, ROUNDS))
    close(ref.deepsqueeze(RING, noisy, X0, LR, ROUNDS, 1.0, same)[0], atc(RING, noisy, X0, LR, ROUNDS))
    close(ref.dcd(RING, noisy, X0, LR, ROUNDS, same), dgd(RING, noisy, X0, LR, ROUNDS))
    models, errors = ref.deepsqueeze(RING, noisy, X0, LR, ROUNDS, 0.3, top2)
    assert np.abs(errors[1:]).max(axis=(1, 2)).min() > 1e-3
    for t in range(ROUNDS):
        half = models[t] - LR * noisy(models[t], t)
        sent = top2(half + errors[t])
        np.testing.assert_allclose(errors[t + 1], half + errors[t] - sent, rtol=0, atol=1e-12)
        np.testing.assert_allclose(models[t + 1] - half, 0.3 * (RING - EYE) @ sent, rtol=0, atol=1e-12)
    mean = X0.mean(0)
    for models in (
        ref.choco_sgd_iclr(RING, lambda X, t, k: 0 * X, X0, LR, 3000, 0.2, top2),
        ref.choco_sgd_iclr(RING, lambda X, t, k: 0 * X, X0, LR, 3000, 0.2, top2, hat0=X0),
    ):
        np.testing.assert_allclose(models.mean(1), np.broadcast_to(mean, (3001, DIM)), rtol=0, atol=1e-11)
        np.testing.assert_allclose(models[-1], np.broadcast_to(mean, (N, DIM)), rtol=0, atol=1e-8)


def test_row_17_beer():
    wanted, _ = ref.diging(RING, noisy, X0, LR, ROUNDS)
    close(ref.beer(RING, noisy, X0, LR, ROUNDS, 1.0, same, matched=True)[0], wanted)
    apart(ref.beer(RING, noisy, X0, LR, ROUNDS, 1.0, same)[0], wanted, 1e-2)
    for matched in (False, True):
        at_optimum(ref.beer(RING, G, SAME, 0.02, 6000, 0.2, top2, matched)[0], 1e-8)


def edges():
    rng = np.random.default_rng(5)
    ends = [(i, j) for i in range(N) for j in range(i + 1, N) if RING[i, j]]
    return {edge: (rng.standard_normal(3), rng.standard_normal(2)) for edge in ends}


@pytest.mark.parametrize("overlap", [True, False])
def test_power_gossip(overlap):
    rng, shape = np.random.default_rng(11), (3, 2)
    X = rng.standard_normal((N, 6))
    rows, targets = np.kron(A[:, :3, :3], np.eye(2)), rng.standard_normal((N, 6))

    def pull(X, t=0, k=0):
        return np.einsum("nij,nj->ni", rows, X) - targets

    def still(X, t=0, k=0):
        return 0 * X

    quiet = ref.power_gossip(RING, still, X, LR, 300, shape, edges(), overlap=overlap)
    np.testing.assert_allclose(quiet.mean(1), np.broadcast_to(X.mean(0), (301, 6)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(quiet[-1], np.broadcast_to(X.mean(0), (N, 6)), rtol=0, atol=1e-7)
    np.testing.assert_array_equal(quiet[1], X)
    models = ref.power_gossip(RING, pull, X, LR, ROUNDS, shape, edges(), overlap=overlap)
    moved = np.stack([models[t].mean(0) - LR * pull(models[t]).mean(0) for t in range(ROUNDS)])
    np.testing.assert_allclose(models[1:].mean(1), moved, rtol=0, atol=1e-12)
    flipped = {edge: (-p, -q) for edge, (p, q) in edges().items()}
    close(models, ref.power_gossip(RING, pull, X, LR, ROUNDS, shape, flipped, overlap=overlap))
    vector = {edge: (p, q[:1]) for edge, (p, q) in edges().items()}
    column = ref.power_gossip(RING, noisy3, X0[:, :3], LR, ROUNDS, (3, 1), vector, overlap=overlap, eps=0.0)
    plain = (dgd if overlap else atc)(RING, noisy3, X0[:, :3], LR, ROUNDS)
    first = X0[:, :3] - LR * noisy3(X0[:, :3], 0)
    np.testing.assert_allclose(column[1], first, rtol=0, atol=1e-12)
    g = LR * noisy3(first, 1)
    np.testing.assert_allclose(column[2], RING @ first - g if overlap else RING @ (first - g), rtol=0, atol=1e-12)
    apart(column, plain)


def noisy3(X, t=0, k=0):
    return X + np.random.default_rng([t, k]).standard_normal(X.shape)


def test_power_gossip_of_two_nodes_with_a_difference_of_rank_one():
    rng = np.random.default_rng(2)
    one = rng.standard_normal((3, 4))
    pair = np.stack([one, one + np.outer(rng.standard_normal(3), rng.standard_normal(4))]).reshape(2, 12)
    start = {(0, 1): (rng.standard_normal(3), rng.standard_normal(4))}

    def still(X, t=0, k=0):
        return 0 * X

    half = np.full((2, 2), 0.5)
    kind = {"skip_first": False, "eps": 0.0}
    models = ref.power_gossip(half, still, pair, LR, 2, (3, 4), start, **kind)
    apart(models[1], np.broadcast_to(pair.mean(0), (2, 12)), 1e-2)
    np.testing.assert_allclose(models[2], np.broadcast_to(pair.mean(0), (2, 12)), rtol=0, atol=1e-12)
    once = ref.power_gossip(half, still, pair, LR, 1, (3, 4), start, iterations=2, **kind)
    np.testing.assert_allclose(once[1], models[2], rtol=0, atol=1e-12)
