"""Methods of 2021 to 2025 again, and Wang-Elia, in NumPy float64; nothing here imports the library.

Arguments and results are those of `numpy_decentralized.py` (`W`, `G`, `X`) and `numpy_federated.py` (`samples`, `x`).
The recursions are written as their papers have them, with a variable for each end of an edge where there is one. What
a docstring calls checked was read in the code it names.
"""

from __future__ import annotations

import numpy as np


def _stack(rounds):
    return tuple(np.stack(part) for part in zip(*rounds, strict=True))


def _near(W):
    """The neighbours of each node."""
    return [[int(j) for j in np.flatnonzero(row) if j != i] for i, row in enumerate(W)]


# ---- ADMM ----------------------------------------------------------------------------------------------------------


def dinno(W, G, X, lr, rounds, rho, growth, local_steps, adam=True, persistent=False):
    """DiNNO, Yu, Vincent & Schwager 2022, algorithm 1, with penalties rho W_ij; checked in the authors' code: rho grows
    first, then the dual takes the models as they were sent, then the subproblem is approached from them. Also duals.

    adam: b1 = 0.9, b2 = 0.999, eps = 1e-8, begun anew in each round unless `persistent`; otherwise plain steps.
    """
    near, P, out = _near(W), np.zeros_like(X), [(X, np.zeros_like(X))]
    m, v, count = np.zeros_like(X), np.zeros_like(X), 0
    for t in range(rounds):
        rho = rho * growth
        for i, others in enumerate(near):
            P[i] = P[i] + rho * sum(W[i, j] * (X[i] - X[j]) for j in others)
        if not persistent:
            m, v, count = np.zeros_like(X), np.zeros_like(X), 0
        U = X
        for k in range(local_steps):
            penalty = np.stack(
                [2 * rho * sum(W[i, j] * (U[i] - (X[i] + X[j]) / 2) for j in others) for i, others in enumerate(near)]
            )
            step = G(U, t, k) + P + penalty
            if adam:
                count += 1
                m, v = 0.9 * m + 0.1 * step, 0.999 * v + 0.001 * step**2
                step = (m / (1 - 0.9**count)) / (np.sqrt(v / (1 - 0.999**count)) + 1e-8)
            U = U - lr * step
        X = U
        out.append((X, P.copy()))
    return _stack(out)


def lt_admm(W, gradient, X, lr, rounds, beta, rho, local_steps):
    """LT-ADMM, Ren, Bastianello, Johansson & Parisini 2025, with penalties rho W_ij; checked in decent-bench, with the
    relaxation 1/2. `gradient(U, t, k)`: of step k. Also Z_i = sum_j z_ij.

    z_ij = rho W_ij x_i at the start. Chosen: in round 0 node i takes its own z_ij in place of z_ji, so that starts that
    differ leave no trace; from a common start this is the same.
    """
    near = _near(W)
    z = {(i, j): rho * W[i, j] * X[i] for i, others in enumerate(near) for j in others}
    sums = lambda z: np.stack([sum((z[i, j] for j in others), 0 * X[i]) for i, others in enumerate(near)])
    degree = np.array([sum(W[i, j] for j in others) for i, others in enumerate(near)])[:, None]
    out = [(X, sums(z))]
    for t in range(rounds):
        correction, U = beta * (rho * degree * X - sums(z)), X
        for k in range(local_steps):
            U = U - lr * gradient(U, t, k) - correction
        X = U
        theirs = {(i, j): z[i, j] if t == 0 else z[j, i] for i, j in z}
        z = {(i, j): z[i, j] / 2 - (theirs[i, j] - 2 * rho * W[i, j] * X[j]) / 2 for i, j in z}
        out.append((X, sums(z)))
    return _stack(out)


def saga(F, X, parts, draws, renews):
    """The gradient estimates of LT-ADMM-VR, for `lt_admm`, on data whose parts are all alike. draws[t, i, k]: the part
    that node i draws for step k of round t. The gradient at the point after a step replaces that in the table: it is
    computed when the next step asks (checked in decent-bench, which has both tables).
    """
    every, rows = lambda X: np.repeat(F(X)[:, None], parts, axis=1), np.arange(len(X))
    memory = {"table": every(X), "drawn": None}

    def gradient(U, t, k):
        if renews and k == 0:
            memory["table"] = every(U)
        elif memory["drawn"] is not None:
            memory["table"][rows, memory["drawn"]] = F(U)
        table, memory["drawn"] = memory["table"], draws[t, :, k]
        return F(U) - table[rows, memory["drawn"]] + table.mean(1)

    return gradient


def atg(W, G, X, lr, rounds, mixing, rho, alpha):
    """ATG, Carnevale, Bastianello, Notarstefano & Carli 2025; lr = gamma delta; checked in decent-bench. W: its links.

    z_ij = rho x_i for the models and 0 for the gradients at the start, a choice.
    """
    near = _near(W)
    z = {(i, j): np.stack([rho * X[i], 0 * X[i]]) for i, others in enumerate(near) for j in others}
    out = [X]
    for t in range(rounds):
        g, new, means = G(X, t), np.empty_like(X), []
        for i, others in enumerate(near):
            means.append((np.stack([X[i], g[i]]) + sum(z[i, j] for j in others)) / (1 + rho * len(others)))
            y, s = means[i]
            new[i] = (1 - mixing) * X[i] + mixing * y - lr * s
        heard = {(i, j): -z[j, i] + 2 * rho * means[j] for i, j in z}
        z, X = {link: (1 - alpha) * z[link] + alpha * heard[link] for link in z}, new
        out.append(X)
    return np.stack(out)


# ---- gradient tracking ---------------------------------------------------------------------------------------------


def wang_elia(W, G, X, lr, rounds, gain=0.5):
    """Wang & Elia 2011, in discrete time, K = gain (I - W); checked in decent-bench. Also z."""
    K, z, out = gain * (np.eye(len(W)) - W), np.zeros_like(X), [(X, np.zeros_like(X))]
    for t in range(rounds):
        X, z = X - K @ (X + z) - lr * G(X, t), z + K @ X
        out.append((X, z))
    return _stack(out)


def gt_vr(W, G, F, X, lr, rounds, coins):
    """GT-VR, Jiang, Zeng, Sun & Chen 2022, algorithm 1; checked in decent-bench. coins[t, i]: whether node i renews its
    snapshot in round t. Also v. The tracker of round 0 is v, unmixed.
    """
    snapshot, y, v, out = X, 0 * X, 0 * X, [(X, 0 * X)]
    for t in range(rounds):
        snapshot = np.where(coins[t][:, None], X, snapshot)
        new = G(X, t) - G(snapshot, t) + F(snapshot)
        y, v = W @ (y + new - v) if t else new, new
        X = W @ (X - lr * y)
        out.append((X, v))
    return _stack(out)


def gtadam(W, G, X, lr, rounds, b1, b2, eps, cap=np.inf):
    """GTAdam, Carnevale, Farina, Notarnicola & Notarstefano 2023; checked in NVFlare. Also v."""
    m, v, s, g = np.zeros_like(X), np.zeros_like(X), G(X, 0), G(X, 0)
    out = [(X, v)]
    for t in range(rounds):
        m, v = b1 * m + (1 - b1) * s, np.minimum(b2 * v + (1 - b2) * s**2, cap)
        X = W @ X - lr * m / np.sqrt(v + eps)
        new = G(X, t + 1)
        s, g = W @ s + new - g, new
        out.append((X, v))
    return _stack(out)


# ---- with a server -------------------------------------------------------------------------------------------------


def fedlt(samples, G, x, lr, rounds, local_steps, n, step):
    """Fed-LT, that is Fed-PLT (Bastianello, Liu & Johansson 2024) without noise, plain steps; checked in decent-bench.

    Returns the server's mean of all z_i, the z_i and the x_i.
    """
    X = Z = np.repeat(x[None], n, axis=0)
    out = [(x, Z, X)]
    for t in range(rounds):
        y, U = Z.mean(0), X
        for k in range(local_steps):
            U = U - lr * (G(U, t, k) + (U - (2 * y - Z)) / step)
        there = np.isin(np.arange(n), samples[t])[:, None]
        X, Z = np.where(there, U, X), np.where(there, Z + 2 * (U - y), Z)
        out.append((Z.mean(0), Z, X))
    return _stack(out)
