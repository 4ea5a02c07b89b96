"""Labels from a random network: a network of the same form can learn them exactly."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.generators.sizes import checked, gaussian

__all__ = ["teacher"]


def teacher(
    examples: int = 10_000,
    test_examples: int = 2_000,
    features: int = 32,
    hidden: int = 64,
    classes: int = 10,
    noise: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Standard normal features, labelled by a network with one hidden layer: `y = argmax relu(x A) B`.

    A has random unit columns, so that all hidden units have the same distribution. B is normal with columns that sum to
    0, so that each logit has mean 0: no class is much rarer than the others. With probability `noise` a label is
    replaced by a random one (of all classes, including the right one), in training and test.

    `truth`: "hidden" A, f64[features, hidden]; "output" B, f64[hidden, classes]; "clean_train_y" and "clean_test_y",
    the teacher's labels; "bayes_accuracy", `1 - noise (1 - 1 / classes)`.

    Args:
      examples: number of training examples.
      test_examples: number of test examples.
      features: number of features.
      hidden: width of the hidden layer.
      classes: number of classes.
      noise: probability that a label is replaced, from 0 to 1.
      seed: seed of the random draw.

    >>> data = teacher(examples=100)
    >>> logits = np.maximum(data.train_x.astype(float) @ data.truth["hidden"], 0) @ data.truth["output"]
    >>> bool(np.all(np.argmax(logits, axis=1) == data.train_y))
    True
    """
    examples, test_examples, features = checked(examples, test_examples, features)
    hidden, classes = checks.whole("hidden", hidden, 2), checks.whole("classes", classes, 2)
    checks.bounded("noise", noise, 0, 1, 0.0)
    rng = np.random.default_rng(checks.whole("seed", seed, 0))
    first = rng.standard_normal((features, hidden))
    first /= np.linalg.norm(first, axis=0)
    second = rng.standard_normal((hidden, classes)) / np.sqrt(hidden)
    second -= second.mean(axis=0)
    xs = [gaussian(rng, size, features) for size in (examples, test_examples)]
    clean = [np.argmax(np.maximum(x.astype(np.float64) @ first, 0) @ second, axis=1).astype(np.int32) for x in xs]
    other = [rng.integers(0, classes, len(y), np.int32) for y in clean]
    train_y, test_y = (np.where(rng.random(len(y)) < noise, o, y) for y, o in zip(clean, other, strict=True))
    return Dataset(
        *(xs[0], train_y, xs[1], test_y),
        num_classes=classes,
        name="teacher",
        source=f"Drawn with seed {seed}: labels of a random {features}-{hidden}-{classes} network, {noise:.0%} noise.",
        truth={
            "hidden": first,
            "output": second,
            "clean_train_y": clean[0],
            "clean_test_y": clean[1],
            "bayes_accuracy": 1 - noise * (1 - 1 / classes),
        },
    )
