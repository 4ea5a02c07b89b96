"""A table of whole numbers with given sums of rows and of columns, near given proportions within the rows."""

from __future__ import annotations

import numpy as np

__all__ = ["tilted", "whole_with_margins"]

COOLING, STEPS = 4.0, 12


def whole_with_margins(
    log_mixture: np.ndarray, sizes: np.ndarray, totals: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """i64[n, C] with row sums `sizes: i[n]` and column sums `totals: i[C]`, near `sizes * tilted(...)`.

    Rows are rounded by systematic sampling, without bias. Then single examples change column, as few as columns are off
    by, in rows that rounded the one up and the other down where there are some. They are drawn by how far these are
    rounded, which leaves a bias of some hundredths of an example.

    >>> counts = whole_with_margins(np.zeros((4, 2)), np.full(4, 5), np.array([8, 12]), np.random.default_rng(0))
    >>> counts.tolist()
    [[2, 3], [2, 3], [2, 3], [2, 3]]
    """
    expected = sizes[:, None] * tilted(log_mixture, sizes, totals)
    ends = np.cumsum(expected, axis=1)
    ends[:, -1] = sizes
    ends = np.minimum(ends, sizes[:, None])
    counts = np.diff(np.floor(ends + rng.random((sizes.size, 1))), axis=1, prepend=0).astype(np.int64)
    excess = counts.sum(axis=0) - totals
    while excess.any():
        over, under = int(np.argmax(excess)), int(np.argmin(excess))
        moved = min(excess[over], -excess[under])
        _move(counts, expected, over, under, int(moved), rng)
        excess[over] -= moved
        excess[under] += moved
    return counts


def _move(
    counts: np.ndarray, expected: np.ndarray, over: int, under: int, moved: int, rng: np.random.Generator
) -> None:
    """So many examples from one column to another, in place, in rows drawn by how far they rounded that way."""
    while moved:
        up, down = counts[:, over] - expected[:, over], expected[:, under] - counts[:, under]
        weight = np.where(
            (up > 0) & (down > 0), np.maximum(up * down, 1e-18), 1e-18
        )  # rows that did not round that way come last
        rows = np.flatnonzero(counts[:, over])
        rows = rows[np.argsort(-np.log(weight[rows]) - rng.gumbel(size=rows.size))]
        each = np.minimum(counts[rows, over], -(-moved // rows.size))
        each = np.minimum(each, np.maximum(moved - (np.cumsum(each) - each), 0))
        counts[rows, over] -= each
        counts[rows, under] += each
        moved -= int(each.sum())


def tilted(log_mixture: np.ndarray, sizes: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """f64[n, C], rows in proportion to `exp(log_mixture + v)`, with the `v` for which `sizes @ rows = totals`.

    `v` minimises the convex `sum_i sizes_i log sum_c exp(log_mixture_ic + v_c) - totals @ v`: Newton's method in C
    unknowns. Where logarithms are large it has kinks; so it is solved at a high temperature first, which smooths them,
    and then at lower ones. At extreme concentrations sums may stay off by a few examples.
    """
    log_mixture = log_mixture - log_mixture.max(axis=1, keepdims=True)
    temperature = max(1.0, -float(log_mixture.mean()))
    v = np.zeros(totals.size)
    while True:
        v = _newton(log_mixture / temperature, sizes, totals, v / temperature) * temperature
        if temperature == 1:
            return _softmax(log_mixture + v)[0]
        temperature = max(1.0, temperature / COOLING)


def _newton(logits: np.ndarray, sizes: np.ndarray, totals: np.ndarray, v: np.ndarray) -> np.ndarray:
    ridge = 1e-9 * totals.sum() * np.eye(totals.size)
    rows, value = _softmax(logits + v)
    value = sizes @ value - totals @ v
    for _ in range(STEPS):
        gradient = sizes @ rows - totals
        if np.abs(gradient).max() < 0.01:  # of an example
            break
        hessian = np.diag(sizes @ rows) - (rows * sizes[:, None]).T @ rows
        step = np.linalg.solve(hessian + ridge, -gradient)
        step *= min(1.0, 8.0 / np.abs(step).max())
        slope, length = float(gradient @ step), 1.0
        while True:
            new_v = v + length * step
            new_rows, new_value = _softmax(logits + new_v)
            new_value = sizes @ new_value - totals @ new_v
            if new_value <= value + 1e-4 * length * slope:
                v, rows, value = new_v, new_rows, new_value
                break
            length /= 4
            if length < 1e-3:
                return v
    return v


def _softmax(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows, f64[n, C], and the logarithm of the sum of exponentials of each, f64[n]."""
    highest = logits.max(axis=1, keepdims=True)
    rows = logits - highest
    np.exp(rows, out=rows)
    total = rows.sum(axis=1, keepdims=True)
    rows /= total
    return rows, (highest + np.log(total))[:, 0]
