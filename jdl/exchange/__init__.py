"""What my neighbours say: the only place where rows meet. Exchanges wrap exchanges, nearest the sender first."""

from jdl import checks
from jdl.exchange.attacks import SignFlip
from jdl.exchange.chebyshev import Chebyshev
from jdl.exchange.choco import Choco
from jdl.exchange.compress import Compressed
from jdl.exchange.faults import Lossy
from jdl.exchange.linear import Linear
from jdl.exchange.per_module import PerModule
from jdl.exchange.renamed import RENAMED
from jdl.exchange.repeated import Repeated
from jdl.exchange.robust import (
    GTS,
    MDA,
    Bucketing,
    Bulyan,
    CentredClipping,
    ClippedGossip,
    CoordinateMedian,
    CSPlus,
    GeometricMedian,
    Krum,
    Meamed,
    MultiKrum,
    NearestNeighbourMixing,
    NormClipping,
    TrimmedMean,
)
from jdl.exchange.stack import layers, stack, stack_down
from jdl.exchange.variance_corrected import VarianceCorrected

__all__ = [
    "Bucketing",
    "Bulyan",
    "CSPlus",
    "CentredClipping",
    "Chebyshev",
    "Choco",
    "ClippedGossip",
    "Compressed",
    "CoordinateMedian",
    "GTS",
    "GeometricMedian",
    "Krum",
    "Linear",
    "Lossy",
    "MDA",
    "Meamed",
    "MultiKrum",
    "NearestNeighbourMixing",
    "NormClipping",
    "PerModule",
    "Repeated",
    "SignFlip",
    "TrimmedMean",
    "VarianceCorrected",
    "layers",
    "stack",
    "stack_down",
]

checks.renamed(__name__, RENAMED)
