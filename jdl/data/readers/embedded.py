"""Data sets bundled with the libraries that jdl needs: no file and no network."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset

__all__ = ["digits"]


def digits(test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Handwritten digits of 8x8 pixels, bundled with scikit-learn: 1,797 images of ten classes.

    Pixels are scaled from 0..16 to [0, 1] and flattened to 64 features. The test set is stratified: the share of each
    class is that of the whole data set, to within one image.

    Args:
      test_fraction: share of the images that is held out, between 0.01 and 0.99; 0.2 gives 1,437 and 360 images.
      seed: seed of the division into training and test set.

    Raises:
      InputError: if `test_fraction` makes one of the sets too small to hold every class.

    >>> data = digits()
    >>> data.train_x.shape, data.test_x.shape, data.num_classes
    ((1437, 64), (360, 64), 10)

    References:
      E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    checks.require(
        0.01 <= test_fraction <= 0.99,
        f"got test_fraction={test_fraction!r}, need a share between 0.01 and 0.99; try test_fraction=0.2",
    )
    seed = checks.whole("seed", seed, 0)
    pixels, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        (pixels / 16).astype(np.float32),  # the largest pixel value is 16
        labels.astype(np.int32),
        test_size=test_fraction,
        stratify=labels,
        random_state=seed,
    )
    source = "The test part of the UCI optical digits, 1,797 images of 8x8 pixels, as bundled with scikit-learn."
    return Dataset(train_x, train_y, test_x, test_y, num_classes=10, name="digits", source=source)
