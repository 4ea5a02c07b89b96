"""Related tasks: linear regressions whose parameters differ between owners by a known structure."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.generators.sizes import checked, gaussian

__all__ = ["RELATIONS", "related_tasks"]

RELATIONS = ("low_rank", "ring")


def related_tasks(
    owners: int = 16,
    examples: int = 10_000,
    test_examples: int = 2_000,
    features: int = 20,
    relation: str = "low_rank",
    rank: int = 2,
    spread: float = 1.0,
    noise: float = 0.1,
    seed: int = 0,
) -> Dataset:
    """A linear regression for each owner, `y = x^T w_i + noise z` with standard normal x and z, and `w_i = w_0 + d_i`.

    w_0 is a random unit vector. The differences d_i have mean square norm `spread^2` over owners, and sum to zero:

    - "low_rank": `d_i = B a_i`, where B has `rank` random orthonormal columns and the a_i are normal;
    - "ring": `d_i = spread (cos(2 pi i / n) b_1 + sin(2 pi i / n) b_2)` with random orthonormal b_1 and b_2, so that
      owners next to each other on a ring of n have similar tasks: `||w_i - w_(i+1)|| = 2 spread sin(pi / n)`.

    The expected squared error of a model w at owner i is `||w - w_i||^2 + noise^2`. Alone, each owner can reach
    `noise^2`; the best model for all is w_0, with `spread^2 + noise^2`, the mean over owners.

    Examples are divided evenly over owners at random. For node i to be owner i, divide the training examples with
    `partition=data.train_owner`.

    `truth`: "tasks" w, f64[owners, features]; "common" w_0, f64[features]; "basis" f64[features, rank], which spans the
    differences (two columns for "ring"); "least_squares" f64[owners, features + 1], the minimum of each owner's mean
    squared error on its training examples, with the intercept last; "bayes_loss", `noise^2`.

    Args:
      owners: number of owners, at least 2; at least 3 on a ring.
      examples: number of training examples, at least `features + 1` for each owner, so that each minimum is unique.
      test_examples: number of test examples.
      features: number of features.
      relation: "low_rank" or "ring".
      rank: dimension of the differences, for "low_rank"; at most the number of features, and less than that of owners.
      spread: root of the mean square norm of the differences, at least 0.
      noise: standard deviation of the targets around their mean, at least 0.
      seed: seed of the random draw.

    Raises:
      InputError: if the relation is unknown or a number is out of range.

    >>> data = related_tasks(owners=4, spread=0.5, noise=0.0)
    >>> differences = data.truth["tasks"] - data.truth["common"]
    >>> round(float(np.mean(np.sum(differences**2, axis=1))), 6), int(np.linalg.matrix_rank(differences))
    (0.25, 2)

    References:
      Evgeniou and Pontil, "Regularized Multi-Task Learning", KDD 2004, for tasks around a common one; Argyriou,
      Evgeniou and Pontil, "Convex Multi-Task Feature Learning", Machine Learning 2008, for a common subspace;
      Vanhaesebrouck, Bellet and Tommasi, "Decentralized Collaborative Learning of Personalized Models over Networks",
      AISTATS 2017, for tasks that are smooth over a graph.
    """
    examples, test_examples, features = checked(examples, test_examples, features)
    relation = checks.known("relation", relation, RELATIONS)
    owners = checks.whole("owners", owners, 3 if relation == "ring" else 2)
    rank = checks.whole("rank", rank, 1) if relation == "low_rank" else 2
    highest = min(features, owners - 1)
    checks.require(
        rank <= highest,
        f"got differences of rank {rank} of {owners} owners with {features} features, need at most {highest}; "
        f"try rank={highest} with relation='low_rank'",
    )
    least = owners * (features + 1)
    checks.require(
        examples >= least,
        f"got examples={examples} for {owners} owners with {features} features, need at least {least}; "
        f"try examples={least}",
    )
    checks.bounded("spread", spread, 0, 1e6, 1.0)
    checks.bounded("noise", noise, 0, 1e6, 0.1)
    rng = np.random.default_rng(checks.whole("seed", seed, 0))
    common = rng.standard_normal(features)
    common /= np.linalg.norm(common)
    basis = np.linalg.qr(rng.standard_normal((features, rank)))[0]
    tasks = common + spread * _coordinates(owners, rank, relation, rng) @ basis.T
    parts = []
    for count in (examples, test_examples):
        x, owner = gaussian(rng, count, features), rng.permutation(np.arange(count, dtype=np.int32) % owners)
        y = np.sum(x.astype(np.float64) * tasks[owner], axis=1) + noise * rng.standard_normal(count)
        parts.append((x, y.astype(np.float32), owner))
    (train_x, train_y, train_owner), (test_x, test_y, test_owner) = parts
    return Dataset(
        *(train_x, train_y, test_x, test_y),
        num_classes=0,
        name="related_tasks",
        source=f"Drawn with seed {seed}: linear regressions of {owners} owners, related by {relation}.",
        train_owner=train_owner,
        test_owner=test_owner,
        truth={
            "tasks": tasks,
            "common": common,
            "basis": basis,
            "least_squares": _least_squares(train_x, train_y, train_owner, owners),
            "bayes_loss": float(noise) ** 2,
        },
    )


def _coordinates(owners: int, rank: int, relation: str, rng: np.random.Generator) -> np.ndarray:
    """The differences in the basis, f64[owners, rank]: they sum to zero, and their mean square norm is 1."""
    if relation == "ring":
        angles = 2 * np.pi * np.arange(owners) / owners
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)
    drawn = rng.standard_normal((owners, rank))
    drawn -= drawn.mean(axis=0)
    return drawn / np.sqrt(np.mean(np.sum(drawn**2, axis=1)))


def _least_squares(x: np.ndarray, y: np.ndarray, owner: np.ndarray, owners: int) -> np.ndarray:
    """The minimum of the mean squared error of each owner, with the intercept last, f64[owners, features + 1]."""
    one = np.concatenate([x, np.ones_like(x[:, :1])], axis=1).astype(np.float64)
    return np.stack([np.linalg.lstsq(one[owner == i], y[owner == i].astype(np.float64))[0] for i in range(owners)])
