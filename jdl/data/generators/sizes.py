"""The numbers of training and test examples, and the check that they fit in memory."""

from __future__ import annotations

import numpy as np

from jdl import checks

__all__ = ["checked", "gaussian"]


def checked(examples: int, test_examples: int, features: int) -> tuple[int, int, int]:
    """The three numbers, checked; labels are computed in 64 bits.

    Raises:
      InputError: if a number is out of range, or the data do not fit in memory.
    """
    examples = checks.whole("examples", examples, 1)
    test_examples = checks.whole("test_examples", test_examples, 1)
    features = checks.whole("features", features, 1)
    total = examples + test_examples
    checks.fits(20 * total * features, f"{total} examples of {features} features")
    return examples, test_examples, features


def gaussian(rng: np.random.Generator, examples: int, features: int) -> np.ndarray:
    """Standard normal features, f32[N, d]."""
    return rng.standard_normal((examples, features), np.float32)
