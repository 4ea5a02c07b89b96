"""Mixtures of labels in nodes of one size: stratified, drawn for each node, shared by a cluster."""

import time

import numpy as np
import pytest
from partition_cases import LABELS, N, histogram, is_lawful

from jdl import checks
from jdl.data import partition


@pytest.mark.parametrize("nodes", [3, 7, 100, 2000])
def test_stratified_nodes_have_one_mixture_to_within_one_example(nodes):
    counts = histogram(partition.Stratified()(LABELS, nodes), LABELS)
    assert np.all(np.ptp(counts, axis=0) <= 1) and np.ptp(counts.sum(axis=1)) <= 1


@pytest.mark.parametrize("alpha", [1e-300, 1e-3, 0.05, 0.5, 5.0, 1e3, 1e300])
@pytest.mark.parametrize("nodes", [1, 2, 37, 4096])
def test_mixtures_use_every_example_at_any_concentration(alpha, nodes):
    start = time.perf_counter()
    split = partition.DirichletPerNode(alpha)(LABELS, nodes)
    assert time.perf_counter() - start < 2
    is_lawful(split, nodes, N)
    assert np.ptp(split.counts) <= 1


def variance_over_law(nodes, alpha, labels, seeds, rule=None):
    """Of the label shares of nodes, over p (1 - p) / (alpha + 1), and the standard error of the mean over seeds."""
    p = np.bincount(labels) / labels.size
    rule = rule or (lambda labels, nodes, alpha, seed: partition.DirichletPerNode(alpha)(labels, nodes, seed))
    found = []
    for seed in range(seeds):
        counts = histogram(rule(labels, nodes, alpha, seed), labels)
        shares = counts / counts.sum(axis=1, keepdims=True)
        found.append(np.mean(np.sum((shares - p) ** 2, axis=1)) / np.sum(p * (1 - p)) * (alpha + 1))
    return np.mean(found), np.std(found) / np.sqrt(seeds)


@pytest.mark.parametrize("alpha", [0.05, 0.5, 5.0])
def test_mixtures_have_the_variance_of_the_law(alpha):
    # Var(q_c) = p_c (1 - p_c) / (alpha + 1), here with unequal p; the docstring promises 1 % at 400 nodes.
    labels = np.repeat(np.arange(5), [16000, 8000, 8000, 4000, 4000])
    ratio, error = variance_over_law(400, alpha, labels, seeds=12)
    assert abs(ratio - 1) < 0.01 + 5 * error and error < 0.02


@pytest.mark.parametrize(("nodes", "least"), [(10, 0.83), (30, 0.93), (100, 0.97)])
@pytest.mark.parametrize("alpha", [0.05, 0.5])
def test_few_nodes_lose_as_much_variance_as_the_docstring_says(nodes, least, alpha):
    ratio, error = variance_over_law(nodes, alpha, np.arange(20000) % 10, seeds=20)
    assert least - 5 * error < ratio < 1 + 5 * error
    assert error < 0.05


def test_mixtures_are_not_worse_for_those_who_come_last():
    # Drawing from what is left would give late nodes, or late ids, other mixtures than early ones.
    labels = np.arange(8000) % 10
    sums = np.zeros(400)
    for seed in range(20):
        counts = histogram(partition.DirichletPerNode(0.2)(labels, 400, seed=seed), labels)
        sums += np.max(counts, axis=1) / 20 / 20
    early, late = sums[:200], sums[200:]
    assert abs(early.mean() - late.mean()) < 5 * np.sqrt((early.var() + late.var()) / 200)


def test_small_mixtures_are_pure_and_large_ones_stratified():
    labels = np.arange(6000) % 10
    pure, equal = (histogram(partition.DirichletPerNode(a)(labels, 600), labels) for a in (1e-3, 1e12))
    assert np.mean(np.count_nonzero(pure, axis=1) == 1) > 0.95
    np.testing.assert_array_equal(equal, 1)  # sixty classes of ten in sizes of ten: one each


def test_both_conventions_agree_where_they_should():
    # Dirichlet(a, ..., a) by class has, with C equal classes and many nodes, mixtures Dirichlet(a, ..., a): sum C a.
    labels = np.arange(40000) % 4
    counts = histogram(partition.Dirichlet(alpha=0.5)(labels, 200), labels)
    shares = counts[counts.sum(axis=1) > 0] / counts.sum(axis=1, keepdims=True)[counts.sum(axis=1) > 0]
    per_class = np.sum((shares - 0.25) ** 2, axis=1)
    ratio = per_class.mean() / (0.75 / (4 * 0.5 + 1))
    assert abs(ratio - 1) < 5 * per_class.std() / per_class.mean() / np.sqrt(200)
    assert variance_over_law(200, 2.0, labels, seeds=3)[0] == pytest.approx(1, abs=0.1)


def test_nodes_of_a_cluster_share_a_distribution():
    labels = np.arange(40000) % 10
    counts = histogram(partition.ByCluster(clusters=4, alpha=0.5)(labels, 40), labels)
    assert np.all(counts.sum(axis=1) == 1000)
    clusters = counts.reshape(4, 10, 10)
    p = clusters.sum(axis=1, keepdims=True) / 10000
    # Within: hypergeometric about the cluster's own mixture. Between: far beyond it.
    sd = np.sqrt(1000 * p * (1 - p) * 9000 / 9999)
    z = (clusters - 1000 * p) / np.where(sd > 0, sd, 1)
    assert np.abs(z).max() < 5
    degrees = np.sum(sd > 0) * 9  # ten nodes share each class of a cluster
    assert abs(np.sum(z**2) - degrees) < 5 * np.sqrt(2 * degrees)
    assert np.mean(np.sum((p[:, 0] - 0.1) ** 2, axis=1)) > 0.1


def test_clusters_have_the_variance_of_the_law():
    labels = np.arange(40000) % 10

    def rule(labels, nodes, alpha, seed):
        return partition.ByCluster(clusters=nodes, alpha=alpha)(labels, nodes, seed=seed)

    ratio, error = variance_over_law(400, 0.5, labels, 6, rule)
    assert abs(ratio - 1) < 0.01 + 5 * error
    with pytest.raises(checks.InputError, match=r"got clusters=5 with nodes=4.*try clusters=4"):
        partition.ByCluster(clusters=5)(LABELS, 4)


def test_clusters_are_neighbours_in_id():
    labels = np.arange(9000) % 6
    shares = histogram(partition.ByCluster(clusters=6, alpha=0.05)(labels, 9), labels) / 1000
    distance = np.abs(shares[1:] - shares[:-1]).sum(axis=1) / 2
    cluster = np.array([0, 0, 1, 2, 2, 3, 4, 4, 5])
    np.testing.assert_array_equal(distance < 0.1, np.diff(cluster) == 0)


def test_a_concentration_is_a_number_above_zero():
    for rule in (partition.DirichletPerNode, partition.ByCluster):
        with pytest.raises(checks.InputError, match=r"got alpha=0, .*above 0; try alpha=0.5"):
            rule(alpha=0)
