"""PENS against NumPy: which models have the lowest loss on the minibatch of a node, and their mean."""

import beds
import numpy as np
import pytest
from beds import DIM, N
from table import LR, X

import jdl
from jdl import algorithms

pytestmark = pytest.mark.usefixtures("x64")
ROUNDS, STEPS = 25, 2


def pens(problem, W, x, keep, steps, rounds):
    """Onoszko et al. 2021, step 1, over the links of W; models and who was kept in the last round."""
    A, b, noise = np.asarray(problem.A), np.asarray(problem.b), float(problem.noise)
    draws = beds.draws(N, DIM)
    for t in range(rounds):
        sent = x.copy()
        for i in range(N):
            for k in range(steps):
                sent[i] -= LR * (A[i] @ sent[i] - b[i] + noise * draws[t, k, i])
        x, kept = sent.copy(), np.zeros((N, N))
        for i in range(N):
            others = [j for j in range(N) if j != i and W[i, j] > 0]
            bi = b[i] - noise * draws[t, 0, i]
            loss = {j: sent[j] @ A[i] @ sent[j] / 2 - bi @ sent[j] for j in others}
            best = sorted(others, key=loss.get)[:keep]
            kept[i, best] = 1
            x[i] = (sent[i] + sum(sent[j] for j in best)) / (1 + len(best))
    return x, kept


@pytest.mark.parametrize("keep", [2, pytest.param(9, marks=pytest.mark.slow)])
def test_pens_is_pens_in_numpy(keep):
    """And with as many kept as there are, the plain mean of a node and its neighbours."""
    problem, W = beds.quadratic(noise=0.3), beds.symmetric()
    expected, kept = pens(problem, W, X.copy(), keep, STEPS, ROUNDS)
    method = algorithms.PENS(lr=LR, keep=keep, local_steps=STEPS)
    run = beds.record(jdl.simulation(problem, method, beds.talk(W, method.needs)), X, rounds=ROUNDS)
    beds.same(run.models[[0, -1]], np.stack([X, expected]), 1e-10)
    degrees = ((W > 0) & ~np.eye(N, dtype=bool)).sum(1)
    assert np.array_equal(kept.sum(1), np.minimum(degrees, keep)) and degrees.max() > 2
    assert run.messages[-1].sum() == ROUNDS * degrees.sum()
    assert run.bits[-1].sum() == ROUNDS * degrees.sum() * DIM * 64
