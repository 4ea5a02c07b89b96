"""Rules that take the place of the mean and hold against liars among the neighbours."""

from jdl.exchange.robust.geometric_median import GeometricMedian
from jdl.exchange.robust.krum import Krum, MultiKrum
from jdl.exchange.robust.median import CoordinateMedian
from jdl.exchange.robust.trimmed import TrimmedMean

__all__ = ["CoordinateMedian", "GeometricMedian", "Krum", "MultiKrum", "TrimmedMean"]
