"""Data sets bundled with the libraries that jdl needs: no file and no network."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.stratified import train_and_test

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
    checks.require(
        0.01 <= test_fraction <= 0.99,
        f"got test_fraction={test_fraction!r}, need a share between 0.01 and 0.99; try test_fraction=0.2",
    )
    seed = checks.whole("seed", seed, 0)
    pixels, labels = _images()
    x, y = (pixels / 16).astype(np.float32), labels.astype(np.int32)  # the largest pixel value is 16
    train, test = train_and_test(y, test_fraction, seed)
    source = "The test part of the UCI optical digits, 1,797 images of 8x8 pixels, as bundled with scikit-learn."
    return Dataset(x[train], y[train], x[test], y[test], num_classes=10, name="digits", source=source)


def _images() -> tuple[np.ndarray, np.ndarray]:
    """Pixels, f64[N, 64], and labels, f64[N], from the file that lies with scikit-learn.

    To import scikit-learn takes a second, to read this file a few hundredths. If a version of it keeps the file
    elsewhere, its own function finds it.
    """
    found = importlib.util.find_spec("sklearn")
    for folder in found.submodule_search_locations if found else ():
        file = Path(folder, "datasets", "data", "digits.csv.gz")
        if file.is_file():
            table = np.loadtxt(file, delimiter=",")
            return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)
