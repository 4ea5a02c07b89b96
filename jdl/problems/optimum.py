"""The global minimum of a problem, where it is known."""

from __future__ import annotations

from typing import NamedTuple

import jax

from jdl.types import PyTree

__all__ = ["Optimum"]


class Optimum(NamedTuple):
    """The global minimum of the objective.

    Args:
      params: the minimiser, in the shape of one model.
      loss: f[], the value of the objective there.
    """

    params: PyTree
    loss: jax.Array
