"""Feature shift with a known cause: owners see examples rotated, or with their pixels in another order."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.generators.mixture import gaussian_mixture

__all__ = ["permuted_clients", "pictures", "rotated_clients", "turned"]

# Grey levels per standard deviation, around the middle of 0..255: five standard deviations on either side.
GREY, CONTRAST = 128, 24


def rotated_clients(
    data: Dataset | None = None,
    owners: int = 4,
    examples: int = 10_000,
    test_examples: int = 2_000,
    seed: int = 0,
) -> Dataset:
    """A data set divided over owners at random; each sees its examples rotated, images by `owner` quarter turns.

    Features are rotated by the angle `2 pi owner / owners` in the planes of columns 0 and 1, 2 and 3, and so on (an odd
    last column stays). The test set is divided and rotated in the same way. Labels and their distribution are the same
    for all owners.

    `truth`: that of `data`, with "angles" f64[owners] in radians.

    Args:
      data: images or features; None for images of a Gaussian mixture (see `pictures`).
      owners: number of owners, for images at most 4.
      examples: number of training examples to draw if `data` is None.
      test_examples: number of test examples to draw if `data` is None.
      seed: seed of the draw and of the division over owners.

    Raises:
      InputError: if images are not square or there are more than four owners of them, or if the data cannot be rotated.

    >>> data = rotated_clients(examples=100)
    >>> data.train_x.shape, np.bincount(data.train_owner).tolist()
    ((100, 28, 28, 1), [25, 25, 25, 25])

    References:
      Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017, for rotated MNIST; Ghosh
      et al., "An Efficient Framework for Clustered Federated Learning", NeurIPS 2020, for clusters by rotation.
    """
    owners, seed = checks.whole("owners", owners, 1), checks.whole("seed", seed, 0)
    data = pictures(examples, test_examples, seed) if data is None else data
    _turnable(data)
    shape = data.train_x.shape[1:]
    if len(shape) == 3:
        checks.require(owners <= 4, f"got owners={owners}, images have four quarter turns; try owners=4")
        checks.require(shape[0] == shape[1], f"got images of {shape[0]}x{shape[1]}, need square ones to turn them")
    angles = np.arange(owners) * 2 * np.pi / (4 if len(shape) == 3 else owners)
    turn = lambda x, owner: np.rot90(x, owner, axes=(1, 2)) if len(shape) == 3 else turned(x, angles[owner])
    return _shifted(data, owners, seed, turn, "rotated_clients", {"angles": angles})


def permuted_clients(
    data: Dataset | None = None,
    owners: int = 4,
    examples: int = 10_000,
    test_examples: int = 2_000,
    seed: int = 0,
) -> Dataset:
    """A data set divided over owners at random, of which each sees the pixels (or features) in another order.

    Owner 0 has the original order. Channels of a pixel stay together. The test set is divided and permuted in the same
    way.

    `truth`: that of `data`, with "permutations" i32[owners, d], whose row gives the original pixel at each place.

    Args:
      data: images or features; None for images of a Gaussian mixture (see `pictures`).
      owners: number of owners, each with its own order.
      examples: number of training examples to draw if `data` is None.
      test_examples: number of test examples to draw if `data` is None.
      seed: seed of the draw, of the orders, and of the division over owners.

    Raises:
      InputError: if the data are neither images nor features.

    >>> data = permuted_clients(examples=100, owners=2)
    >>> data.truth["permutations"].shape, data.truth["permutations"][0, :3].tolist()
    ((2, 784), [0, 1, 2])

    References:
      Goodfellow et al., "An Empirical Investigation of Catastrophic Forgetting", 2013 (arXiv:1312.6211), for permuted
      MNIST.
    """
    owners, seed = checks.whole("owners", owners, 1), checks.whole("seed", seed, 0)
    data = pictures(examples, test_examples, seed) if data is None else data
    _turnable(data)
    places = int(np.prod(data.train_x.shape[1:3]))
    rng = np.random.default_rng([seed, 1])
    orders = np.stack([np.arange(places), *(rng.permutation(places) for _ in range(owners - 1))]).astype(np.int32)

    def permute(x, owner):
        return x.reshape(len(x), places, -1)[:, orders[owner]].reshape(x.shape)

    return _shifted(data, owners, seed, permute, "permuted_clients", {"permutations": orders})


def pictures(examples: int, test_examples: int, seed: int, separation: float = 8.0) -> Dataset:
    """A Gaussian mixture of ten classes as grey images u8[N, 28, 28, 1], with 24 levels per standard deviation."""
    data = gaussian_mixture(examples, test_examples, 784, 10, separation, seed)
    grey = lambda x: np.clip(np.rint(GREY + CONTRAST * x), 0, 255).astype(np.uint8).reshape(-1, 28, 28, 1)
    return data._replace(train_x=grey(data.train_x), test_x=grey(data.test_x))


def turned(x: np.ndarray, angle: float) -> np.ndarray:
    """f[..., d] rotated by `angle` in the planes of columns 0 and 1, 2 and 3, ...; an odd last column stays.

    >>> turned(np.array([1.0, 0.0, 5.0]), np.pi / 2).round(12).tolist()
    [0.0, 1.0, 5.0]
    """
    pairs = x.shape[-1] // 2 * 2
    cos, sin = np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)
    left, right, out = x[..., 0:pairs:2], x[..., 1:pairs:2], x.copy()
    out[..., 0:pairs:2], out[..., 1:pairs:2] = cos * left - sin * right, sin * left + cos * right
    return out


def _turnable(data: Dataset) -> None:
    checks.require(isinstance(data, Dataset), f"got data={data!r}, need a data set; try data=jdl.data.load({data!r})")
    x = data.train_x
    checks.require(
        x.ndim == 4 or (x.ndim == 2 and x.dtype.kind == "f"),
        f"got {data.name} with examples of type {x.dtype} and shape {x.shape[1:]}, need images or features",
    )


def _shifted(data, owners, seed, shift, name, truth) -> Dataset:
    """Each part divided evenly at random over owners, with the shift of its owner applied to each share."""
    rng = np.random.default_rng([seed, 0])
    dealt, shifted = [], []
    for x in (data.train_x, data.test_x):
        owner, out = rng.permutation(np.arange(len(x), dtype=np.int32) % owners), np.empty_like(x)
        for one in range(owners):
            out[owner == one] = shift(x[owner == one], one)
        dealt.append(owner)
        shifted.append(out)
    return data._replace(
        train_x=shifted[0],
        test_x=shifted[1],
        name=name,
        source=f"{data.source} Shared by {owners} owners, each with its own view, by seed {seed}.",
        train_owner=dealt[0],
        test_owner=dealt[1],
        truth={**(data.truth or {}), **truth},
    )
