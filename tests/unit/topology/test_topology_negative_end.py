"""lambda_2 of a large W whose smallest eigenvalue has the larger modulus: the sparse solver looks at both ends."""

import sys

import numpy as np
import pytest

from jdl.topology import extremes, from_weights, lambda_2

N, A, B = 20, 0.1, 0.9


def test_the_negative_end_counts_where_the_solver_is_sparse(monkeypatch):
    """W = 0.1 I + 0.9 (average over the other side of K_20,20) has the eigenvalues 1, 0.1 and 0.1 - 0.9 = -0.8."""
    other_side = np.kron([[0, 1], [1, 0]], np.full((N, N), 1 / N))
    topology = from_weights(A * np.eye(2 * N) + B * other_side)
    monkeypatch.setattr(sys.modules["jdl.topology.spectrum.eigenvalues"], "DENSE_NODES", 0)
    assert extremes(topology) == pytest.approx((A, A - B), abs=1e-9)
    assert lambda_2(topology) == pytest.approx(B - A, abs=1e-9)
