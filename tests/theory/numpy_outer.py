"""SPARTA, DeMo, SparseLoCo and MuLoCo again, in plain NumPy float64, from the papers and the authors' code alone.

`G(X, t, k)`, `x`, `samples[t]`, n and `local_steps` are those of `numpy_federated.py`. A model is a row of numbers;
`shape` says of which array.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy_federated import SGD, inner_loop, nesterov, spread
from scipy.fft import dctn, idctn


def sparta(W, G, X, lr, rounds, masks):
    """Every step the parameters that `masks[t]` names are replaced by their mean over nodes; the others stay."""
    out = [X]
    for t in range(rounds):
        X = X - lr * G(X, t, 0)
        mean = W @ X
        X = X.copy()
        X[:, masks[t]] = mean[:, masks[t]]
        out.append(X)
    return np.stack(out)


def blocks(shape, chunk):
    """The index of each block of a matrix: its sides are the largest divisors of the matrix's that are <= chunk."""
    sides = [max(d for d in range(1, chunk + 1) if length % d == 0) for length in shape]
    corners = itertools.product(*(range(0, length, side) for length, side in zip(shape, sides, strict=True)))
    return [tuple(slice(a, a + side) for a, side in zip(corner, sides, strict=True)) for corner in corners]


def top_of(block, k):
    """1 at the k largest magnitudes of a block."""
    mask = np.zeros(block.size)
    mask[np.argsort(-np.abs(block).ravel(), kind="stable")[:k]] = 1
    return mask.reshape(block.shape)


def averaged(sums, counts, n, by_senders):
    return sums / np.maximum(counts, 1) if by_senders else sums / n


def demo(samples, G, x, lr, rounds, n, shape, chunk, k, decay, by_senders=True):
    """DeMo, Peng et al. 2024, and the authors' `demo.py`: delta_i <- decay delta_i + lr g_i; the k largest frequencies
    of each block leave delta_i; x <- x - lr sign of the inverse transform of their means. Returns x and delta."""
    delta, out = np.zeros((n, x.size)), [(x, np.zeros((n, x.size)))]
    for t in range(rounds):
        g = G(spread(x, n), t, 0)
        delta, sums, counts = delta.copy(), np.zeros(shape), np.zeros(shape)
        for i in samples[t]:
            delta[i] = decay * delta[i] + lr * g[i]
            matrix = delta[i].reshape(shape)
            for at in blocks(shape, chunk):
                waves = dctn(matrix[at], norm="ortho")
                mask = top_of(waves, k)
                sums[at] += waves * mask
                counts[at] += mask
                matrix[at] -= idctn(waves * mask, norm="ortho")
        step = np.zeros(shape)
        for at in blocks(shape, chunk):
            mean = averaged(sums[at], counts[at], len(samples[t]), by_senders)
            step[at] = np.sign(idctn(mean, norm="ortho"))
        x = x - lr * step.ravel()
        out.append((x, delta))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def in_bins(values, bits, sigmas=6.0):
    """The authors' `_quantize` and `_dequantize`: bins of equal width about the mean, each decoded as its mean."""
    bins, shift = 2**bits, values.mean()
    centred = values - shift
    scale = sigmas * (centred.std(ddof=1) if values.size > 1 else 0) / bins
    level = np.clip(np.rint(centred / (scale or 1.0) + bins // 2), 0, bins - 1)
    decoded = np.empty_like(values)
    for b in np.unique(level):
        decoded[level == b] = shift + centred[level == b].mean()
    return decoded


def sparseloco(
    samples, G, x, lr, rounds, local_steps, n, shape, chunk, fraction, decay, bits=0, outer_lr=1.0, by_senders=True,
    inner=SGD,
):  # fmt: skip
    """SparseLoCo, Sarfi et al. 2025: e_i <- decay e_i + x - y_i; the largest entries of each block, in bins, leave e_i;
    x <- x - outer_lr times their mean. bits = 0: without bins. Returns x and e."""
    e, optimizer = np.zeros((n, x.size)), inner((n, x.size))
    out = [(x, e)]
    for t in range(rounds):
        Y = inner_loop(optimizer, G, spread(x, n), lr, t, local_steps, samples[t])
        e, sums, counts = e.copy(), np.zeros(x.size), np.zeros(x.size)
        for i in samples[t]:
            e[i] = decay * e[i] + x - Y[i]
            mask = np.zeros(shape)
            for at in blocks(shape, chunk):
                block = e[i].reshape(shape)[at]
                mask[at] = top_of(block, max(1, round(fraction * block.size)))
            sent = np.where(mask.ravel() > 0, e[i], 0)
            if bits:
                sent[mask.ravel() > 0] = in_bins(sent[mask.ravel() > 0], bits)
            sums, counts = sums + sent, counts + mask.ravel()
            e[i] -= sent
        x = x - outer_lr * averaged(sums, counts, len(samples[t]), by_senders)
        out.append((x, e))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


class Muon:
    """Muon, Jordan 2024, of one matrix in each row: the momentum, a mean of gradients with Nesterov's look-ahead and
    corrected for its start, is brought near the orthogonal factor of its polar decomposition by five steps of
    X <- a X + (b X X^T + c (X X^T)^2) X."""

    def __init__(self, shape, matrix=(4, 3), beta=0.95):
        self.m, self.count, self.matrix, self.beta = np.zeros(shape), np.zeros((shape[0], 1)), matrix, beta

    def __call__(self, Y, g, lr, rows=slice(None)):
        Y, g, beta = Y.copy(), g[rows], self.beta
        self.count[rows] += 1
        self.m[rows] = beta * self.m[rows] + (1 - beta) * g
        ahead = beta * self.m[rows] / (1 - beta ** (self.count[rows] + 1))
        ahead = ahead + (1 - beta) * g / (1 - beta ** self.count[rows])
        Y[rows] -= lr * np.stack([self.orthogonal(row.reshape(self.matrix)).ravel() for row in ahead])
        return Y

    @staticmethod
    def orthogonal(M):
        X = M / (np.sqrt(np.square(M).sum()) + 1e-8)
        for _ in range(5):
            A = X @ X.T
            X = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
        return np.sqrt(max(1, M.shape[1] / M.shape[0])) * X


def muloco(samples, G, x, lr, rounds, local_steps, n, outer_lr, outer_momentum, C, decay, inner=Muon):
    """MuLoCo, Therien et al. 2025: e_i <- decay e_i + x - y_i; q_i = C(e_i) leaves e_i; outer Nesterov along the
    mean of the q_i. C acts on rows. Returns x and e."""
    e, b, optimizer = np.zeros((n, x.size)), np.zeros_like(x), inner((n, x.size))
    out = [(x, e)]
    for t in range(rounds):
        Y, now = inner_loop(optimizer, G, spread(x, n), lr, t, local_steps, samples[t]), samples[t]
        e = e.copy()
        e[now] = decay * e[now] + x - Y[now]
        sent = C(e[now])
        e[now] -= sent
        x, b = nesterov(x, b, sent.mean(0), outer_lr, outer_momentum)
        out.append((x, e))
    return tuple(np.stack(part) for part in zip(*out, strict=True))
