"""Constants of graphs whose edges are used at random times: closed forms, and a brute force."""

import numpy as np
import pytest

from jdl import topology


@pytest.mark.parametrize("per_second", [1.0, 2.5])
def test_closed_forms(per_second):
    n = 9
    # A ring has n edges, each of rate per_second / 2; an edge is beside the rest of the ring, of resistance n - 1.
    rate = per_second / 2
    chi1, chi2 = topology.meeting_constants(topology.ring(n), per_second)
    assert chi1 == pytest.approx(1 / (rate * (2 - 2 * np.cos(2 * np.pi / n))))
    assert chi2 == pytest.approx((n - 1) / n / rate / 2)
    rate = per_second / (n - 1)
    assert topology.meeting_constants(topology.complete(n), per_second) == pytest.approx([1 / (n * rate)] * 2)
    # In a tree an edge is the only way, so that its resistance is 1 / rate.
    rate = n * per_second / 2 / (n - 1)
    chi1, chi2 = topology.meeting_constants(topology.star(n), per_second)
    assert (chi1, chi2) == pytest.approx((1 / rate, 1 / rate / 2))


def test_a_brute_force_with_rates_of_their_own():
    graph, rng = topology.random_regular(12, 4, seed=3), np.random.default_rng(0)
    rates = rng.uniform(0, 2, graph.edge_count) * (rng.random(graph.edge_count) < 0.9)
    lines = np.zeros((graph.edge_count, 12))
    lines[np.arange(len(lines)), graph.edges[:, 0]] = 1
    lines[np.arange(len(lines)), graph.edges[:, 1]] = -1
    laplacian = lines.T @ np.diag(rates) @ lines
    resistance = np.einsum("ei,ij,ej->e", lines, np.linalg.pinv(laplacian), lines)
    found = topology.meeting_constants(graph, edge_rates=rates)
    assert found.chi1 == pytest.approx(1 / np.sort(np.linalg.eigvalsh(laplacian))[1])
    assert found.chi2 == pytest.approx(resistance[rates > 0].max() / 2)
    assert found.chi2 <= found.chi1
    equal = topology.edge_rates(graph, 3.0)
    assert equal.sum() * 2 / 12 == pytest.approx(3.0) and np.ptp(equal) == 0
