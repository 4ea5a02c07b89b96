"""Data and partitions as Python users hold them: read where they can mean one thing only, else a sentence."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from jdl import checks
from jdl.data import Dataset, Partition
from jdl.data.partition import ByOwner, Dirichlet
from jdl.data.partition.given import as_partition
from jdl.data.partition.table import validated
from jdl.data.readers.handed_over import as_dataset

X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
Y = (np.arange(30) % 3).astype(np.int32)
DATA = Dataset(X[:20], Y[:20], X[20:], Y[20:], num_classes=3, name="t", source="")
FRAME = pd.DataFrame(X, columns=list("abcd"))


def changed(**parts):
    return DATA._replace(**parts)


@pytest.mark.parametrize(
    "form",
    [
        np.ndarray.tolist,
        pd.DataFrame,
        sparse.csr_array,
        jnp.asarray,
        lambda x: x.astype(object),
        lambda x: pd.DataFrame(x).astype({0: "Float32"}),
    ],
)
def test_arrays_of_any_library_are_the_same_data(form):
    found = as_dataset(changed(train_x=form(X[:20]), train_y=pd.Series(Y[:20]), test_y=Y[20:].tolist()))
    for got, expected in zip(found[:4], DATA[:4], strict=True):
        np.testing.assert_array_equal(got, expected)
    assert all(isinstance(array, np.ndarray) for array in found[:4])


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        [X, Y],
        (FRAME, pd.Series(Y)),
        (FRAME, pd.DataFrame({"y": Y})),
        (X, np.array(["cat", "dog", "owl"])[Y]),
        (FRAME, pd.Series(["cat", "dog", "owl"])[Y].reset_index(drop=True)),
        (X, Y + 1),
        {"x": X, "y": Y},
        {"data": X, "target": Y, "DESCR": "as scikit-learn hands it over"},
    ],
)
def test_of_x_and_y_a_fifth_is_held_out(data):
    found = as_dataset(data)
    assert (len(found.train_x), len(found.test_x), found.num_classes) == (24, 6, 3)
    place = {tuple(row): k for k, row in enumerate(X.tolist())}
    for x, y in ((found.train_x, found.train_y), (found.test_x, found.test_y)):
        np.testing.assert_array_equal(y, Y[[place[tuple(row)] for row in x.tolist()]])


@pytest.mark.parametrize(
    "data",
    [
        ((X[:20], Y[:20]), (X[20:], Y[20:])),
        dict(zip(("train_x", "train_y", "test_x", "test_y"), DATA[:4], strict=True)),
        dict(zip(("x_train", "y_train", "x_test", "y_test"), DATA[:4], strict=True)),
    ],
)
def test_two_parts_stay_as_they_are(data):
    for got, expected in zip(as_dataset(data)[:4], DATA[:4], strict=True):
        np.testing.assert_array_equal(got, expected)


NAN = np.where(np.arange(80).reshape(20, 4) == 7, np.nan, X[:20])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (changed(train_x=NAN), r"got t with train_x that is not finite in 32 bits: nan in example 1, 1 such numbers"),
        (changed(train_x=pd.DataFrame(NAN)), r"got t with train_x that is not finite"),
        (changed(train_x=[[None, 1, 2, 3]] * 20), r"got t with train_x that is not finite"),
        (
            changed(test_x=np.full((10, 4), np.inf)),
            r"t with test_x that is not finite in 32 bits: inf in example 0",
        ),
        (changed(train_x=np.full((20, 4), 1e300)), r"not finite in 32 bits: 1e\+300 in example 0, 80 such"),
        ((NAN, Y[:20]), r"got data with (train|test)_x that is not finite"),
        (changed(train_x=[[1, 2], [3]]), r"got train_x of type list, which is not an array of numbers"),
        (
            changed(train_x=FRAME[:20].assign(a="word")),
            r"got train_x of type DataFrame, which is not an array of numbers",
        ),
        (changed(train_y=["a"] * 20), r"got t with training examples of type float32 and targets of <U1"),
        (changed(train_y=None), r"got train_y of type NoneType, need an array"),
        (changed(train_y=Y[:20] + 1), r"got t with classes from 1 to 3, need them from 0 to 2"),
        (changed(train_y=Y[:19]), r"need as many targets as examples"),
        (changed(num_classes=None), r"got num_classes=None, need a whole number"),
        (changed(train_owner=[1, 2]), r"got t with owners of \(2,\), need one for each of the 20"),
        ((X, Y[:5]), r"got data with x of \(30, 4\) and y of \(5,\)"),
        ((X, Y, X, Y), r"got data of type tuple with 4 parts, need a jdl.data.Dataset, \(x, y\)"),
        (X, r"got data of type ndarray, need a jdl.data.Dataset"),
        ({"images": X, "labels": Y}, r"got data with the names 'images', 'labels', need"),
        (None, r"got data of type NoneType"),
    ],
)
def test_what_is_no_data_set_is_told(data, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        as_dataset(data)


ROWS = [[0, 2, 5], [1], [3, 4]]
OWNER = np.array([0, 1, 0, 2, 2, 0])


@pytest.mark.parametrize(
    "given",
    [
        ROWS,
        [np.array(row) for row in ROWS],
        tuple(map(tuple, ROWS)),
        dict(enumerate(ROWS)),
        {2: ROWS[2], 0: ROWS[0], 1: ROWS[1]},
        OWNER,
        OWNER.tolist(),
        np.arange(3)[:, None] == OWNER,
        [row.tolist() for row in np.arange(3)[:, None] == OWNER],
    ],
)
def test_a_partition_by_lists_masks_or_owners(given):
    split = as_partition(given, nodes=3, examples=6)
    assert [row[:count].tolist() for row, count in zip(split.indices, split.counts, strict=True)] == ROWS


def test_rows_of_one_length_and_empty_ones():
    np.testing.assert_array_equal(as_partition([[0, 1], [2, 3]], 2, 4).indices, [[0, 1], [2, 3]])
    np.testing.assert_array_equal(as_partition([[0, 1, 2, 3], []], 2, 4).counts, [4, 0])
    assert as_partition("iid", 2, 4) is None and as_partition(3, 2, 4) is None and as_partition(["iid"], 2, 4) is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (OWNER[:5], r"got partition as 5 numbers from 0 to 2, need the node, 0 to 2, of each of 6 examples"),
        (OWNER + 1, r"got partition as 6 numbers from 1 to 3"),
        ([[0, 1], [2, 3]], r"got a partition of 2 nodes, need 3; try nodes=2"),
        ([[0, 1], [2, 3], [4, 6]], r"got a partition of examples 0 to 6, for 6 examples"),
        ([[0, 1], [2, 3], [4, -1]], r"got a partition of examples -1 to 4"),
        ([[0, 1], [2, 3], [4.5, 5]], r"got a partition whose node 0 has|got a partition whose node 2 has float64"),
        (np.ones((3, 5), bool), r"got partition as masks of \(3, 5\), need \(3, 6\)"),
        ({"a": [0], "b": [1], "c": [2]}, r"got a partition for the nodes a, b, c, need all from 0 to 2"),
    ],
)
def test_what_is_no_partition_of_the_data_is_told(given, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        as_partition(given, nodes=3, examples=6)


@pytest.mark.parametrize(
    ("indices", "counts", "sentence"),
    [
        (np.eye(4, 6) > 0, np.ones(4, int), r"indices of bool and counts of int64, .* give masks as partition=masks"),
        (np.arange(8).reshape(4, 2) / 2, np.full(4, 2), r"indices of float64 and counts of int64, need whole"),
        (np.zeros((4, 2), int), np.ones(4), r"indices of int64 and counts of float64"),
        (np.zeros((4, 2), int), np.array([2, -1, 2, 2]), r"nodes with -1 to 2 examples in a table of 2 columns"),
        (np.zeros((4, 2), int), np.array([2, 3, 2, 2]), r"nodes with 2 to 3 examples in a table of 2 columns"),
        (np.zeros((4, 2), int), np.ones(3, int), r"indices of \(4, 2\) and counts of \(3,\)"),
        (np.zeros(4, int), np.ones(4, int), r"indices of \(4,\) and counts of \(4,\)"),
        (np.full((1, 2), 6), np.full(1, 2), r"got a partition of examples 0 to 6, for 6 examples"),
    ],
)
def test_every_field_of_a_partition_is_checked(indices, counts, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        validated(Partition(indices, counts), 6)


@pytest.mark.parametrize("rule", [ByOwner, Dirichlet])
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (["a", None, "b", "a"], r"without a value for example 1 \(1 in all\)"),
        (["a", np.nan, "b", "a"], r"without a value for example 1"),
        (["a", 1, "b", "a"], r"of the types int, str, need one"),
    ],
)
def test_owners_and_labels_that_cannot_be_sorted_are_told(rule, values, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        rule()(np.array(values, object), nodes=2, seed=0)
