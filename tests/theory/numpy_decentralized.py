"""Decentralized methods again, in NumPy float64, from their papers; nothing here imports the library.

`W[i, j]`: weight receiver i gives to sender j. `G(X, t, k)`: rows of gradients at the rows of X on minibatch k of
round t. Every function returns the models of rounds 0 to T, `[T + 1, n, d]`, or a tuple that starts with them; further
arrays of a tuple are those of rounds 0 to T, too. What a docstring calls checked was read in the code it names; what
it says from memory was not. Numbers of algorithms are from memory throughout.
"""

from __future__ import annotations

import numpy as np


def _stack(rounds):
    return tuple(np.stack(part) for part in zip(*rounds, strict=True))


# ---- without bias correction -------------------------------------------------------------------------------------


def atc(W, G, X, lr, rounds, local_steps=1, momentum=0.0, share=False):
    """Adapt then combine, D-PSGD, Lian et al. 2017; row O1. The local heavy ball goes on from round to round.

    share: the momentum is averaged with the model, Yu, Jin & Yang 2019.
    """
    m, out = np.zeros_like(X), [X]
    for t in range(rounds):
        for k in range(local_steps):
            m = momentum * m + G(X, t, k)
            X = X - lr * m
        X = W @ X
        m = W @ m if share else m
        out.append(X)
    return np.stack(out)


def dgd(W, G, X, lr, rounds):
    """Distributed gradient descent, Nedic & Ozdaglar 2009; row O2. The gradient is the one at the unmixed point."""
    out = [X]
    for t in range(rounds):
        X = W @ X - lr * G(X, t)
        out.append(X)
    return np.stack(out)


def push_sum(P, G, X, lr, rounds):
    """Subgradient-push, row O8, whose P has columns that sum to one. The de-biased models, numerators and weights."""
    w, out = np.ones(len(P)), [(X, X, np.ones(len(P)))]
    for t in range(rounds):
        Z = X / w[:, None]
        X, w = P @ (X - lr * G(Z, t)), P @ w
        out.append((X / w[:, None], X, w))
    return _stack(out)


def overlap_sgp(P, G, X, lr, rounds, local_steps=1):
    """Overlap SGP, Assran et al. 2019, algorithm 2 (memory): what others sent arrives a round late."""
    own, w = np.diag(np.diag(P)), np.ones(len(P))
    off = P - own
    sent_before, weight_before, Z, out = 0 * X, 0 * w, X, [X]
    for t in range(rounds):
        moved = Z
        for k in range(local_steps):
            moved = moved - lr * G(moved, t, k)
        half = X + moved - Z
        X, w, sent_before, weight_before = own @ half + off @ sent_before, own @ w + off @ weight_before, half, w
        Z = X / w[:, None]
        out.append(Z)
    return np.stack(out)


def cta(W, G, X, lr, rounds, local_steps=1):
    """Combine then adapt, Cattivelli & Sayed 2010; row O3. The gradient is the one at the mixed point."""
    out = [X]
    for t in range(rounds):
        X = W @ X
        for k in range(local_steps):
            X = X - lr * G(X, t, k)
        out.append(X)
    return np.stack(out)


def dsgdm(W, G, X, lr, rounds, momentum, nesterov=False):
    """DSGDm(-N), the baseline of Lin et al. 2021, algorithm 1 without its correction; row O4. Heavy ball, undamped."""
    m, out = np.zeros_like(X), [X]
    for t in range(rounds):
        g = G(X, t, 0)
        m = momentum * m + g
        X = W @ (X - lr * (g + momentum * m if nesterov else m))
        out.append(X)
    return np.stack(out)


def dmsgd(W, G, X, lr, rounds, momentum, old=False):
    """DmSGD; row O5. Momentum is mixed, too.

    Yu, Jin & Yang 2019, algorithm 1, step with the new m' before its mixing; `old`: with the m before this round's
    gradient (Ying et al. 2021, algorithm 1, so that the first round only mixes). Both from memory.
    """
    m, out = np.zeros_like(X), [X]
    for t in range(rounds):
        fresh = momentum * m + G(X, t, 0)
        X = W @ (X - lr * (m if old else fresh))
        m = W @ fresh
        out.append(X)
    return np.stack(out)


def decentlam(W, G, X, lr, rounds, momentum):
    """DecentLaM, Yuan et al. 2021, algorithm 2; row O6. Checked in yukiTakezawa/MomentumTracking."""
    m, out = np.zeros_like(X), [X]
    for t in range(rounds):
        tilde = (X - W @ (X - lr * G(X, t, 0))) / lr
        m = momentum * m + tilde
        X = X - lr * m
        out.append(X)
    return np.stack(out)


def qg_dsgdm(W, G, X, lr, rounds, momentum, mu, nesterov=False):
    """QG-DSGDm(-N), Lin et al. 2021, algorithm 1; row O7. Checked in epfml/quasi-global-momentum, where 1 - mu = .1."""
    hat, out = np.zeros_like(X), [X]
    for t in range(rounds):
        g = G(X, t, 0)
        m = momentum * hat + g
        new = W @ (X - lr * (g + momentum * m if nesterov else m))
        hat = mu * hat + (1 - mu) * (X - new) / lr
        X = new
        out.append(X)
    return np.stack(out)


def qg_adam(W, G, X, lr, rounds, b1, b2, eps, first="quasi", gain=None, bias_correction=True, norm_eps=1e-8):
    """QG-DAdam, Lin et al. 2021, appendix; no row. Checked in epfml/quasi-global-momentum, which has three versions.

    All: second moment b2 v + (1 - b2) g^2 from the quasi-global v, step of Adam, gossip (adapt then combine), then
    v <- b2 v + (1 - b2) e^2 with e = d / (|d| + norm_eps), d = X - X+, one norm for the whole model of a node.
    first="quasi": the first moment likewise (its first and `_v1` file, and, from memory, the paper).
    first="local": the first moment is plain Adam's (`_v2`, the one that its `define_optimizer` builds).
    gain: factor of g in the first moment, None for 1 - b1; its first file has 1. Its `_v1` normalises g, too: not here.
    bias_correction: all its files have it, with b^(t + 1); whether the paper's listing has it is not known here.
    """
    m_hat, v_hat, out = np.zeros_like(X), np.zeros_like(X), [X]
    gain = 1 - b1 if gain is None else gain
    for t in range(rounds):
        g = G(X, t, 0)
        m, v = b1 * m_hat + gain * g, b2 * v_hat + (1 - b2) * g**2
        c1, c2 = (1 - b1 ** (t + 1), 1 - b2 ** (t + 1)) if bias_correction else (1.0, 1.0)
        new = W @ (X - lr * (m / c1) / (np.sqrt(v / c2) + eps))
        d = X - new
        e = d / (np.linalg.norm(d, axis=1, keepdims=True) + norm_eps)
        m_hat = b1 * m_hat + (1 - b1) * e if first == "quasi" else m
        v_hat = b2 * v_hat + (1 - b2) * e**2
        X = new
        out.append(X)
    return np.stack(out)


def dadam(W, G, X, lr, rounds, b1, b2, eps, atc=False):
    """Local Adam with bias correction, models gossiped and moments kept; row O12.

    X+ = W X - lr mhat / (sqrt(vhat) + eps), the order of DADAM (Nazari et al. 2019), whose AMSGrad maximum and own v
    are left out, and of Chen et al. 2021 without its gossip of v. `atc`: W is applied to the whole step, as checked in
    `decentralized_adam` of epfml/quasi-global-momentum.
    """
    m, v, out = np.zeros_like(X), np.zeros_like(X), [X]
    for t in range(rounds):
        g = G(X, t, 0)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        step = lr * (m / (1 - b1 ** (t + 1))) / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        X = W @ (X - step) if atc else W @ X - step
        out.append(X)
    return np.stack(out)


def amsgrad(W, G, X, lr, rounds, b1, b2, eps):
    """Decentralized AMSGrad, Chen et al. 2021 (memory): second moments are tracked by gossip, without correction."""
    m, v, peak, u, out = 0 * X, eps + 0 * X, eps + 0 * X, eps + 0 * X, [X]
    for t in range(rounds):
        g = G(X, t)
        m, v, before = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2, peak
        peak, mixed = np.maximum(peak, v), W @ u
        X = W @ X - lr * m / np.sqrt(np.maximum(mixed, eps))
        u = mixed - before + peak
        out.append(X)
    return np.stack(out)


def scaled_local_sgd(W, G, X, lr, rounds, local_steps, beta, floor):
    """Local SGD with scaling, Chezhegov et al. 2024 (memory), over gossip. Also the gossiped mean squares v."""
    v, D, out = 0 * X, 1 + 0 * X, [(X, 0 * X)]
    for t in range(rounds):
        v = W @ (beta * v + (1 - beta) * G(X, t, 0) ** 2)
        for k in range(local_steps):
            X = X - lr * G(X, t, k) / D
        X = W @ X
        D = np.maximum(np.sqrt(v / (1 - beta ** (t + 1))), floor)
        out.append((X, v))
    return _stack(out)


def dfedavgm(W, G, X, lr, rounds, local_steps, momentum):
    """DFedAvgM, Sun, Li & Wang 2021, algorithm 1; row O9. Local heavy ball in two points, forgotten every round."""
    out = [X]
    for t in range(rounds):
        Y = last = X
        for k in range(local_steps):
            Y, last = Y - lr * G(Y, t, k) + momentum * (Y - last), Y
        X = W @ Y
        out.append(X)
    return np.stack(out)


def dfedsam(W, G, X, lr, rounds, local_steps, rho, gossip_steps=1, eps=0.0):
    """DFedSAM, with gossip_steps > 1 DFedSAM-MGS, Shi et al. 2023, algorithm 1 (memory); row 3.060.

    One norm for the whole gradient of a node, to which `eps` is added; the second gradient is on the same minibatch.
    """
    out = [X]
    for t in range(rounds):
        for k in range(local_steps):
            g = G(X, t, k)
            norm = np.linalg.norm(g, axis=1, keepdims=True) + eps
            X = X - lr * G(X + rho * g / norm, t, k)
        for _ in range(gossip_steps):
            X = W @ X
        out.append(X)
    return np.stack(out)


def delta_sgd(W, G, X, lr, rounds, local_steps, gamma=2.0, delta=0.1, eta0=None, theta0=1.0, eps=0.0, grow_first=False):
    """Delta-SGD, Kim et al. 2024, algorithm 1, then X <- W X; row 3.111. Also the rates of every round's last step.

    Step 0 uses eta0 (None: `lr`, otherwise unused), later ones both gradients on the new minibatch; all is reset every
    round. Checked in jlylekim/auto-tuned-FL, whose step 0 is already longer by sqrt(1 + delta theta0) (`grow_first`),
    which adds `eps` to the minimum (not where one of the two distances is zero) and has delta .02.
    """
    eta0 = lr if eta0 is None else eta0
    out = [(X, np.full(len(X), np.nan))]
    for t in range(rounds):
        Y, last = X, X
        eta, theta = np.full(len(X), eta0), np.full(len(X), theta0)
        for k in range(local_steps):
            g = G(Y, t, k)
            if k > 0 or grow_first:
                dx, dg = np.linalg.norm(Y - last, axis=1), np.linalg.norm(g - G(last, t, k), axis=1)
                new = np.sqrt(1 + delta * theta) * eta
                for i in range(len(X)):
                    if dx[i] > 0 and dg[i] > 0:
                        new[i] = min(new[i], gamma * dx[i] / (2 * dg[i])) + eps
                eta, theta = new, new / eta
            Y, last = Y - eta[:, None] * g, Y
        X = W @ Y
        out.append((X, eta))
    return _stack(out)


def easgd(G, X, lr, rounds, alpha, centre=None):
    """Synchronous EASGD, Zhang, Choromanska & LeCun 2015; row O10. Also the centre, `[T + 1, d]`.

    centre: where it starts, None for the mean of X. Workers pull on its old value.
    """
    z = X.mean(0) if centre is None else centre
    out = [(X, z)]
    for t in range(rounds):
        gap = X - z
        X, z = X - lr * G(X, t, 0) - alpha * gap, z + alpha * gap.sum(0)
        out.append((X, z))
    return _stack(out)


def sampled_easgd(samples, G, x, lr, rounds, local_steps, n, alpha, beta):
    """EASGD as above, of which samples[t] take part, after local steps. The centre, and the clients' models."""
    X, z, out = np.tile(x, (n, 1)), x, [(x, np.tile(x, (n, 1)))]
    for t in range(rounds):
        ids, Y = samples[t], X
        for k in range(local_steps):
            Y = Y - lr * G(Y, t, k)
        Y = Y - alpha * (X - z)
        z = z + beta / n * (X[ids] - z).sum(0)
        X = X.copy()
        X[ids] = Y[ids]
        out.append((z, X))
    return _stack(out)


def slowmo_in_cycles(Ws, G, X, lr, rounds, local_steps, slow_lr, slow_momentum, momentum=0.0):
    """SlowMo around the heavy ball over the cycle of Ws: a slow step after the last, where local momentum is reset."""
    slow, u, m, out = X, 0 * X, 0 * X, [X]
    for t in range(rounds):
        for k in range(local_steps):
            m = momentum * m + G(X, t, k)
            X = X - lr * m
        X = Ws[t % len(Ws)] @ X
        if t % len(Ws) == len(Ws) - 1:
            u = slow_momentum * u + (slow - X) / lr
            slow = slow - slow_lr * lr * u
            X, m = slow, 0 * m
        out.append(X)
    return np.stack(out)


def slowmo(W, G, X, lr, rounds, local_steps, slow_lr=1.0, slow_momentum=0.0):
    """SlowMo, Wang et al. 2020, algorithm 1; row S7. W None: the base is local SGD, else ATC with W at every step.

    Exact average, slow momentum of (x - average) / lr, undamped; base without momentum. X: equal rows in the paper.
    """
    u, out = np.zeros_like(X), [X]
    for t in range(rounds):
        Y = X
        for k in range(local_steps):
            Y = Y - lr * G(Y, t, k)
            Y = Y if W is None else W @ Y
        u = slow_momentum * u + (X - Y.mean(0)) / lr
        X = X - slow_lr * lr * u
        out.append(X)
    return np.stack(out)


# ---- bias-corrected ----------------------------------------------------------------------------------------------


def d2(W, G, X, lr, rounds):
    """D2, Tang et al. 2018; row B1, the two-term form, with the gradients of two rounds."""
    old, g_old = X, G(X, 0)
    X = W @ (X - lr * g_old)
    out = [old, X]
    for t in range(1, rounds):
        g = G(X, t)
        X, old, g_old = W @ (2 * X - old - lr * (g - g_old)), X, g
        out.append(X)
    return np.stack(out)


def exact_diffusion(W, G, X, lr, rounds):
    """Exact diffusion, Yuan et al. 2019; row B2: adapt, correct, combine, with (I + W) / 2."""
    half, psi, out = (np.eye(len(W)) + W) / 2, X, [X]
    for t in range(rounds):
        psi_new = X - lr * G(X, t)
        X, psi = half @ (psi_new + X - psi), psi_new
        out.append(X)
    return np.stack(out)


def gradient_tracking(W, G, X, lr, rounds, mix_difference=False):
    """Row B6; with `mix_difference` row B7, Aug-DGM. Also the trackers, those of round t made with its gradients."""
    g = G(X, 0)
    Y, out = g, [(X, g)]
    for t in range(rounds):
        X = W @ (X - lr * Y)
        g_new = G(X, t + 1)
        Y = W @ (Y + g_new - g) if mix_difference else W @ Y + g_new - g
        g = g_new
        out.append((X, Y))
    return _stack(out)


def extra(W, G, X, lr, rounds):
    """EXTRA, Shi et al. 2015, algorithm 1 with W~ = (I + W) / 2; row B4, two-term form."""
    old, g_old = X, G(X, 0, 0)
    X = W @ X - lr * g_old
    out = [old, X]
    for t in range(1, rounds):
        g = G(X, t, 0)
        X, old, g_old = X + W @ X - (old + W @ old) / 2 - lr * (g - g_old), X, g
        out.append(X)
    return np.stack(out)


def nids(W, G, X, lr, rounds, mixing=0.5):
    """NIDS, Li, Shi & Yan 2019, algorithm 1 without prox, `mixing` = lr c; row B3. The first step does not mix."""
    eye = np.eye(len(W), dtype=W.dtype)
    half = eye - W.dtype.type(mixing) * (eye - W)
    old, g_old = X, G(X, 0, 0)
    X = X - lr * g_old
    out = [old, X]
    for t in range(1, rounds):
        g = G(X, t, 0)
        X, old, g_old = half @ (2 * X - old - lr * (g - g_old)), X, g
        out.append(X)
    return np.stack(out)


def diging(W, G, X, lr, rounds):
    """DIGing, Nedic, Olshevsky & Shi 2017, algorithm 1; row B5. Also the trackers."""
    g = G(X, 0, 0)
    Y, out = g, [(X, g)]
    for t in range(rounds):
        X = W @ X - lr * Y
        g_new = G(X, t + 1, 0)
        Y, g = W @ Y + g_new - g, g_new
        out.append((X, Y))
    return _stack(out)


def kgt(W, G, X, lr, rounds, local_steps, server_lr=1.0, start="zero"):
    """K-GT, Liu, Lin, Koloskova & Stich 2023, algorithm 1; row B8. Also the corrections c.

    start="zero": c = 0, as in the one public optimiser found (third-party `K_GT`, built on epfml's code; checked);
    "mean": c = mean_j g_j - g_i at the first point, on the first minibatch, as the paper's analysis has it (memory).
    """
    c = np.zeros_like(X)
    if start == "mean":
        g = G(X, 0, 0)
        c = g.mean(0) - g
    out = [(X, c)]
    for t in range(rounds):
        Y = X
        for k in range(local_steps):
            Y = Y - lr * (G(Y, t, k) + c)
        Z = (X - Y) / (local_steps * lr)
        c = c - Z + W @ Z
        X = W @ (X - local_steps * lr * server_lr * Z)
        out.append((X, c))
    return _stack(out)


def momentum_tracking(W, G, X, lr, rounds, momentum, start="zero"):
    """Momentum Tracking, Takezawa et al. 2023, algorithm 1; no row. Also the directions u - c of the rounds' ends.

    u <- beta u + g; X <- W X - lr (u - c); c <- W (c - u) + u: DIGing whose gradients are the local momenta. Checked in
    yukiTakezawa/MomentumTracking, which starts with start="mean": u = c = (g_i - mean_j g_j) / (1 - beta) on the first
    minibatch, as the paper's theorem; "zero": both 0. Order of mixing: the models are mixed, then stepped.
    """
    u = c = np.zeros_like(X)
    if start == "mean":
        g = G(X, 0, 0)
        u = c = (g - g.mean(0)) / (1 - momentum)
    out = [(X, u - c)]
    for t in range(rounds):
        u = momentum * u + G(X, t, 0)
        X = W @ X - lr * (u - c)
        c = W @ (c - u) + u
        out.append((X, u - c))
    return _stack(out)


def gt_sarah(W, G, X, lr, rounds, F, q, atc=False):
    """GT-SARAH, Xin, Khan & Kar 2022, algorithm 1; no row. Also the trackers. F(X): full gradients.

    Rounds 0, q, 2q, ... take v = F(X) (the paper's inner loop thus has q - 1 steps), others v + g(X) - g(X-), both on
    the round's minibatch. y starts at 0 before v = 0: y <- W y + v - v-; X <- W X - lr y, in that order, checked in two
    third-party codes (decent-bench; liboyue/Network-Distributed-Algorithm, whose inner gradients cancel by a slip).
    `atc`: y <- W (y + v - v-); X <- W (X - lr y), a choice beside the paper.
    """
    v, Y, last, out = np.zeros_like(X), np.zeros_like(X), X, [(X, np.zeros_like(X))]
    for t in range(rounds):
        v_new = F(X) if t % q == 0 else v + G(X, t, 0) - G(last, t, 0)
        Y = W @ (Y + v_new - v) if atc else W @ Y + v_new - v
        X, last = W @ (X - lr * Y) if atc else W @ X - lr * Y, X
        v = v_new
        out.append((X, Y))
    return _stack(out)


def gt_saga(W, G, X, lr, rounds, parts, draws):
    """GT-SAGA, Xin, Khan & Kar 2020, adapt then combine, on data whose parts are all alike: what differs from part to
    part is when it was drawn last. draws[t, i]: the part that node i draws in round t.
    """
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


def admm(W, A, b, X, rounds, rho):
    """Decentralized ADMM, Shi et al. 2014, on f_i = x'A_i x / 2 - b_i'x; row B9 with penalties rho W_ij. Also alpha.

    x_i+ minimises f_i + alpha_i'x + sum_{j != i} rho W_ij |x - (x_i + x_j) / 2|^2; alpha+ = alpha + rho (X+ - W X+).
    """
    alpha, out = np.zeros_like(X), [(X, np.zeros_like(X))]
    for _ in range(rounds):
        new = np.empty_like(X)
        for i in range(len(X)):
            others = [j for j in range(len(X)) if j != i]
            weight = sum(rho * W[i, j] for j in others)
            pull = sum(rho * W[i, j] * (X[i] + X[j]) for j in others)
            new[i] = np.linalg.solve(A[i] + 2 * weight * np.eye(len(b[i])), b[i] - alpha[i] + pull)
        X = new
        alpha = alpha + rho * (X - W @ X)
        out.append((X, alpha))
    return _stack(out)


def admm_by_steps(W, G, X, lr, rounds, rho, local_steps):
    """ADMM as above whose subproblem is approached by gradient steps from the last point, on minibatches."""
    off = W - np.diag(np.diag(W))
    degree, alpha, out = off.sum(1)[:, None], np.zeros_like(X), [X]
    for t in range(rounds):
        Y, centre = X, (degree * X + off @ X) / 2
        for k in range(local_steps):
            Y = Y - lr * (G(Y, t, k) + alpha + 2 * rho * (degree * Y - centre))
        X = Y
        alpha = alpha + rho * (degree * X - off @ X)
        out.append(X)
    return np.stack(out)


def dlm(W, G, X, lr, rounds, rho, c=None):
    """DLM, linearised ADMM, Ling, Shi, Wu & Ribeiro 2015, algorithm 1; penalties rho W_ij; no row. Also alpha.

    f_i is replaced by its linear model at x_i plus c / 2 |x - x_i|^2 (the paper's own names: c for our rho, rho for our
    c); c None: 1 / lr. The recursion with unit weights was checked in decent-bench, which gives one step for
    1 / (2 rho sum_j W_ij + c).
    """
    c = 1 / lr if c is None else c
    alpha, out = np.zeros_like(X), [(X, np.zeros_like(X))]
    for t in range(rounds):
        g, new = G(X, t, 0), np.empty_like(X)
        for i in range(len(X)):
            others = [j for j in range(len(X)) if j != i]
            weight = sum(rho * W[i, j] for j in others)
            pull = sum(rho * W[i, j] * (X[i] - X[j]) for j in others)
            new[i] = X[i] - (g[i] + alpha[i] + pull) / (2 * weight + c)
        X = new
        alpha = alpha + rho * (X - W @ X)
        out.append((X, alpha))
    return _stack(out)


def proxskip(W, G, X, lr, rounds, p, s, coins):
    """Decentralized Scaffnew, Mishchenko et al. 2022, algorithm 5 (memory); row B10. Also the control variates h.

    coins[t]: whether round t communicates. s is lr tau / p of the paper; h starts at 0.
    """
    h, out = np.zeros_like(X), [(X, np.zeros_like(X))]
    for t in range(rounds):
        hat = X - lr * (G(X, t, 0) - h)
        X = (1 - s) * hat + s * (W @ hat) if coins[t] else hat
        h = h + (p / lr) * (X - hat)
        out.append((X, h))
    return _stack(out)


def led(W, G, X, lr, rounds, local_steps, beta=None, start="zero"):
    """LED, Local Exact Diffusion, Alghunaim 2024, algorithm 1; no row. Also the duals y.

    phi <- phi - lr g(phi) - beta y, tau times from X; X+ = W phi; y <- y + phi - X+. Checked in two third-party codes:
    decent-bench, whose y starts at 0 and which calls that simplified, and a `LED` on epfml's code, with y = 0 and
    beta = 1 / tau, our default. start="difference": y = X - W X (memory). tau = 1: Exact Diffusion, W for (I + W) / 2.
    """
    beta = 1 / local_steps if beta is None else beta
    Y = X - W @ X if start == "difference" else np.zeros_like(X)
    out = [(X, Y)]
    for t in range(rounds):
        phi = X
        for k in range(local_steps):
            phi = phi - lr * G(phi, t, k) - beta * Y
        X = W @ phi
        Y = Y + phi - X
        out.append((X, Y))
    return _stack(out)


def dproxsgt(W, G, X, lr, rounds, prox=None, mixed=True):
    """DProxSGT, Yan et al. 2023, algorithm 1; row 3.030. prox(Z, lr), None for the identity.

    mixed: the step uses the mixed tracker, as the paper. Checked in RPI-OPT/DProxSGT: its code steps with the tracker
    before its mixing (`mixed=False`), which without prox is row B6.
    """
    Y, g, out = np.zeros_like(X), np.zeros_like(X), [X]
    for t in range(rounds):
        g_new = G(X, t, 0)
        half = Y + g_new - g
        Y, g = W @ half, g_new
        Z = X - lr * (Y if mixed else half)
        X = W @ (Z if prox is None else prox(Z, lr))
        out.append(X)
    return np.stack(out)


def relaysgd(W, G, X, lr, rounds, local_steps=1):
    """RelaySGD, Vogels et al. 2021, algorithms 1 and 2; row T25. The links of W must be a tree; its values are unused.

    Checked in epfml/relaysgd: what has not arrived yet is replaced by the node's own x0.
    """
    n, x0, out = len(X), X, [X]
    near = [[j for j in range(n) if j != i and W[i, j] != 0] for i in range(n)]
    m = {(i, j): np.zeros_like(X[0]) for i in range(n) for j in near[i]}
    c = {link: 0 for link in m}
    for t in range(rounds):
        half = X
        for k in range(local_steps):
            half = half - lr * G(half, t, k)
        m_new = {(i, j): half[i] + sum(m[k, i] for k in near[i] if k != j) for i, j in m}
        c_new = {(i, j): 1 + sum(c[k, i] for k in near[i] if k != j) for i, j in c}
        m, c, X = m_new, c_new, np.empty_like(X)
        for i in range(n):
            missing = n - 1 - sum(c[j, i] for j in near[i])
            X[i] = (half[i] + sum(m[j, i] for j in near[i]) + missing * x0[i]) / n
        out.append(X)
    return np.stack(out)


def nesterov_gradient_tracking(W, G, X, lr, rounds, mu, atc=False):
    """Acc-DNGD-SC, Qu & Li 2020; no row. Also the points y, where gradients are taken, and trackers s.

    alpha = sqrt(mu lr); v = y = x, s = g(y) at the start. Checked in the worst-case code of Colla & Hendrickx, whose
    adapt-then-combine order is `atc`.
    """
    alpha = np.sqrt(mu * lr)
    V = Y = X
    g = G(Y, 0, 0)
    S, out = g, [(X, Y, g)]
    for t in range(rounds):
        if atc:
            X = W @ (Y - lr * S)
            V = W @ ((1 - alpha) * V + alpha * Y - (lr / alpha) * S)
        else:
            X = W @ Y - lr * S
            V = (1 - alpha) * (W @ V) + alpha * (W @ Y) - (lr / alpha) * S
        Y = (X + alpha * V) / (1 + alpha)
        g_new = G(Y, t + 1, 0)
        S = W @ (S + g_new - g) if atc else W @ S + g_new - g
        g = g_new
        out.append((X, Y, S))
    return _stack(out)


def apapc(W, G, X, lr, rounds, tau, theta, alpha, gossip=None):
    """APAPC, Kovalev, Salim & Richtarik 2020, algorithm 2, gossip matrix I - W; no row. Also x_f and z.

    lr is its eta, alpha its mu; x_f = x and z = 0 at the start; gradients at x_g. gossip: what multiplies by the gossip
    matrix, for OPAPC. Constants of its theorem: `apapc_constants`.
    """
    gossip = gossip or (lambda V: V - W @ V)
    Xf, Z, out = X, np.zeros_like(X), [(X, X, np.zeros_like(X))]
    for t in range(rounds):
        Xg = tau * X + (1 - tau) * Xf
        g = G(Xg, t, 0)
        half = (X - lr * (g - alpha * Xg + Z)) / (1 + lr * alpha)
        Z = Z + theta * gossip(half)
        new = (X - lr * (g - alpha * Xg + Z)) / (1 + lr * alpha)
        Xf = Xg + (2 * tau / (2 - tau)) * (new - X)
        X = new
        out.append((X, Xf, Z))
    return _stack(out)


def opapc(W, G, X, lr, rounds, tau, theta, alpha, gossip_steps):
    """OPAPC, Kovalev, Salim & Richtarik 2020, algorithms 3 and 4: APAPC with a Chebyshev polynomial of I - W; no row.

    Returns what `apapc` does. Checked in ctycty361/Acceleration-in-Distributed-Optimization-Under-Similarity.
    """
    low, high = _spectrum(W)
    chi = high / low
    c2, c3 = (chi + 1) / (chi - 1), 2 * chi / ((1 + chi) * high)

    def gossip(V):
        a_old, a, U_old, U = 1.0, c2, V, c2 * (V - c3 * (V - W @ V))
        for _ in range(gossip_steps - 1):
            a_old, a = a, 2 * c2 * a - a_old
            U_old, U = U, 2 * c2 * (U - c3 * (U - W @ U)) - U_old
        return V - U / a

    return apapc(W, G, X, lr, rounds, tau, theta, alpha, gossip)


def _spectrum(W):
    values = np.linalg.eigvalsh(np.eye(len(W)) - W)
    return values[1], values[-1]


def apapc_constants(W, mu, L):
    """lr, tau, theta, alpha of APAPC's theorem (memory; the limit of `opapc_constants`, which was checked)."""
    low, high = _spectrum(W)
    tau = min(1.0, np.sqrt(high / low / (L / mu)) / 2)
    lr = 1 / (4 * tau * L)
    return {"lr": lr, "tau": tau, "theta": 1 / (lr * high), "alpha": mu}


def opapc_constants(W, mu, L):
    """lr, tau, theta, alpha and gossip_steps of OPAPC's theorem; checked with its code."""
    low, high = _spectrum(W)
    root = np.sqrt(high / low)
    steps, c1 = int(np.floor(root)), (root - 1) / (root + 1)
    tau = min(1.0, (1 + c1**steps) / (2 * np.sqrt(L / mu) * (1 - c1**steps)))
    lr = 1 / (4 * tau * L)
    theta = (1 + c1 ** (2 * steps)) / (lr * (1 + c1**steps) ** 2)
    return {"lr": lr, "tau": tau, "theta": theta, "alpha": mu, "gossip_steps": steps}


# ---- compressed --------------------------------------------------------------------------------------------------


def top(X, k=2):
    """The k largest magnitudes of every row."""
    out = np.zeros_like(X)
    for i, row in enumerate(X):
        keep = np.argsort(-np.abs(row), kind="stable")[:k]
        out[i, keep] = row[keep]
    return out


def nearest(X, levels=127):
    """Each row on the nearest of 255 levels."""
    scale = np.abs(X).max(1, keepdims=True) / levels
    return np.round(X / np.where(scale == 0, 1, scale)) * scale


def choco_sgd(W, G, X, lr, rounds, gamma, C):
    """CHOCO-SGD, Koloskova et al. 2019 (ICML), algorithm 2; row C2a. Copies start at 0."""
    hat, out = np.zeros_like(X), [X]
    for t in range(rounds):
        half = X - lr * G(X, t)
        hat = hat + C(half - hat)
        X = half + gamma * (W @ hat - hat)
        out.append(X)
    return np.stack(out)


def choco_sgd_iclr(W, G, X, lr, rounds, gamma, C, hat0=None):
    """CHOCO-SGD in the order of Koloskova et al. 2020 (ICLR), algorithm 2; row C2b. hat0: None for 0."""
    hat, out = np.zeros_like(X) if hat0 is None else hat0, [X]
    for t in range(rounds):
        X = X - lr * G(X, t, 0) + gamma * (W @ hat - hat)
        hat = hat + C(X - hat)
        out.append(X)
    return np.stack(out)


def beer(W, G, X, lr, rounds, gamma, C, matched=False):
    """BEER, Zhao et al. 2022, algorithm 1; row C4. Also V. matched: H = X and Gh = V at the start, else both 0."""
    g = G(X, 0, 0)
    V = g
    H, Gh = (X, V) if matched else (np.zeros_like(X), np.zeros_like(X))
    out = [(X, V)]
    for t in range(rounds):
        X = X + gamma * (W @ H - H) - lr * V
        H = H + C(X - H)
        g_new = G(X, t + 1, 0)
        V, g = V + gamma * (W @ Gh - Gh) + g_new - g, g_new
        Gh = Gh + C(V - Gh)
        out.append((X, V))
    return _stack(out)


def lead(W, G, X, lr, rounds, gamma, alpha, C, hat0=None):
    """LEAD, Liu et al. 2021, algorithm 1; row C5. Also D. Round 0 is its X1 = X0 - lr G(X0), which sends nothing.

    hat0: the H with which the first message is compared, arbitrary in the paper; None for 0. D starts at 0.
    """
    H, D = np.zeros_like(X) if hat0 is None else hat0, np.zeros_like(X)
    out = [(X, D)]
    for t in range(rounds):
        g = G(X, t, 0)
        if t == 0:
            X = X - lr * g
        else:
            Y = X - lr * g - lr * D
            hat = H + C(Y - H)
            H = (1 - alpha) * H + alpha * hat
            D = D + gamma / (2 * lr) * (hat - W @ hat)
            X = X - lr * g - lr * D
        out.append((X, D))
    return _stack(out)


def cdproxsgt(W, G, X, lr, rounds, gamma_x, gamma_y, C, prox=None):
    """CDProxSGT, Yan et al. 2023, algorithm 2; row 3.030. Checked in RPI-OPT/DProxSGT: all copies start at 0."""
    Y, g, Xh, Yh, out = np.zeros_like(X), np.zeros_like(X), np.zeros_like(X), np.zeros_like(X), [X]
    for t in range(rounds):
        g_new = G(X, t, 0)
        Y, g = Y + g_new - g, g_new
        Yh = Yh + C(Y - Yh)
        Y = Y + gamma_y * (W @ Yh - Yh)
        Z = X - lr * Y
        Z = Z if prox is None else prox(Z, lr)
        Xh = Xh + C(Z - Xh)
        X = Z + gamma_x * (W @ Xh - Xh)
        out.append(X)
    return np.stack(out)


def deepsqueeze(W, G, X, lr, rounds, gamma, C):
    """DeepSqueeze, Tang et al. 2019, algorithm 1; row C3. Checked in epfml/powergossip. Also the errors delta."""
    delta, out = np.zeros_like(X), [(X, np.zeros_like(X))]
    for t in range(rounds):
        half = X - lr * G(X, t, 0)
        V = half + delta
        sent = C(V)
        delta = V - sent
        X = half + gamma * (W @ sent - sent)
        out.append((X, delta))
    return _stack(out)


def dcd(W, G, X, lr, rounds, C):
    """DCD-PSGD, Tang et al. 2018, algorithm 1 (memory); row C7. Neighbours hold exact copies of each other's models."""
    out = [X]
    for t in range(rounds):
        X = X + C(W @ X - lr * G(X, t, 0) - X)
        out.append(X)
    return np.stack(out)


def ecd(W, G, X, lr, rounds, C):
    """ECD-PSGD, Tang et al. 2018, algorithm 2; row C7. Checked in the logistic experiments of epfml's ChocoSGD."""
    hat, out = X.copy(), [X]
    for t in range(1, rounds + 1):
        new = W @ hat - lr * G(X, t - 1, 0)
        z = (1 - t / 2) * X + t / 2 * new
        hat = (1 - 2 / t) * hat + 2 / t * C(z)
        X = new
        out.append(X)
    return np.stack(out)


def power_gossip(W, G, X, lr, rounds, shape, start, iterations=1, gamma=1.0, overlap=True, skip_first=True, eps=1e-8):
    """SGD with rank-1 PowerGossip, Vogels, Karimireddy & Jaggi 2020, algorithm 2; row C6. W symmetric.

    A row of X is a matrix of `shape`. start[i, j] = (p, q) for every edge i < j, not yet normalised. Checked in
    epfml/powergossip: iterations are counted over all rounds; number 0, 2, ... normalise p and set q = D'p, others
    normalise q and set p = D q, so that what is normalised is what the iteration before computed (warm start); vectors
    are divided by norm + eps; all edges use the models before the iteration. skip_first: the first round only steps,
    and its iterations count.
    overlap: gradients are those before the gossip (its default), and are applied after it; else a step comes first.
    """
    n, out = len(X), [X]
    p, q = ({edge: np.array(pair[side], float) for edge, pair in start.items()} for side in (0, 1))
    for t in range(rounds):
        step = lr * G(X, t, 0)
        M = (X if overlap else X - step).reshape(n, *shape)
        for iteration in range(t * iterations, (t + 1) * iterations):
            if skip_first and t == 0:
                break
            new = M.copy()
            for i, j in start:
                D = M[j] - M[i]
                if iteration % 2 == 0:
                    p[i, j] = p[i, j] / (np.linalg.norm(p[i, j]) + eps)
                    q[i, j] = D.T @ p[i, j]
                else:
                    q[i, j] = q[i, j] / (np.linalg.norm(q[i, j]) + eps)
                    p[i, j] = D @ q[i, j]
                part = gamma * W[i, j] * np.outer(p[i, j], q[i, j])
                new[j] -= part
                new[i] += part
            M = new
        X = M.reshape(n, -1) - (step if overlap else 0)
        out.append(X)
    return np.stack(out)
