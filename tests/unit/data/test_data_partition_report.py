"""Reports and pictures of partitions: numbers by hand, by laws of Dirichlet mixtures, and of empty or single nodes."""

import numpy as np
import pytest

from jdl import checks
from jdl.data import partition
from jdl.data.partition import report
from jdl.show import partition_picture

BY_HAND = partition.Partition(
    np.array([[0, 1, 2], [3, 4, 0], [5, 0, 0], [0, 0, 0]], np.int32), np.array([3, 2, 1, 0], np.int32)
)
LABELS = np.array([0, 0, 1, 1, 1, 2])


def test_histogram_by_hand():
    np.testing.assert_array_equal(report.label_histogram(BY_HAND, LABELS), [[2, 1, 0], [0, 2, 0], [0, 0, 1], [0, 0, 0]])
    wide = report.label_histogram(BY_HAND, LABELS, num_classes=5)
    assert wide.shape == (4, 5) and wide.dtype == np.int32 and wide[:, 3:].sum() == 0


def test_heterogeneity_by_hand():
    # p = (2, 3, 1) / 6; q = (2/3, 1/3, 0), (0, 1, 0), (0, 0, 1). Distances: 1/3, 1/2, 5/6.
    told = report.heterogeneity(BY_HAND, LABELS)
    assert told.total_variation == pytest.approx((1 / 3 + 1 / 2 + 5 / 6) / 3)
    assert told.weighted_total_variation == pytest.approx((3 / 3 + 2 / 2 + 5 / 6) / 6)
    entropy = -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3))
    assert told.effective_classes == pytest.approx(np.exp(entropy / 3))
    # Gini by its definition: mean absolute difference over twice the mean.
    sizes = np.array([3, 2, 1, 0])
    assert told.gini == pytest.approx(np.abs(sizes[:, None] - sizes).mean() / (2 * sizes.mean()))
    assert told.empty_nodes == 1
    # Squared distances 1/9 + 1/36 + 1/36 = 1/6, 1/9 + 1/4 + 1/36 = 7/18, 1/9 + 1/4 + 25/36 = 19/18, weights 3 : 2 : 1;
    # the most there can be is 1 - 14/36 = 11/18.
    share = (3 / 6 + 2 * 7 / 18 + 19 / 18) / 6 / (11 / 18)
    assert told.concentration == pytest.approx(1 / share - 1)


def test_ends_of_the_scale():
    one = report.heterogeneity(partition.IID()(LABELS, 1), LABELS)
    assert one == pytest.approx((0, 0, np.exp(np.log(6) - (2 * np.log(2) + 3 * np.log(3)) / 6), 0, 0, np.inf))
    alone = report.heterogeneity(partition.AlongGraph()(np.arange(5), 5), np.arange(5))
    assert alone == pytest.approx((0.8, 0.8, 1, 0, 0, 0), abs=1e-12)
    same = report.heterogeneity(partition.IID()(np.zeros(8, int), 3), np.zeros(8, int))
    assert same.total_variation == 0 and same.effective_classes == 1 and same.concentration == np.inf
    names = report.heterogeneity(BY_HAND, np.array(["a", "a", "b", "b", "b", "c"]))
    assert names == report.heterogeneity(BY_HAND, LABELS)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
def test_concentration_is_found_again(alpha):
    labels = np.arange(200_000) % 10
    found = report.heterogeneity(partition.DirichletPerNode(alpha)(labels, 500), labels).concentration
    # Of the share 1 / (alpha + 1), five standard errors over 500 nodes (measured spread below the share itself).
    assert abs(1 / (found + 1) * (alpha + 1) - 1) < 5 / np.sqrt(500)
    by_class = report.heterogeneity(partition.Dirichlet(alpha / 10)(labels, 500), labels).concentration
    # By class, sizes weigh nodes unequally: the effective number is the square of the sum over the sum of squares.
    counts = partition.Dirichlet(alpha / 10)(labels, 500).counts.astype(float)
    effective = counts.sum() ** 2 / np.sum(counts**2)
    assert abs(1 / (by_class + 1) * (alpha + 1) - 1) < 5 / np.sqrt(effective)


def test_iid_reads_as_its_size():
    labels = np.arange(20_000) % 10
    found = report.heterogeneity(partition.IID()(labels, 1000), labels).concentration  # m = 20: the share is about 1/m
    assert found == pytest.approx(19, rel=0.1)


def test_histograms_refuse_what_does_not_fit():
    with pytest.raises(checks.InputError, match=r"got 5 labels with a partition of 6 examples"):
        report.label_histogram(BY_HAND, LABELS[:5])
    with pytest.raises(checks.InputError, match=r"got labels from 0 to 2 with num_classes=2, need 0 to 1"):
        report.label_histogram(BY_HAND, LABELS, 2)
    with pytest.raises(checks.InputError, match=r"got labels from -1 to 1"):
        report.label_histogram(BY_HAND, LABELS - 1)
    with pytest.raises(checks.InputError, match=r"got labels of type <U21, need whole numbers"):
        report.label_histogram(BY_HAND, LABELS.astype(str))
    with pytest.raises(checks.InputError, match=r"type float64, need one class for each example"):
        report.heterogeneity(BY_HAND, LABELS * 1.0)


def test_bubbles_have_areas_by_count(tmp_path):
    figure = partition_picture.draw(BY_HAND, LABELS, path=tmp_path / "few.png")
    (axes,) = figure.axes
    (bubbles,) = axes.collections
    np.testing.assert_array_equal(bubbles.get_offsets(), [[0, 0], [0, 1], [1, 1], [2, 2]])
    sizes = bubbles.get_sizes()
    np.testing.assert_allclose(sizes / sizes.max(), [1, 0.5, 1, 0.5])
    assert (tmp_path / "few.png").stat().st_size > 5000
    assert "without data: 1" in figure.get_suptitle()


def test_thousands_are_stacked(tmp_path):
    labels = np.arange(9000) % 3
    split = partition.Dirichlet(alpha=0.1)(labels, 3000)
    figure = partition_picture.draw(split, labels, path=tmp_path / "many.png")
    shares, sizes = figure.axes
    assert [text.get_text() for text in shares.get_legend().get_texts()] == ["2", "1", "0"]
    assert shares.get_xlim() == (0, np.sum(split.counts > 0)) and sizes.get_xlim() == (0, 3000)
    assert (tmp_path / "many.png").stat().st_size > 5000


def test_columns_are_means_of_nodes_with_one_main_label():
    counts = report.label_histogram(partition.Dirichlet(alpha=0.1)(np.arange(9000) % 3, 3000), np.arange(9000) % 3)
    main, shares, ends = partition_picture._columns(counts)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert 150 < main.size <= partition_picture.COLUMNS + 3
    assert np.all(np.diff(main) >= 0) and np.all(np.diff(ends) > 0) and ends[-1] == np.sum(counts.any(axis=1))
    held = counts[counts.any(axis=1)]
    np.testing.assert_allclose(np.diff(ends) @ shares, np.sum(held / held.sum(axis=1, keepdims=True), axis=0))
    np.testing.assert_allclose(shares.max(axis=1), shares[np.arange(main.size), main])


def test_many_classes_have_a_scale_and_an_axis_of_ones_own_is_used():
    from matplotlib.figure import Figure

    labels = np.arange(5000) % 50
    axes = Figure().subplots()
    figure = partition_picture.draw(partition.IID()(labels, 500), labels, ax=axes)
    assert figure is axes.figure and axes.get_legend() is None and figure.axes[1].get_ylabel() == "class"
    partition_picture.draw(partition.IID()(labels, 30), labels, ax=Figure().subplots())
