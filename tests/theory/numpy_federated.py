"""Federated methods and outer optimisers again, in plain NumPy float64, from their papers alone.

`G(X, t, k)`: rows of gradients at the rows of X, on minibatch k of round t. `F(X)`: the same, noise-free.
`losses(X, t)`: one loss a row. `x`: the first server model. `samples[t]`: ids of the clients of round t, of n.
Means over clients are uniform. K or H = `local_steps`, with minibatches k = 0..K-1 of the round.
Numbers of algorithms and equations of the papers are from memory.
"""

from __future__ import annotations

import numpy as np


def spread(x, n):
    """Every client starts from the server's model."""
    return np.repeat(np.asarray(x, float)[None], n, axis=0)


def local_sgd(G, Y, lr, t, local_steps):
    for k in range(local_steps):
        Y = Y - lr * G(Y, t, k)
    return Y


def simplex(v):
    """Euclidean projection onto the probability simplex, by sorting."""
    u = np.sort(v)[::-1]
    excess = (np.cumsum(u) - 1) / np.arange(1, len(u) + 1)
    return np.maximum(v - excess[np.nonzero(u > excess)[0][-1]], 0)


class SGD:
    """The inner step without state."""

    def __init__(self, shape):
        pass

    def __call__(self, Y, g, lr, rows=slice(None)):
        Y = Y.copy()
        Y[rows] -= lr * g[rows]
        return Y


class AdamW:
    """Loshchilov & Hutter 2019, bias-corrected; decay lr * weight_decay * y. The state of a row is never reset."""

    def __init__(self, shape, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0):
        self.b1, self.b2, self.eps, self.decay = b1, b2, eps, weight_decay
        self.m, self.v, self.count = np.zeros(shape), np.zeros(shape), np.zeros((shape[0], 1))

    def __call__(self, Y, g, lr, rows=slice(None)):
        Y, g = Y.copy(), g[rows]
        self.count[rows] += 1
        self.m[rows] = self.b1 * self.m[rows] + (1 - self.b1) * g
        self.v[rows] = self.b2 * self.v[rows] + (1 - self.b2) * g**2
        m = self.m[rows] / (1 - self.b1 ** self.count[rows])
        v = self.v[rows] / (1 - self.b2 ** self.count[rows])
        Y[rows] = Y[rows] - lr * (m / (np.sqrt(v) + self.eps) + self.decay * Y[rows])
        return Y


class HeavyBall:
    """Momentum m <- decay m + g of every row, never reset."""

    def __init__(self, shape, decay=0.5):
        self.m, self.decay = np.zeros(shape), decay

    def __call__(self, Y, g, lr, rows=slice(None)):
        Y = Y.copy()
        self.m[rows] = self.decay * self.m[rows] + g[rows]
        Y[rows] -= lr * self.m[rows]
        return Y


def inner_loop(optimizer, G, Y, lr, t, local_steps, rows=slice(None)):
    for k in range(local_steps):
        Y = optimizer(Y, G(Y, t, k), lr, rows)
    return Y


def nesterov(x, b, g, lr, momentum):
    """One outer step as PyTorch writes it: b <- momentum b + g; x <- x - lr (g + momentum b). Returns x and b."""
    b = momentum * b + g
    return x - lr * (g + momentum * b), b


# ---- federated ---------------------------------------------------------------------------------------------------


def fedsgd(samples, G, x, lr, rounds, n):
    """FedSGD, McMahan et al. 2017, section 2: one gradient of every sampled client at the server's model."""
    out = [x]
    for t in range(rounds):
        x = x - lr * G(spread(x, n), t, 0)[samples[t]].mean(0)
        out.append(x)
    return np.stack(out)


def fetchsgd(samples, G, x, lr, rounds, n, momentum, k):
    """FetchSGD, Rothchild et al. 2020 (row 1.032), with a sketch that loses nothing: momentum, and what is left out."""
    out, u, e = [x], np.zeros_like(x), np.zeros_like(x)
    for t in range(rounds):
        u = momentum * u + G(spread(x, n), t, 0)[samples[t]].mean(0)
        e = e + lr * u
        step = np.where(np.abs(e) >= np.sort(np.abs(e))[-k], e, 0)
        x, e = x - step, e - step
        out.append(x)
    return np.stack(out)


def fedavg(samples, G, x, lr, rounds, local_steps, n, server_lr=1.0, share=None):
    """FedAvg, McMahan et al. 2017, Algorithm 1 (rows 3.002, S1); `server_lr` as in row 1.002. share: of each client,
    before normalisation over the sample; None for equal ones."""
    out, share = [x], np.ones(n) if share is None else np.asarray(share, float)
    for t in range(rounds):
        Y = local_sgd(G, spread(x, n), lr, t, local_steps)
        p = share[samples[t]] / share[samples[t]].sum()
        x = x + server_lr * p @ (Y[samples[t]] - x)
        out.append(x)
    return np.stack(out)


def fedavgm(samples, G, x, lr, rounds, local_steps, n, server_lr=1.0, momentum=0.9):
    """FedAvgM, Hsu et al. 2019 (row S6): v <- momentum v + (x - mean y), v_0 = 0; x <- x - server_lr v."""
    v, out = np.zeros_like(x), [x]
    for t in range(rounds):
        Y = local_sgd(G, spread(x, n), lr, t, local_steps)
        v = momentum * v + (x - Y[samples[t]].mean(0))
        x = x - server_lr * v
        out.append(x)
    return np.stack(out)


def fedopt(samples, G, x, lr, rounds, local_steps, n, kind, server_lr, b1=0.9, b2=0.99, tau=1e-3):
    """FedAdagrad, FedAdam, FedYogi, Reddi et al. 2021, Algorithm 2 (rows 1.006, S6): no bias correction, m_0 = 0,
    v_0 = tau^2. Adagrad keeps the first moment b1 too; the paper's experiments set it to 0 there."""
    m, v, out = np.zeros_like(x), np.full_like(x, tau**2), [x]
    for t in range(rounds):
        Y = local_sgd(G, spread(x, n), lr, t, local_steps)
        delta = Y[samples[t]].mean(0) - x
        m = b1 * m + (1 - b1) * delta
        if kind == "adagrad":
            v = v + delta**2
        elif kind == "adam":
            v = b2 * v + (1 - b2) * delta**2
        else:
            v = v - (1 - b2) * delta**2 * np.sign(v - delta**2)
        x = x + server_lr * m / (np.sqrt(v) + tau)
        out.append(x)
    return np.stack(out)


def fedprox(samples, G, x, lr, rounds, local_steps, n, mu):
    """FedProx, Li et al. 2020, Algorithm 2 (row S2), K gradient steps on f_i + mu/2 |y - x|^2; uniform mean over S."""
    out = [x]
    for t in range(rounds):
        Y = spread(x, n)
        for k in range(local_steps):
            Y = Y - lr * (G(Y, t, k) + mu * (Y - x))
        x = Y[samples[t]].mean(0)
        out.append(x)
    return np.stack(out)


def scaffold(samples, G, x, lr, rounds, local_steps, n, server_lr=1.0, option=2, F=None):
    """SCAFFOLD, Karimireddy et al. 2020, Algorithm 1 (rows 1.033, S3), c = c_i = 0. Option 1 takes the gradient at the
    server's model: F where given, else minibatch 0 of the round. Returns the models, the c_i and c."""
    c_i, c, S = np.zeros((n, len(x))), np.zeros_like(x), samples
    out = [(x, c_i, c)]
    for t in range(rounds):
        X0 = Y = spread(x, n)
        for k in range(local_steps):
            Y = Y - lr * (G(Y, t, k) - c_i + c)
        if option == 1:
            fresh = F(X0) if F is not None else G(X0, t, 0)
        else:
            fresh = c_i - c + (X0 - Y) / (local_steps * lr)
        new = c_i.copy()
        new[S[t]] = fresh[S[t]]
        x = x + server_lr * (Y[S[t]] - x).mean(0)
        c = c + (new - c_i)[S[t]].sum(0) / n
        c_i = new
        out.append((x, c_i, c))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def _feddyn(solve, samples, x, rounds, alpha, n):
    g, h, out = np.zeros((n, len(x))), np.zeros_like(x), [(x, np.zeros((n, len(x))), np.zeros_like(x))]
    for t in range(rounds):
        S, Y = samples[t], solve(x, g, t)
        g = g.copy()
        g[S] = g[S] - alpha * (Y[S] - x)
        h = h - alpha * (Y[S] - x).sum(0) / n
        x = Y[S].mean(0) - h / alpha
        out.append((x, g, h))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def feddyn(samples, G, x, lr, rounds, local_steps, n, alpha):
    """FedDyn, Acar et al. 2021, Algorithm 1 (rows 1.001, S4), K gradient steps from x on the local objective.
    h moves by the SUM over S divided by n (all clients). Returns the models, the g_i and h."""

    def solve(x, g, t):
        Y = spread(x, n)
        for k in range(local_steps):
            Y = Y - lr * (G(Y, t, k) - g + alpha * (Y - x))
        return Y

    return _feddyn(solve, samples, x, rounds, alpha, n)


def feddyn_exact(samples, A, b, x, rounds, n, alpha):
    """FedDyn as above with the exact minimiser of f_i = y'A_i y/2 - b_i'y, minus <g_i, y>, plus alpha/2 |y - x|^2."""
    eye = np.eye(len(x))

    def solve(x, g, t):
        return np.stack([np.linalg.solve(A[i] + alpha * eye, b[i] + g[i] + alpha * x) for i in range(n)])

    return _feddyn(solve, samples, x, rounds, alpha, n)


def fednova(samples, G, x, lr, rounds, taus, n, momentum=0.0):
    """FedNova, Wang et al. 2020, eq. 6 (rows 1.022, S5): client i takes taus[i] steps, heavy-ball reset each round;
    p_i = 1/|S|; d_i = (x - y_i)/(lr |a_i|_1); x <- x - lr tau_eff sum p_i d_i, tau_eff = sum p_i |a_i|_1."""
    taus, r = np.asarray(taus), momentum
    a = taus.astype(float) if r == 0 else (taus - r * (1 - r**taus) / (1 - r)) / (1 - r)
    out = [x]
    for t in range(rounds):
        Y, m, S = spread(x, n), np.zeros((n, len(x))), samples[t]
        for k in range(taus.max()):
            m = r * m + G(Y, t, k)
            Y = np.where((k < taus)[:, None], Y - lr * m, Y)
        d = (x - Y) / (lr * a[:, None])
        x = x - lr * a[S].mean() * d[S].mean(0)
        out.append(x)
    return np.stack(out)


def weighted_fednova(samples, G, x, lr, rounds, taus, n, momentum, share, server_lr=1.0):
    """FedNova as above, client by client, where clients count by `share` and may have no step at all."""
    out = [x]
    for t in range(rounds):
        ids = samples[t]
        p, total, tau = share[ids] / share[ids].sum(), np.zeros_like(x), 0.0
        for weight, i in zip(p, ids, strict=True):
            y, m, steps = x, np.zeros_like(x), taus[i]
            for k in range(steps):
                m = momentum * m + G(spread(y, n), t, k)[i]
                y = y - lr * m
            a = (steps - momentum * (1 - momentum**steps) / (1 - momentum)) / (1 - momentum)
            total, tau = total + (weight * (x - y) / (lr * a) if steps else 0), tau + weight * a
        x = x - server_lr * lr * tau * total
        out.append(x)
    return np.stack(out)


def fedspeed(samples, G, x, lr, rounds, local_steps, n, lam, rho, mix=1.0, eps=0.0, prox_over="sample"):
    """FedSpeed, Sun et al. 2023, Algorithm 1 (row 3.104): direction (1 - mix) g(y) + mix g(y + rho g/|g|), both on the
    same minibatch, minus ghat_i, plus (y - x)/lam; ghat_i <- ghat_i - (y - x)/lam; x <- mean (y - lam ghat_i).
    The official code adds eps = 1e-7 to |g|, and takes the mean of ghat over all n (`prox_over="all"`) where the mean
    of y is over S; with full participation they agree. Returns the models and the ghat_i."""
    ghat = np.zeros((n, len(x)))
    out = [(x, ghat)]
    for t in range(rounds):
        Y, S = spread(x, n), samples[t]
        for k in range(local_steps):
            g = G(Y, t, k)
            norm = np.linalg.norm(g, axis=1, keepdims=True) + eps
            g = (1 - mix) * g + mix * G(Y + rho * g / norm, t, k)
            Y = Y - lr * (g - ghat + (Y - x) / lam)
        ghat = ghat.copy()
        ghat[S] = ghat[S] - (Y[S] - x) / lam
        x = Y[S].mean(0) - lam * (ghat[S] if prox_over == "sample" else ghat).mean(0)
        out.append((x, ghat))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def fedac(samples, G, x, lr, rounds, local_steps, n, alpha, beta, gamma):
    """FedAc, Yuan & Ma 2020, Algorithm 1 (row 1.024); eta = lr. Both sequences are averaged at the end of the round.
    Returns the models w_ag, which the paper evaluates, and w."""
    w, out = x, [(x, x)]
    for t in range(rounds):
        W, Ag = spread(w, n), spread(x, n)
        for k in range(local_steps):
            Md = W / beta + (1 - 1 / beta) * Ag
            g = G(Md, t, k)
            Ag = Md - lr * g
            W = (1 - 1 / alpha) * W + Md / alpha - gamma * g
        x, w = Ag[samples[t]].mean(0), W[samples[t]].mean(0)
        out.append((x, w))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def fedpd(coins, G, x, lr, rounds, local_steps, n, eta):
    """FedPD, Zhang et al. 2020, Algorithm 1 with oracle I: K steps of size lr on
    f_i + <lambda_i, y - x0_i> + |y - x0_i|^2/(2 eta) FROM the client's last y (warm start); lambda_i += (y - x0_i)/eta;
    x0_i+ = y + eta lambda_i with the NEW lambda_i (the official Python; the official Matlab has x0_i + eta lambda_i);
    coins[t] true: x0_i <- the mean of x0_i+, else x0_i <- x0_i+. All clients.
    Returns the server's model (the last mean), the x0_i, the y_i and the lambda_i; lambda = 0, y = x at the start."""
    X0 = Y = spread(x, n)
    lam = np.zeros_like(Y)
    out = [(x, X0, Y, lam)]
    for t in range(rounds):
        for k in range(local_steps):
            Y = Y - lr * (G(Y, t, k) + lam + (Y - X0) / eta)
        lam = lam + (Y - X0) / eta
        X0 = Y + eta * lam
        if coins[t]:
            x = X0.mean(0)
            X0 = spread(x, n)
        out.append((x, X0, Y, lam))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def _fedsplit(prox, x, rounds, n):
    Z = U = spread(x, n)
    out = [(x, Z)]
    for t in range(rounds):
        U = prox(2 * x - Z, x, U, t)
        Z = Z + 2 * (U - x)
        x = Z.mean(0)
        out.append((x, Z))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def fedsplit_exact(A, b, x, rounds, n, s):
    """FedSplit, Pathak & Wainwright 2020, Algorithm 1 (row 1.013), exact prox of f_i = y'A_i y/2 - b_i'y with step s;
    z_i = x at the start. Returns the models and the z_i."""
    eye = np.eye(len(x))

    def prox(V, x, last, t):
        return np.stack([np.linalg.solve(A[i] + eye / s, b[i] + V[i] / s) for i in range(n)])

    return _fedsplit(prox, x, rounds, n)


def fedsplit(G, x, lr, rounds, local_steps, n, s, start="server"):
    """FedSplit as above with K gradient steps of size lr on f_i(u) + |2x - z_i - u|^2/(2s). Chosen: they start from
    the server's x; `start="centre"`: from 2x - z_i; `start="last"`: from the client's last result."""

    def prox(V, x, last, t):
        U = {"server": spread(x, n), "centre": V, "last": last}[start]
        for k in range(local_steps):
            U = U - lr * (G(U, t, k) + (U - V) / s)
        return U

    return _fedsplit(prox, x, rounds, n)


def fsvrg(samples, G, F, x, lr, rounds, local_steps, n, anchor="all"):
    """FSVRG, Konecny et al. 2016, their naive variant (row 1.082): full gradient at x, K steps
    y <- y - lr (g(y) - g(x) + full), both g on one minibatch; mean of y. Left out of their final variant: the step
    h/n_i, the diagonal S_i and A of feature frequencies, weights n_i/n. `anchor`: full over all clients or over S."""
    out = [x]
    for t in range(rounds):
        X0 = Y = spread(x, n)
        full = F(X0).mean(0) if anchor == "all" else F(X0)[samples[t]].mean(0)
        for k in range(local_steps):
            Y = Y - lr * (G(Y, t, k) - G(X0, t, k) + full)
        x = Y[samples[t]].mean(0)
        out.append(x)
    return np.stack(out)


def mimelite(samples, G, F, x, lr, rounds, local_steps, n, momentum, server_lr=1.0):
    """MimeLite with momentum, Karimireddy et al. 2020, Algorithm 1: y <- y - lr ((1 - b) g(y) + b m) with m frozen;
    afterwards m <- (1 - b) mean_S F_i(x) + b m at the x of the START of the round; m_0 = 0. Returns models and m."""
    m, b, out = np.zeros_like(x), momentum, [(x, np.zeros_like(x))]
    for t in range(rounds):
        X0 = Y = spread(x, n)
        for k in range(local_steps):
            Y = Y - lr * ((1 - b) * G(Y, t, k) + b * m)
        m = (1 - b) * F(X0)[samples[t]].mean(0) + b * m
        x = x + server_lr * (Y[samples[t]].mean(0) - x)
        out.append((x, m))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def fedamd(samples, coins, G, F, x, lr, rounds, local_steps, n, server_lr=1.0):
    """FedAMD, Wu et al. 2023 (row 3.063): coins[t][i] true makes i an anchor, which stores F_i(x). Miners start at the
    mean v of all caches as it was BEFORE the round, y <- y - lr v_k, v_0 = v and
    v_k = v_{k-1} + g(y_k) - g(y_{k-1}) on minibatch k (minibatch 0 has no effect); x <- x - server_lr mean (x - y_K)
    over the miners of S. Caches start as F_i(x_0). Without miners x stays. Returns the models and the caches."""
    cache = F(spread(x, n))
    out = [(x, cache)]
    for t in range(rounds):
        X0 = Y = old = spread(x, n)
        anchor = np.asarray(coins[t], bool)
        v = spread(cache.mean(0), n)
        for k in range(local_steps):
            v = v + G(Y, t, k) - G(old, t, k)
            old, Y = Y, Y - lr * v
        ids = np.asarray(samples[t])
        fresh, cache = F(X0), cache.copy()
        cache[ids[anchor[ids]]] = fresh[ids[anchor[ids]]]
        miners = ids[~anchor[ids]]
        if len(miners):
            x = x - server_lr * (x - Y[miners]).mean(0)
        out.append((x, cache))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def q_fedavg(samples, G, losses, x, lr, rounds, local_steps, n, q):
    """q-FedAvg, Li et al. 2020, Algorithm 2 (row 1.039), L = 1/lr: w_i = L (x - y_i), D_i = F_i^q w_i,
    h_i = q F_i^(q-1) |w_i|^2 + L F_i^q with F_i the loss at x, x <- x - sum D_i / sum h_i. The official code adds 1e-10
    to F_i; this does not."""
    out = [x]
    for t in range(rounds):
        X0, S = spread(x, n), samples[t]
        w = (X0 - local_sgd(G, X0, lr, t, local_steps)) / lr
        loss = losses(X0, t)
        D = loss[:, None] ** q * w
        h = q * loss ** (q - 1.0) * (w**2).sum(1) + loss**q / lr
        x = x - D[S].sum(0) / h[S].sum()
        out.append(x)
    return np.stack(out)


def afl(G, losses, x, lr, rounds, n, lambda_lr):
    """Agnostic FL, Mohri et al. 2019 (row 1.046): all clients, x <- x - lr sum lambda_i g_i(x) and
    lambda <- project(lambda + lambda_lr losses(x)), both at the OLD x and lambda; uniform lambda_0.
    Returns the models (last iterates, not the paper's running mean) and the lambdas."""
    lam = np.full(n, 1 / n)
    out = [(x, lam)]
    for t in range(rounds):
        X0 = spread(x, n)
        x, lam = x - lr * lam @ G(X0, t, 0), simplex(lam + lambda_lr * losses(X0, t))
        out.append((x, lam))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def drfa(samples, snapshots, seconds, G, losses, x, lr, rounds, local_steps, n, lambda_lr):
    """DRFA, Deng et al. 2020, Algorithm 1 (row 1.018): samples[t] (drawn by lambda, repeats allowed) train, uniform
    mean; the mean over them after snapshots[t] local steps (1..K) is evaluated by the uniform sample seconds[t]:
    v_i = (n/m) f_i there, else 0; lambda <- project(lambda + lambda_lr K v). Returns the models and the lambdas."""
    lam = np.full(n, 1 / n)
    out = [(x, lam)]
    for t in range(rounds):
        Y, U = spread(x, n), np.asarray(seconds[t])
        snapshot = x
        for k in range(local_steps):
            Y = Y - lr * G(Y, t, k)
            if k + 1 == snapshots[t]:
                snapshot = Y[samples[t]].mean(0)
        x, v = Y[samples[t]].mean(0), np.zeros(n)
        v[U] = n / len(U) * losses(spread(snapshot, n), t)[U]
        lam = simplex(lam + lambda_lr * local_steps * v)
        out.append((x, lam))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def drfa_by_shares(samples, snapshots, G, losses, x, lr, rounds, local_steps, n, lambda_lr):
    """DRFA as above, where clients are drawn uniformly and weighed by lambda, and those that trained are evaluated."""
    share, out = np.full(n, 1 / n), [(x, np.full(n, 1 / n))]
    for t in range(rounds):
        S, path = samples[t], [spread(x, n)]
        for k in range(local_steps):
            path.append(path[-1] - lr * G(path[-1], t, k))
        p = share[S] / share[S].sum()
        x, snapshot, v = p @ path[-1][S], p @ path[snapshots[t]][S], np.zeros(n)
        v[S] = n / len(S) * losses(spread(snapshot, n), t)[S]
        share = simplex(share + lambda_lr * local_steps * v)
        out.append((x, share))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def fedlin(samples, G, x, lr, rounds, local_steps, n, F=None, taus=None):
    """FedLin without compression, Mitra et al. 2021, Algorithm 1: y <- y - lr_i (g_i(y) - g_i(x) + mean_S g_j(x)).
    g_i(x): F where given, else minibatch 0 of the round. `lr` may be a vector over clients, `taus` their own numbers of
    steps (the paper sets lr_i = const/tau_i). The paper has all clients in S."""
    rate = np.broadcast_to(lr, (n,))[:, None]
    taus = np.full(n, local_steps) if taus is None else np.asarray(taus)
    out = [x]
    for t in range(rounds):
        X0 = Y = spread(x, n)
        own = F(X0) if F is not None else G(X0, t, 0)
        shift = own[samples[t]].mean(0) - own
        for k in range(taus.max()):
            Y = np.where((k < taus)[:, None], Y - rate * (G(Y, t, k) + shift), Y)
        x = Y[samples[t]].mean(0)
        out.append(x)
    return np.stack(out)


def scaffnew(coins, G, x, lr, rounds, n, p):
    """Scaffnew (ProxSkip), Mishchenko et al. 2022, Algorithm 2 (row B10): one gradient an iteration t, h = 0; coins[t]
    (probability p) true: every client takes the mean of xhat - (lr/p) h. Returns the server's model (the last mean),
    the clients' models and the h_i."""
    X, H = spread(x, n), np.zeros((n, len(x)))
    out = [(x, X, H)]
    for t in range(rounds):
        half = X - lr * (G(X, t, 0) - H)
        X = half
        if coins[t]:
            x = (half - lr / p * H).mean(0)
            X = spread(x, n)
        H = H + p / lr * (X - half)
        out.append((x, X, H))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def ef21(G, x, lr, rounds, n, C, first="gradient"):
    """EF21, Richtarik et al. 2021, Algorithm 2 (row C8): x <- x - lr mean g_i; g_i <- g_i + C(grad_i(x+) - g_i).
    The gradient at the model of round t is on minibatch (t, 0). `first`: g_i of round 0 is the gradient, its
    compression, or zero. Returns the models and the g_i."""
    g = G(spread(x, n), 0, 0)
    g = {"gradient": g, "compressed": C(g), "zero": np.zeros_like(g)}[first]
    out = [(x, g)]
    for t in range(rounds):
        x = x - lr * g.mean(0)
        g = g + C(G(spread(x, n), t + 1, 0) - g)
        out.append((x, g))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def hierarchical_fedavg(clusters, G, x, lr, rounds, local_steps, cluster_rounds, n):
    """HierFAVG, Liu et al. 2020, Algorithm 1: K2 = `cluster_rounds` times (K1 = `local_steps` steps, mean in each
    cluster), then one mean over all clients (clusters weighted by size). Minibatches k = 0..K1 K2 - 1 of the round."""
    out = [x]
    for t in range(rounds):
        Y = spread(x, n)
        for e in range(cluster_rounds):
            for k in range(local_steps):
                Y = Y - lr * G(Y, t, e * local_steps + k)
            for ids in clusters:
                Y[ids] = Y[ids].mean(0)
        x = Y[np.concatenate(clusters)].mean(0)
        out.append(x)
    return np.stack(out)


# ---- outer optimisers --------------------------------------------------------------------------------------------


def diloco(samples, G, x, lr, rounds, local_steps, n, outer_lr=0.7, outer_momentum=0.9, inner=SGD, nesterov_form=True):
    """DiLoCo, Douillard et al. 2023, Algorithm 1 (row 3.112): H inner steps from x, pseudo-gradient x - mean y, outer
    Nesterov (PyTorch form, b_0 = 0); the inner state of a worker stays with it. `inner`: SGD, or a factory of AdamW,
    `lambda shape: AdamW(shape, ...)`. `nesterov_form=False`: outer heavy ball."""
    b, optimizer, out = np.zeros_like(x), inner((n, len(x))), [x]
    for t in range(rounds):
        Y = inner_loop(optimizer, G, spread(x, n), lr, t, local_steps, samples[t])
        delta = x - Y[samples[t]].mean(0)
        if nesterov_form:
            x, b = nesterov(x, b, delta, outer_lr, outer_momentum)
        else:
            b = outer_momentum * b + delta
            x = x - outer_lr * b
        out.append(x)
    return np.stack(out)


def streaming_diloco(
    G, x, lr, rounds, local_steps, n, fragments, outer_lr=0.7, outer_momentum=0.9, alpha=0.0, tau=0, inner=SGD
):
    """Streaming DiLoCo, Douillard et al. 2025, Algorithm 2, without quantisation: after the H inner steps of round t
    fragment t mod P is exchanged: pseudo-gradient = last global value - mean of the workers' values, outer Nesterov on
    it with its own momentum; each worker then holds alpha local + (1 - alpha) global there, tau inner steps later
    (tau = 0: at the end of round t; 0 < tau <= H: after tau steps of round t + 1, with the local value of that time).
    A fragment is exchanged every P H steps; workers keep their own models otherwise.
    Returns the workers' models at the end of every round `[T+1, n, d]` and the global values `[T+1, d]`."""
    if not 0 <= tau <= local_steps:
        raise ValueError("a fragment comes back before the next one leaves: 0 <= tau <= local_steps")
    X, world, b, waiting = spread(x, n), np.array(x, float), np.zeros_like(x), None
    optimizer, out = inner(X.shape), [(X, world)]
    for t in range(rounds):
        for k in range(local_steps + 1):
            if waiting is not None and k == tau:
                X, waiting = _merge(X, world, waiting, alpha), None
            if k < local_steps:
                X = optimizer(X, G(X, t, k), lr)
        ids, world, b = fragments[t % len(fragments)], world.copy(), b.copy()
        world[ids], b[ids] = nesterov(world[ids], b[ids], world[ids] - X[:, ids].mean(0), outer_lr, outer_momentum)
        waiting = ids
        if tau == 0:
            X, waiting = _merge(X, world, ids, alpha), None
        out.append((X, world))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def _merge(X, world, ids, alpha):
    X = X.copy()
    X[:, ids] = alpha * X[:, ids] + (1 - alpha) * world[ids]
    return X


def eager_diloco(W, G, X, lr, rounds, local_steps, outer_lr=0.7, outer_momentum=0.9, inner=SGD, nesterov_form=True):
    """Eager updates, Kale et al. 2025 (row 3.090), over W (paper: W = J): worker i steps its own copy by outer Nesterov
    on W_ii Delta_i^t + sum_{j != i} W_ij Delta_j^{t-1}, Delta = own copy - own result; no stale part in round 0.
    `nesterov_form=False`: outer heavy ball."""
    own = np.diag(np.diag(W))
    b = stale = np.zeros_like(X)
    optimizer, out = inner(X.shape), [X]
    for t in range(rounds):
        delta = X - inner_loop(optimizer, G, X, lr, t, local_steps)
        change = own @ delta + (W - own) @ stale
        b = outer_momentum * b + change
        X = X - outer_lr * (change + outer_momentum * b if nesterov_form else b)
        stale = delta
        out.append(X)
    return np.stack(out)


def dilocox(
    G, x, lr, rounds, local_steps, n, outer_lr=0.7, outer_momentum=0.9, C=None, delay=1, feedback=True, inner=SGD
):
    """DiLoCoX, Qi et al. 2025 (row 3.001), compressor C on rows with error feedback e_i (0 at the start) on each
    worker, no pipeline, no adaptive rank: round t trains from x^t while the mean of C(Delta_i^{t-1} + e_i) is on its
    way; at its end x^{t+1} = OuterNesterov(x^t, that mean). Chosen: Delta_i^t = x^t - y_i^t; all workers start a round
    from the common x^t (the local result only feeds Delta), which keeps the workers equal and makes the method
    Nesterov on a gradient one round old; round 0 applies nothing: x^1 = x^0.
    delay = 0: applied in its own round. Returns the models and the e_i."""
    b, e, mail = np.zeros_like(x), np.zeros((n, len(x))), None
    optimizer, out = inner(e.shape), [(x, e)]
    for t in range(rounds):
        delta = x - inner_loop(optimizer, G, spread(x, n), lr, t, local_steps) + e
        sent = delta if C is None else C(delta)
        e = delta - sent if feedback else e
        now, mail = (mail, sent.mean(0)) if delay else (sent.mean(0), None)
        if now is not None:
            x, b = nesterov(x, b, now, outer_lr, outer_momentum)
        out.append((x, e))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def gossip_diloco(Ws, G, X, lr, rounds, local_steps, outer_lr=0.7, outer_momentum=0.5, gamma=None, inner=SGD):
    """NoLoCo, Kolehmainen et al. 2025, over any W_t = Ws[t] (paper: random pairs, weights 1/2): slow models X, H inner
    steps to Y; delta <- momentum delta + outer_lr W_t (Y - X) + gamma (W_t X - X), delta_0 = 0; X <- X + delta.
    gamma = outer_lr where not given, as in the official code; there is no further Nesterov look-ahead in it."""
    gamma = outer_lr if gamma is None else gamma
    delta, optimizer, out = np.zeros_like(X), inner(X.shape), [X]
    for t in range(rounds):
        Y = inner_loop(optimizer, G, X, lr, t, local_steps)
        delta = outer_momentum * delta + outer_lr * Ws[t] @ (Y - X) + gamma * (Ws[t] @ X - X)
        X = X + delta
        out.append(X)
    return np.stack(out)


def lookahead(G, X, lr, rounds, local_steps, alpha, inner=SGD):
    """Lookahead, Zhang et al. 2019, Algorithm 1, on every row alone: X <- X + alpha (Y - X), Y after H inner steps;
    the inner state is kept over rounds."""
    optimizer, out = inner(X.shape), [X]
    for t in range(rounds):
        X = X + alpha * (inner_loop(optimizer, G, X, lr, t, local_steps) - X)
        out.append(X)
    return np.stack(out)


def delayed_nesterov(x, pseudo_gradients, outer_lr, outer_momentum, buffer, c=0.0):
    """Delayed Nesterov, Liu et al. 2024 (row 3.087): push t adds g to Delta; on every N-th push m <- beta m + Delta/N,
    x <- x - lr ((1 - cN + c) beta m + g/N), Delta <- 0; else x <- x - lr (c beta m + g/N); m = Delta = 0 first."""
    m, delta, out, N, beta = np.zeros_like(x), np.zeros_like(x), [x], buffer, outer_momentum
    for t, g in enumerate(pseudo_gradients):
        delta = delta + g
        share = c
        if (t + 1) % N == 0:
            m, delta, share = beta * m + delta / N, np.zeros_like(x), 1 - c * N + c
        x = x - outer_lr * (share * beta * m + g / N)
        out.append(x)
    return np.stack(out)
