"""Examples that nobody trains on: public inputs that belong to no node, and a share that each node keeps aside."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from jdl import checks
from jdl.data import Dataset, Partition

__all__ = ["held_apart", "public_inputs"]

Public = tuple[np.ndarray | None, np.ndarray | None]


def public_inputs(data: Dataset, public: Any, seed: int) -> tuple[Dataset, Public]:
    """Take public inputs from the training examples, or from an array.

    Args:
      data: the data set.
      public: a share of its training examples, from 0 (none) to below 1, drawn at random; or an array of inputs, whose
        labels nobody knows.
      seed: the seed of the draw.

    Returns:
      The data set without what was taken; and the public inputs with their targets, None where there are none.

    Raises:
      InputError: if it is neither, or if the inputs have another shape than the training examples.
    """
    if public is None or (isinstance(public, numbers.Real) and not isinstance(public, bool) and public == 0):
        return data, (None, None)
    if isinstance(public, numbers.Real):
        examples = len(data.train_y)
        count = round(float(public) * examples) if np.isfinite(public) and not isinstance(public, bool) else 0
        got = f"got public={public!r}, which is {count} of {examples} training examples"
        checks.require(0 < count < examples, f"{got}, need some and not all; try public=0.1")
        taken = np.zeros(examples, bool)
        taken[np.random.default_rng([seed, 1]).choice(examples, count, replace=False)] = True
        owner = None if data.train_owner is None else data.train_owner[~taken]
        rest = data._replace(train_x=data.train_x[~taken], train_y=data.train_y[~taken], train_owner=owner)
        return rest, (data.train_x[taken], data.train_y[taken])
    inputs, own = np.asarray(public), data.train_x
    numeric = inputs.dtype.kind in "fiu"
    got = f"got public inputs of shape {inputs.shape} and type {inputs.dtype}"
    fits = numeric and inputs.ndim > 0 and len(inputs) > 0 and inputs.shape[1:] == own.shape[1:]
    do = "give an array [P, ...], or a share of the training examples, public=0.1"
    checks.require(fits, f"{got}, need inputs of {own.shape[1:]}, as in {data.name}; {do}")
    same = inputs.dtype == own.dtype or (inputs.dtype.kind == own.dtype.kind and own.dtype != np.uint8)
    checks.require(same, f"{got}, need {own.dtype}, as in {data.name}; convert them")
    checks.require(np.isfinite(inputs).all(), f"{got} that are not finite, need finite numbers; leave those out")
    return data, (inputs.astype(own.dtype), None)


def held_apart(split: Partition, validation: float) -> tuple[Partition, Partition | None]:
    """Take the last examples of each node away from its training examples.

    Args:
      split: the partition.
      validation: the share of each node's examples, from 0 to below 1; rounded, and at most all but one.

    Returns:
      The partition of the training examples, and that of the others; None with a share of 0.

    Raises:
      InputError: if the share is out of range, or if no node has an example to spare.

    >>> split = Partition(np.array([[4, 5, 6, 7], [8, 0, 0, 0]]), np.array([4, 1]))
    >>> [part.indices.tolist() for part in held_apart(split, 0.25)]
    [[[4, 5, 6], [8, 0, 0]], [[7], [0]]]
    """
    good = isinstance(validation, numbers.Real) and not isinstance(validation, bool) and 0 <= validation < 1
    checks.require(good, f"got validation={validation!r}, need a share from 0 to below 1; try validation=0.2")
    if validation == 0:
        return split, None
    counts = np.asarray(split.counts)
    held = np.minimum(np.rint(validation * counts).astype(np.int32), np.maximum(counts - 1, 0))
    got = f"got validation={validation!r} of nodes with at most {counts.max(initial=0)} examples, which is none"
    checks.require(bool(held.any()), f"{got}; give a larger share, or fewer nodes")
    trained = (counts - held).astype(np.int32)
    return _rows(split, 0 * trained, trained), _rows(split, trained, held)


def _rows(split: Partition, first: np.ndarray, counts: np.ndarray) -> Partition:
    """The partition of `counts` places of each row, from the place `first` on."""
    places = np.arange(counts.max(initial=1))
    real = places < counts[:, None]
    rows = np.take_along_axis(np.asarray(split.indices), np.where(real, first[:, None] + places, 0), axis=1)
    return Partition(np.where(real, rows, 0).astype(np.int32), counts)
