"""Gaussian classes for which the best accuracy is known."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.generators.sizes import checked, gaussian

__all__ = ["best_accuracy", "gaussian_mixture"]


def gaussian_mixture(
    examples: int = 10_000,
    test_examples: int = 2_000,
    features: int = 32,
    classes: int = 10,
    separation: float = 4.0,
    seed: int = 0,
) -> Dataset:
    """Equally likely Gaussian classes: `x = mean_y + N(0, I)`, with a distance `separation` between any two means.

    The means are `separation / sqrt(2)` times random orthonormal vectors. The best classifier chooses the nearest mean,
    and is linear.

    `truth`: "means" f64[classes, features]; "bayes_accuracy", the accuracy of the best classifier, which is
    `Phi(separation / 2)` for two classes.

    Args:
      examples: number of training examples.
      test_examples: number of test examples.
      features: number d of features, at least the number of classes.
      classes: number of classes.
      separation: distance between two means, in standard deviations of a feature.
      seed: seed of the random draw.

    Raises:
      InputError: if there are more classes than features, or a number is out of range.

    >>> data = gaussian_mixture(classes=2, separation=2.0)
    >>> round(data.truth["bayes_accuracy"], 4)  # Phi(1)
    0.8413
    """
    examples, test_examples, features = checked(examples, test_examples, features)
    classes = checks.whole("classes", classes, 2)
    checks.require(
        classes <= features,
        f"got classes={classes} with features={features}, need a feature for each class; try features={classes}",
    )
    checks.bounded("separation", separation, 0, 1e6, 4.0)
    rng = np.random.default_rng(checks.whole("seed", seed, 0))
    means = np.linalg.qr(rng.standard_normal((features, classes)))[0].T * separation / np.sqrt(2)
    train_y, test_y = (rng.integers(0, classes, size, np.int32) for size in (examples, test_examples))
    train_x, test_x = (gaussian(rng, len(y), features) + means.astype(np.float32)[y] for y in (train_y, test_y))
    return Dataset(
        *(train_x, train_y, test_x, test_y),
        num_classes=classes,
        name="gaussian_mixture",
        source=f"Drawn with seed {seed}: {classes} Gaussian classes in {features} dimensions, {separation} apart.",
        truth={"means": means, "bayes_accuracy": best_accuracy(classes, separation)},
    )


def best_accuracy(classes: int, separation: float) -> float:
    """P(nearest mean is correct) = integral of phi(z - a) Phi(z)^(classes - 1) dz with a = separation / sqrt(2).

    Along the orthonormal directions of the means an example has independent normal coordinates, with mean a for its own
    class and 0 for the others; it is classified correctly if the coordinate of its class is the largest. For two
    classes this is Phi(separation / 2).

    >>> round(best_accuracy(10, 0.0), 12)
    0.1
    """
    from scipy.special import ndtr

    # The sum over equidistant points converges faster than any power of the step for this smooth, decaying integrand.
    steps = np.linspace(-12, 12, 2001)
    weights = np.exp(-(steps**2) / 2) / np.sqrt(2 * np.pi) * (steps[1] - steps[0])
    return float(np.sum(weights * ndtr(steps + separation / np.sqrt(2)) ** (classes - 1)))
