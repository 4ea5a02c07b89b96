"""The lines of a picture of runs, with their bands: numbers alone, nothing is drawn here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jdl import checks
from jdl.show import columns, intervals

__all__ = ["BANDS", "Curve", "Table", "curves_of", "kind_of"]

Table = Mapping[str, np.ndarray]  # the columns of a run, f[E] of E evaluations or f[E, S] of S seeds

BANDS = (*intervals.KINDS, "nodes", "none")
MANY = 6  # runs; of more, bands from the worst node to the best cover each other


@dataclasses.dataclass(frozen=True)
class Curve:
    """A line of a panel, f[E] each.

    Attributes:
      name: the run.
      x: where.
      y: the mean over seeds, or the values.
      low: the lower end of the band, NaN without one.
      high: its upper end.
      seeds: the number of seeds.
      diverged: the number of them whose last value is not finite.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: int
    diverged: int

    @property
    def label(self) -> str:
        """The name, and how many seeds diverged."""
        if not self.diverged:
            return self.name
        return (
            f"{self.name} (diverged)" if self.seeds == 1 else f"{self.name} ({self.diverged} of {self.seeds} diverged)"
        )


def kind_of(tables: Mapping[str, Table], names: Sequence[str], band: str | None) -> str:
    """The kind of the bands: what the caller asked for, or the default of `jdl.compare`.

    Args:
      tables: the columns of each run by name.
      names: the columns that are drawn.
      band: what the caller asked for; None for the default.

    Raises:
      InputError: if there is no such kind, or if it is over seeds and no run has several.
    """
    checks.require(
        band is None or band in BANDS, f"got band={band!r}, which does not exist; use one of {', '.join(BANDS)}"
    )
    seeded = any(columns.shown(found, y, name).ndim == 2 for name, found in tables.items() for y in names)
    checks.require(
        seeded or band not in intervals.KINDS,
        f"got band={band!r}, which is over seeds, but no run has several; run with seeds=5, or leave band out",
    )
    return band or ("bootstrap" if seeded else "nodes" if len(tables) <= MANY else "none")


def curves_of(tables: Mapping[str, Table], x: str, y: str, kind: str) -> list[Curve]:
    """The lines of a panel, with their bands.

    Args:
      tables: the columns of each run by name.
      x: the column along the axis.
      y: the column of the lines.
      kind: that of the bands.

    Raises:
      InputError: if there is no such column.
    """
    return [_curve(name, found, x, y, kind) for name, found in tables.items()]


def _curve(name: str, found: Table, x: str, y: str, kind: str) -> Curve:
    values = columns.shown(found, y, name)
    along = _over_seeds(columns.shown(found, x, name)).astype(float)
    last = np.atleast_1d(values[-1])
    seeds, diverged = last.size, int(np.sum(~np.isfinite(last)))
    mean = _over_seeds(values)
    low = high = np.full(mean.shape, np.nan)
    if diverged:  # about numbers that grow without bound, a band would fill the picture
        pass
    elif kind in intervals.KINDS and values.ndim == 2:
        mean, low, high = intervals.interval(values, kind)
    elif kind == "nodes" and (ends := _nodes(found, y)):
        low, high = np.minimum(*ends), np.maximum(*ends)
    return Curve(name, along, np.where(np.isfinite(mean), mean, np.nan), low, high, seeds, diverged)


def _nodes(found: Table, y: str) -> list[np.ndarray]:
    """The values of the worst and of the best node, if `y` is a mean over nodes of which both are known.

    Of a metric of the user's own they are the largest and the smallest.
    """
    above = y == columns.ABOVE
    what = "loss" if above else y.removeprefix("mean_")
    pairs = ([f"{of}_{what}" for of in ends] for ends in (("worst", "best"), ("max", "min")))
    names = next((pair for pair in pairs if all(name in found for name in pair)), [])
    if not (above or y.startswith("mean_")) or not names:
        return []
    optimum = found["mean_loss"] - found[y] if above else 0.0
    return [_over_seeds(found[name] - optimum) for name in names]


def _over_seeds(values: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):  # a seed that has diverged
        return values.mean(axis=1) if values.ndim == 2 else values
