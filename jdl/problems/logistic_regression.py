"""Logistic regression on a data set of two classes, with its optimum."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdl import checks
from jdl.data import Dataset, Partition, load
from jdl.data.readers.handed_over import as_dataset
from jdl.problems.division import divide, rule_of, takes_options_of_partitions
from jdl.problems.fitting import VECTORS, kind_of, say_scale
from jdl.problems.logistic import Logistic

__all__ = ["logistic_regression"]


@takes_options_of_partitions
def logistic_regression(
    data: str | Dataset | Any = "a9a",
    nodes: int = 100,
    partition: str | Partition | Any = "iid",
    regularization: float = 1e-3,
    batch_size: int = 0,
    data_dir: str | None = None,
    download: bool = False,
    seed: int = 0,
) -> Logistic:
    """Regularised logistic regression on a data set of two classes: strongly convex, its optimum known.

    A constant feature takes the place of an intercept. The objective is the mean over nodes, each with its own examples
    (see `Logistic`); the test part of the data is not used.

    Args:
      data: a name that `jdl.data.load` knows, or a data set of features and two classes, as `supervised` takes them.
      nodes: n, how many nodes share the training examples.
      partition: how examples are shared: a rule of `jdl.data.partition`, its name, or a partition that is made, as
        `supervised` takes them.
      regularization: of the squared norm, above 0, a lower bound of the curvature.
      batch_size: examples a minibatch, drawn with replacement; 0 for all of the node's.
      data_dir: where the files of data sets lie; JDL_DATA_DIR by default.
      download: whether the network may be asked (by data sets named tfds:...).
      seed: names the partition.

    Raises:
      InputError: the data have other than two classes, or are no features; a number is out of range.
    """
    nodes = checks.whole("nodes", nodes, 1)
    rule = rule_of(partition)
    data = load(data, data_dir, download) if isinstance(data, str) else as_dataset(data)
    kind = kind_of(data)
    checks.require(
        kind == VECTORS and data.num_classes == 2,
        f"got {data.name}, {kind} of {data.num_classes} classes, need features of two; try the problem supervised",
    )
    say_scale(data)
    split = divide(data, nodes, rule, seed)
    train_x = data.train_x / np.float32(255) if data.train_x.dtype == np.uint8 else data.train_x  # bytes, as everywhere
    dim, width = train_x.shape[1] + 1, split.indices.shape[1]
    checks.fits(6 * 8 * nodes * width * dim, f"nodes={nodes} with up to {width} examples each of {dim} features")
    features = np.concatenate([train_x, np.ones_like(train_x[:, :1])], axis=1)[split.indices]
    labels = 2 * data.train_y.astype(np.int32)[split.indices] - 1
    return Logistic.from_arrays(features, labels, split.counts, regularization, batch_size)
