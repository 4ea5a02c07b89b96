"""The evaluations of a sweep as one labelled array for each metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl import checks

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["dataset", "grid"]


def grid(
    frame: pandas.DataFrame, dimensions: Sequence[str], metrics: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Lay the rows of a frame into arrays with an axis for each dimension; NaN where there is no row.

    Args:
      frame: the rows.
      dimensions: the columns that are dimensions. No two rows agree in all of them.
      metrics: the columns that become arrays.

    Returns:
      The coordinates of each dimension, and the arrays f64[...] of the metrics.

    Raises:
      InputError: if the arrays do not fit the memory.
    """
    import pandas

    coordinates, codes = {}, []
    for name in dimensions:
        code, values = pandas.factorize(frame[name], use_na_sentinel=False, sort=name in ("seed", "round"))
        coordinates[name] = _coordinate(list(values))
        codes.append(code)
    shape = tuple(map(len, coordinates.values()))
    checks.fits(8 * math.prod(shape) * len(metrics), f"a grid of {' x '.join(map(str, shape))} for each metric")
    arrays = {}
    for name in metrics:
        arrays[name] = np.full(shape, np.nan)
        arrays[name][tuple(codes)] = frame[name].to_numpy(float)
    return coordinates, arrays


def _coordinate(values: list[Any]) -> np.ndarray:
    """Labels as an array: of numbers if all are; a point that does not have the axis is at NaN, or at ""."""
    missing = [isinstance(value, float) and math.isnan(value) for value in values]
    known = [value for value, gone in zip(values, missing, strict=True) if not gone]
    if all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in known):
        return np.array(values)
    return np.array(["" if gone else str(value) for value, gone in zip(values, missing, strict=True)])


def dataset(frame: pandas.DataFrame, axes: Sequence[str], metrics: Sequence[str]) -> xarray.Dataset:
    """The evaluations as an `xarray.Dataset` with a dimension for each axis, seed and round.

    Raises:
      InputError: if xarray is not installed, or if the arrays do not fit the memory.
    """
    try:
        import xarray
    except ImportError:
        raise checks.InputError(
            "got to_xarray() without xarray, need the package; install it: pip install 'jdl[export]'"
        ) from None
    dimensions = [*axes, "seed", "round"]
    coordinates, arrays = grid(frame, dimensions, metrics)
    return xarray.Dataset({name: (dimensions, values) for name, values in arrays.items()}, coordinates)
