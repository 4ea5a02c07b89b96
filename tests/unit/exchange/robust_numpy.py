"""Robust rules by brute force: each for one node, from the papers, in NumPy and double precision.

A rule takes `x: [m, d]`, the messages that arrived, the node's own first among peers, and `w: [m]`, their weights.
"""

import itertools

import numpy as np

from jdl import plan as plans


def distances(x):
    with np.errstate(invalid="ignore"):
        gap = np.linalg.norm(x[:, None] - x[None], axis=2)
    return np.where(np.isfinite(gap), gap, np.inf)


def geometric_median(x, w, iterations, nu):
    w = w / w.sum()
    z = w @ x
    for _ in range(iterations):
        b = w / np.maximum(nu, np.linalg.norm(x - z, axis=1))
        z = b @ x / b.sum()
    return z


def krum_scores(x, f):
    squared, count = distances(x) ** 2, max(len(x) - f - 2, 1)
    return np.array([sum(sorted(np.delete(row, i))[:count]) for i, row in enumerate(squared)])


def krum(x, w, f):
    return x[np.argmin(krum_scores(x, f))]


def multi_krum(x, w, f, keep=None):
    keep = max(len(x) - f, 1) if keep is None else keep
    return x[np.argsort(krum_scores(x, f), kind="stable")[:keep]].mean(axis=0)


def neighbourhoods(plan, own, sent):
    """For each row the messages that arrived, its own first, and their weights; for a server the one list."""
    plan = plans.one_by_one(plans.settled(plan))
    links = plan.links
    own, sent = (np.asarray(x, np.float64) for x in (own, sent))
    weights = np.asarray(links.weights, np.float64)
    if weights.ndim == 1:
        there = weights != 0
        return [(sent[there], weights[there] / weights[there].sum())]
    who = np.asarray(plans.senders(links))
    rows = []
    for i in range(len(own)):
        there = weights[i] != 0
        w = np.concatenate([[float(plan.self_weights[i])], weights[i, there]])
        rows.append((np.concatenate([own[i : i + 1], sent[who[i, there]]]), w))
    return rows


def all_subsets(m, size):
    return itertools.combinations(range(m), size)
