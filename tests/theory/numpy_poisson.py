"""Methods at Poisson times, one event after another in NumPy, from their papers and public code, and without jdl.

events: rows (second, i, j, wave), where i == j is a node that works alone. g(x, t, i): the gradient of node i, with the
noise of wave t.
"""

import numpy as np
from scipy.linalg import expm


def gossip_sgd(events, g, x0, lr):
    """Randomised gossip and SGD: one node steps, or two average."""
    x = x0.copy()
    for _, i, j, t in events:
        if i == j:
            x[i] = x[i] - lr * g(x[i], t, i)
        else:
            x[[i, j]] = (x[i] + x[j]) / 2
    return x


def a2cid2(events, g, x0, lr, eta, alpha, alpha_tilde):
    """Nabli, Belilovsky, Oyallon 2023: both copies, the sum of all gradients, and the last second of each node."""
    pair = np.stack([x0, x0])  # [2, n, d]
    last, applied = np.zeros(len(x0)), np.zeros(x0.shape[1])
    matrix = eta * np.array([[-1.0, 1.0], [1.0, -1.0]])
    for second, i, j, t in events:
        for node in {i, j}:
            pair[:, node] = expm(matrix * (second - last[node])) @ pair[:, node]
            last[node] = second
        if i == j:
            step = g(pair[0, i], t, i)
            pair[:, i] = pair[:, i] - lr * step
            applied += step
        else:
            p = pair[0, i] - pair[0, j]
            for copy, strength in enumerate((alpha, alpha_tilde)):
                pair[copy, i] = pair[copy, i] - strength * p
                pair[copy, j] = pair[copy, j] + strength * p
    return pair[0], pair[1], applied, last


def dadao_matrix(mu, L):
    """The drift of (x, x~, y, y~, z, z~), and nu."""
    nu = mu / 2
    eta, alpha, alpha_tilde, theta = np.sqrt(nu / L) / 8, np.sqrt(nu / L) / 4, np.sqrt(nu / L) / 8, np.sqrt(L / nu) / 2
    M = np.zeros((6, 6))
    M[0, :2] = -eta, eta
    M[1, :2] = eta, -eta
    M[2, 2:4] = -alpha, alpha
    M[3, 1], M[3, 2], M[3, 4] = -theta * nu, -theta, -theta
    M[4, 4:] = -alpha, alpha
    M[5, 4:] = alpha_tilde, -alpha_tilde
    return M, nu


def dadao(events, g, x0, mu, L, chi1):
    """Nabli, Oyallon 2023: all six vectors `[6, n, d]`, and when each node was last at an event."""
    M, nu = dadao_matrix(mu, L)
    v, last = np.zeros((6, *x0.shape)), np.zeros(len(x0))
    v[0] = v[1] = x0
    for second, i, j, t in events:
        for node in {i, j}:
            v[:, node] = expm(M * (second - last[node])) @ v[:, node]
            last[node] = second
        if i == j:
            r = g(v[0, i], t, i) - nu * v[0, i] - v[3, i]
            v[0, i] -= r / (4 * L)
            v[1, i] -= r / (4 * np.sqrt(L * nu))
            v[3, i] += (np.sqrt(nu / L) / 4 + 1) * r
        else:
            p = (v[2, i] + v[4, i]) - (v[2, j] + v[4, j])
            for sign, node in ((1, i), (-1, j)):
                v[4, node] -= sign * p / 2
                v[5, node] -= sign * 2 * chi1 * np.sqrt(L / nu) * p
    return v, last


def a2cid2_in_rounds(W, G, X, lr, T, chi1, chi2):
    """A second passes each round; then all nodes step, and all meet by W: both copies, `[T + 1, n, d]` each."""
    turn = expm(np.array([[-1.0, 1.0], [1.0, -1.0]]) / (2 * np.sqrt(chi1 * chi2)))
    pair, seen = np.stack([X, X]), [np.stack([X, X])]
    for t in range(T):
        pair = np.einsum("ab,bnd->and", turn, pair)
        pair = pair - lr * G(pair[0], t)
        p = 2 * (pair[0] - W @ pair[0])
        pair = pair - np.array([0.5, np.sqrt(chi1 / chi2) / 2])[:, None, None] * p
        seen.append(pair)
    return tuple(np.stack(seen, axis=1))


def dadao_in_rounds(W, F, X, T, mu, L, chi1):
    """The same of six vectors: the models, and all of them, `[6, T + 1, n, d]`."""
    M, nu = dadao_matrix(mu, L)
    turn, v = expm(M), np.zeros((6, *X.shape))
    v[0] = v[1] = X
    seen = [v.copy()]
    for t in range(T):
        v = np.einsum("ab,bnd->and", turn, v)
        r = F(v[0], t) - nu * v[0] - v[3]
        v[[0, 1]] -= r * np.array([1 / (4 * L), 1 / (4 * np.sqrt(L * nu))])[:, None, None]
        v[3] += (1 + np.sqrt(nu / L) / 4) * r
        p = 2 * (v[2] + v[4] - W @ (v[2] + v[4]))
        v[4] -= p / 2
        v[5] -= 2 * chi1 * np.sqrt(L / nu) * p
        seen.append(v.copy())
    seen = np.stack(seen, axis=1)
    return seen[0], seen
