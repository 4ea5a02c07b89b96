"""Logistic regression whose true parameter is sparse."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.generators.sizes import checked, gaussian

__all__ = ["sparse_logistic"]


def sparse_logistic(
    examples: int = 10_000,
    test_examples: int = 2_000,
    features: int = 100,
    nonzeros: int = 10,
    signal: float = 3.0,
    seed: int = 0,
) -> Dataset:
    """Standard normal features and two classes, `P(y = 1 | x) = 1 / (1 + exp(-theta . x))`, with a sparse theta.

    theta has `nonzeros` entries of `+-signal / sqrt(nonzeros)` at random places, so that theta . x ~ N(0, signal^2),
    and both classes are equally likely.

    `truth`: "parameter" theta, f64[features]; "support", i32[nonzeros], sorted; "bayes_accuracy", `E max(p, 1 - p)`
    with p the probability above.

    Args:
      examples: number of training examples.
      test_examples: number of test examples.
      features: number d of features.
      nonzeros: number of nonzero entries of theta, at most d.
      signal: Euclidean norm of theta.
      seed: seed of the random draw.

    Raises:
      InputError: if there are more nonzeros than features, or a number is out of range.

    >>> data = sparse_logistic(features=20, nonzeros=3, signal=2.0)
    >>> len(data.truth["support"]), round(float(np.linalg.norm(data.truth["parameter"])), 12)
    (3, 2.0)
    """
    from scipy.special import expit

    examples, test_examples, features = checked(examples, test_examples, features)
    nonzeros = checks.whole("nonzeros", nonzeros, 1)
    checks.require(
        nonzeros <= features, f"got nonzeros={nonzeros} of {features} features; try nonzeros={min(10, features)}"
    )
    checks.bounded("signal", signal, 0, 1e6, 3.0)
    rng = np.random.default_rng(checks.whole("seed", seed, 0))
    support = np.sort(rng.choice(features, nonzeros, replace=False)).astype(np.int32)
    parameter = np.zeros(features)
    parameter[support] = signal / np.sqrt(nonzeros) * rng.choice([-1.0, 1.0], nonzeros)
    xs = [gaussian(rng, size, features) for size in (examples, test_examples)]
    train_y, test_y = ((rng.random(len(x)) < expit(x @ parameter)).astype(np.int32) for x in xs)
    # E expit(signal |z|) for standard normal z, by the midpoint rule on z > 0.
    z = (np.arange(12_000) + 0.5) / 1000
    best = float(np.sum(expit(signal * z) * np.exp(-(z**2) / 2)) * np.sqrt(2 / np.pi) / 1000)
    return Dataset(
        *(xs[0], train_y, xs[1], test_y),
        num_classes=2,
        name="sparse_logistic",
        source=f"Drawn with seed {seed}: logistic regression with {nonzeros} of {features} parameters not 0.",
        truth={"parameter": parameter, "support": support, "bayes_accuracy": best},
    )
