"""The global minimum of a problem that knows it."""

from __future__ import annotations

from typing import NamedTuple

import jax

from jdl.types import PyTree

__all__ = ["Optimum"]


class Optimum(NamedTuple):
    """Where the global objective is least: `params`, shaped as one node's, and `loss: f[]`, its value there."""

    params: PyTree
    loss: jax.Array
