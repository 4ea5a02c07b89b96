"""Clustered concepts: owners share their inputs, and clusters of them label these inputs by different rules."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.generators.mixture import gaussian_mixture
from jdl.data.generators.sizes import checked, gaussian

__all__ = ["RULES", "clustered_concepts"]

RULES = ("shifted", "reversed", "permuted", "teachers")


def clustered_concepts(
    data: Dataset | None = None,
    owners: int = 8,
    clusters: int = 2,
    rule: str = "shifted",
    examples: int = 10_000,
    test_examples: int = 2_000,
    features: int = 32,
    classes: int = 10,
    seed: int = 0,
) -> Dataset:
    """Owners in clusters: all see the same distribution of inputs, and each cluster labels inputs by a rule of its own.

    Examples are divided evenly over owners at random, and owners over clusters. Let y be the class of an example, of C
    classes. In cluster c its label is

    - "shifted": `(y + floor(c C / clusters)) mod C`;
    - "reversed": `y` in cluster 0 and `C - 1 - y` in cluster 1;
    - "permuted": `p_c(y)` with random permutations p_c, of which p_0 is the identity;
    - "teachers": `argmax x W_c` for standard normal x, where W_c has random orthonormal columns, independent for each
      cluster. So classes are equally frequent, and all clusters can be learnt without error by linear models.

    The first three rules relabel a Gaussian mixture (see `gaussian_mixture`), or `data`. The best accuracy within a
    cluster is then that of the original labels. Where each class has another label in every cluster, as with "shifted",
    and with "reversed" and an even number of classes, one model for all clusters is right on at most `1 / clusters` of
    all examples.

    The test set is divided over owners and labelled in the same way. For node i to be owner i, divide the training
    examples with `partition=data.train_owner`.

    `truth`: that of `data`, with "cluster" i32[owners], and "labels" i32[clusters, classes], the label of each class in
    each cluster; or for teachers "weights" W, f64[clusters, features, classes], and "bayes_accuracy", 1.

    Args:
      data: a data set with classes; None for one that is drawn.
      owners: number of owners, at least the number of clusters.
      clusters: number of clusters, at most the number of classes.
      rule: how clusters label: "shifted", "reversed" (two clusters), "permuted" or "teachers" (without `data`).
      examples: number of training examples to draw if `data` is None.
      test_examples: number of test examples to draw if `data` is None.
      features: number of features to draw if `data` is None, at least the number of classes.
      classes: number of classes if `data` is None.
      seed: seed of the draw, of the rules, and of the division over owners and clusters.

    Raises:
      InputError: if the rule is unknown or does not fit, or a number is out of range.

    >>> data = clustered_concepts(examples=100, owners=4)
    >>> data.truth["labels"].tolist()
    [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]]
    >>> np.bincount(data.train_owner).tolist(), np.bincount(data.truth["cluster"]).tolist()
    ([25, 25, 25, 25], [2, 2])

    References:
      Ghosh et al., "An Efficient Framework for Clustered Federated Learning", NeurIPS 2020; Sattler, Mueller and Samek,
      "Clustered Federated Learning", IEEE TNNLS 2021, for clusters with permuted labels.
    """
    clusters, seed = checks.whole("clusters", clusters, 1), checks.whole("seed", seed, 0)
    owners, rule = checks.whole("owners", owners, 1), checks.known("rule", rule, RULES)
    checks.require(
        clusters <= owners, f"got clusters={clusters} of {owners} owners, need an owner for each; try owners={clusters}"
    )
    rng = np.random.default_rng([seed, 2])
    truth = {"cluster": rng.permutation(np.arange(owners, dtype=np.int32) % clusters)}
    if rule == "teachers":
        checks.require(data is None, 'got data with rule="teachers", whose inputs are drawn; leave data out')
        data, truth["weights"] = _drawn(examples, test_examples, features, classes, clusters, rng)
    else:
        data = gaussian_mixture(examples, test_examples, features, classes, seed=seed) if data is None else data
        truth["labels"] = _rules(data, clusters, rule, rng)
    labelled = []
    for x, y in ((data.train_x, data.train_y), (data.test_x, data.test_y)):
        owner = rng.permutation(np.arange(len(x), dtype=np.int32) % owners)
        cluster = truth["cluster"][owner]
        labelled.append((owner, _teach(x, truth["weights"], cluster) if y is None else truth["labels"][cluster, y]))
    (train_owner, train_y), (test_owner, test_y) = labelled
    return data._replace(
        train_y=train_y,
        test_y=test_y,
        name="clustered_concepts",
        source=f"{data.source} Divided over {owners} owners in {clusters} clusters with labels of their own ({rule}), "
        f"by seed {seed}.",
        train_owner=train_owner,
        test_owner=test_owner,
        truth={**(data.truth or {}), **truth},
    )


def _drawn(
    examples: int, test_examples: int, features: int, classes: int, clusters: int, rng: np.random.Generator
) -> tuple[Dataset, np.ndarray]:
    """Standard normal inputs without labels, and the linear teacher of each cluster."""
    examples, test_examples, features = checked(examples, test_examples, features)
    classes = checks.whole("classes", classes, 2)
    checks.require(
        classes <= features,
        f"got classes={classes} with features={features}, need a feature for each class; try features={classes}",
    )
    weights = np.linalg.qr(rng.standard_normal((clusters, features, classes)))[0]
    train_x, test_x = gaussian(rng, examples, features), gaussian(rng, test_examples, features)
    source = f"Drawn: {features} standard normal features, labelled by {clusters} linear teachers."
    data = Dataset(train_x, None, test_x, None, classes, "", source, truth={"bayes_accuracy": 1.0})
    return data, weights


def _rules(data: Dataset, clusters: int, rule: str, rng: np.random.Generator) -> np.ndarray:
    """The label of each class in each cluster, i32[clusters, classes]."""
    checks.require(isinstance(data, Dataset), f"got data={data!r}, need a data set; try data=jdl.data.load({data!r})")
    classes = data.num_classes
    checks.require(
        classes > 0 and data.train_y.ndim == 1,
        f"got {data.name} with targets of type {data.train_y.dtype} and shape {data.train_y.shape}, need one class for "
        "each example; give another data set",
    )
    checks.require(
        clusters <= classes, f"got clusters={clusters} with {classes} classes, need no more; try clusters={classes}"
    )
    checks.require(
        rule != "reversed" or clusters <= 2, f"got clusters={clusters} with rule='reversed', need two; try clusters=2"
    )
    identity = np.arange(classes, dtype=np.int32)
    make = {
        "shifted": lambda c: (identity + c * classes // clusters) % classes,
        "reversed": lambda c: identity[::-1] if c else identity,
        "permuted": lambda c: rng.permutation(identity) if c else identity,
    }[rule]
    return np.stack([make(c) for c in range(clusters)]).astype(np.int32)


def _teach(x: np.ndarray, weights: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """The labels i32[N] that the teachers of the examples' clusters give."""
    y = np.empty(len(x), np.int32)
    for c, teacher in enumerate(weights):
        y[cluster == c] = np.argmax(x[cluster == c].astype(np.float64) @ teacher, axis=1)
    return y
