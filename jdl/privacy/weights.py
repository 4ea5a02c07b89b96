"""The weights of gossip steps as arrays, from all forms in which a caller has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jdl import checks

__all__ = ["weights_of"]


def weights_of(W: Any, steps: int | None) -> list[np.ndarray]:
    """The W of each step, f[n, n].

    Args:
      W: a matrix, which may be sparse, or a topology; or a list of these, one for each step.
      steps: their number; None for one, or, if W is a list, for its length.

    Raises:
      InputError: if W is not square, or if there are more or fewer matrices than steps.
    """
    given = [*W] if isinstance(W, list | tuple) else None
    many: Sequence[Any] = given or [W] * checks.whole("steps", 1 if steps is None else steps, 1)
    many = [getattr(one, "weights", one) for one in many]
    arrays = [np.asarray(one.toarray() if hasattr(one, "toarray") else one, float) for one in many]
    shape = arrays[0].shape
    square = len(shape) == 2 and shape[0] == shape[1] and all(one.shape == shape for one in arrays)
    checks.require(square, f"got W of shape {shape}, need [n, n]; give topology.weights.toarray()")
    fits = given is None or steps is None or steps == len(given)
    checks.require(fits, f"got steps={steps} and {len(many)} matrices, need one for each step")
    return arrays
