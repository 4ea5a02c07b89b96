"""Synthetic(alpha, beta): owners with different models and different features."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset

__all__ = ["synthetic"]

LEAST = 50  # the smallest number of examples of an owner


def synthetic(
    alpha: float = 1.0,
    beta: float = 1.0,
    owners: int = 30,
    features: int = 60,
    classes: int = 10,
    iid: bool = False,
    seed: int = 0,
) -> Dataset:
    """Each owner k has its own linear model and its own features: `y = argmax(x W_k + b_k)`.

    W_k, b_k ~ N(u_k, 1) with u_k ~ N(0, alpha^2), one number per owner; x ~ N(v_k, S) with S diagonal, S_jj = j^-1.2,
    v_k ~ N(B_k, 1) and B_k ~ N(0, beta^2), one number per owner. With `iid`, all owners share one W, b ~ N(0, 1) and
    v_k = 0. An owner has `50 + floor(LogNormal(4, 2))` examples, of which the last tenth is for the test.

    beta controls how far apart the features of owners are. alpha, as it was defined, shifts all logits of an owner by
    the same amount u_k (1 + sum_j x_j), and therefore changes no label: models differ by their own N(0, 1), also at
    alpha = 0.

    The paper writes N(0, alpha). Its code, which drew the data of its figures, uses alpha as the standard deviation,
    and so does this function. LEAF's own synthetic data follow another distribution.

    `truth`: "weights" f64[owners, features, classes], "biases" f64[owners, classes], "centres" v, f64[owners,
    features], "model_means" u and "feature_means" B, f64[owners].

    Args:
      alpha: standard deviation of u_k, at least 0.
      beta: standard deviation of B_k, at least 0.
      owners: number of owners.
      features: number of features, 60 in the paper.
      classes: number of classes, 10 in the paper.
      iid: whether all owners have the same distribution; alpha and beta are then not used.
      seed: seed of the random draw.

    Raises:
      InputError: if a number is out of range, or the data do not fit in memory.

    >>> data = synthetic(0.5, 0.5, owners=5)
    >>> data.train_x.shape[1], data.num_classes, int(np.bincount(data.train_owner).min()) >= 45
    (60, 10, True)

    References:
      Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020, section 5.1 and appendix C.1; code:
      github.com/litian96/FedProx, data/synthetic_1_1/generate_synthetic.py.
    """
    checks.bounded("alpha", alpha, 0, 1e6, 1.0)
    checks.bounded("beta", beta, 0, 1e6, 1.0)
    owners, features = checks.whole("owners", owners, 1), checks.whole("features", features, 1)
    classes = checks.whole("classes", classes, 2)
    rng = np.random.default_rng(checks.whole("seed", seed, 0))
    # Checked before the sizes are drawn, which are at least 50.
    checks.fits(20 * LEAST * owners * features + 8 * owners * features * classes, f"{owners} owners")
    sizes = np.floor(rng.lognormal(4, 2, owners)).astype(np.int64) + LEAST
    total = int(sizes.sum())
    checks.fits(20 * total * features + 8 * owners * features * classes, f"{owners} owners, {total} examples in all")
    model_means, feature_means = rng.normal(0, alpha, owners), rng.normal(0, beta, owners)
    shared = 1 if iid else owners
    weights = rng.standard_normal((shared, features, classes))
    biases = rng.standard_normal((shared, classes))
    centres = rng.standard_normal((owners, features))
    if iid:
        weights, biases = (np.repeat(one, owners, axis=0) for one in (weights, biases))
        model_means, feature_means, centres = np.zeros(owners), np.zeros(owners), np.zeros((owners, features))
    weights += model_means[:, None, None]
    biases += model_means[:, None]
    centres += feature_means[:, None]
    owner = np.repeat(np.arange(owners, dtype=np.int32), sizes)
    spread = np.arange(1, features + 1) ** -0.6  # the square root of S
    x = (centres[owner] + spread * rng.standard_normal((total, features))).astype(np.float32)
    starts = np.cumsum(sizes) - sizes
    y = np.empty(total, np.int32)
    for one, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        rows = slice(start, start + size)
        y[rows] = np.argmax(x[rows].astype(np.float64) @ weights[one] + biases[one], axis=1)
    test = np.arange(total) - starts[owner] >= sizes[owner] * 9 // 10
    law = "iid" if iid else f"alpha={alpha}, beta={beta}"
    return Dataset(
        *(x[~test], y[~test], x[test], y[test]),
        num_classes=classes,
        name="synthetic",
        source=f"Drawn with seed {seed}: synthetic({law}) of FedProx with {owners} owners.",
        train_owner=owner[~test],
        test_owner=owner[test],
        truth={
            "weights": weights,
            "biases": biases,
            "centres": centres,
            "model_means": model_means,
            "feature_means": feature_means,
        },
    )
