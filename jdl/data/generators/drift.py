"""Concept drift: the labels change their meaning over time."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.generators.shifts import turned
from jdl.data.generators.sizes import checked, gaussian

__all__ = ["KINDS", "drifting_concepts"]

KINDS = ("rotated", "swapped")


def drifting_concepts(
    examples: int = 10_000,
    test_examples: int = 2_000,
    concepts: int = 4,
    kind: str = "rotated",
    features: int = 32,
    classes: int = 2,
    angle: float = 45.0,
    seed: int = 0,
) -> Dataset:
    """Examples in temporal order, whose labels change their meaning at equal intervals, `concepts - 1` times.

    Features are standard normal, and `y = labels[c][argmax x W_c]` in concept c. W_0 has random orthonormal columns, so
    that classes are equally frequent in every concept, and the distribution of features never changes. From one concept
    to the next, "rotated" rotates W by `angle` (the boundary between two classes rotates by the same angle, so that
    concepts disagree on the share `angle / 180` of the examples of these two, for angles up to 180); "swapped"
    exchanges two random classes.

    The owner of an example is its concept; sampling="stream" follows time. The test set belongs to the last concept.

    `truth`: "weights" f64[concepts, features, classes]; "labels" i32[concepts, classes].

    Args:
      examples: number of training examples.
      test_examples: number of test examples.
      concepts: number of concepts, at most the number of training examples.
      kind: "rotated" or "swapped".
      features: number d of features, even, at least the number of classes.
      classes: number of classes.
      angle: angle in degrees from one concept to the next, for "rotated".
      seed: seed of the random draw.

    Raises:
      InputError: if the kind is unknown or a number is out of range.

    >>> data = drifting_concepts(examples=8, concepts=4)
    >>> data.train_owner.tolist()
    [0, 0, 1, 1, 2, 2, 3, 3]

    References:
      Hulten, Spencer and Domingos, "Mining Time-Changing Data Streams", KDD 2001, for a rotating hyperplane.
    """
    examples, test_examples, features = checked(examples, test_examples, features)
    concepts, classes = checks.whole("concepts", concepts, 1), checks.whole("classes", classes, 2)
    kind = checks.known("kind", kind, KINDS)
    checks.bounded("angle", angle, -360, 360, 45.0)
    checks.require(
        classes <= features and features % 2 == 0,
        f"got classes={classes} with features={features}, need an even number of features, at least one a class; "
        f"try features={max(features, classes) + max(features, classes) % 2}",
    )
    checks.require(concepts <= examples, f"got concepts={concepts} for {examples} examples; try concepts={examples}")
    rng = np.random.default_rng(checks.whole("seed", seed, 0))
    first = np.linalg.qr(rng.standard_normal((features, classes)))[0]
    degrees = angle * np.arange(concepts) if kind == "rotated" else np.zeros(concepts)
    weights = np.stack([turned(first.T, np.deg2rad(one)).T for one in degrees])
    labels = np.tile(np.arange(classes, dtype=np.int32), (concepts, 1))
    for concept in range(1, concepts):
        labels[concept] = labels[concept - 1]
        if kind == "swapped":
            pair = rng.choice(classes, 2, replace=False)
            labels[concept, pair] = labels[concept, pair[::-1]]
    owner = (np.arange(examples) * concepts // examples).astype(np.int32)
    train_x, test_x = gaussian(rng, examples, features), gaussian(rng, test_examples, features)
    train_y = np.empty(examples, np.int32)
    for concept in range(concepts):
        now = owner == concept
        train_y[now] = _label(train_x[now], weights[concept], labels[concept])
    return Dataset(
        *(train_x, train_y, test_x, _label(test_x, weights[-1], labels[-1])),
        num_classes=classes,
        name="drifting_concepts",
        source=f"Drawn with seed {seed}: {concepts} concepts in the order of time, each {kind} from the one before.",
        train_owner=owner,
        truth={"weights": weights, "labels": labels},
    )


def _label(x: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return labels[np.argmax(x.astype(np.float64) @ weights, axis=1)]
