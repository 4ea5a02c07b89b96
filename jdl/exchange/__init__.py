"""What my neighbours say: the only place where rows meet. Exchanges wrap exchanges, nearest the sender first."""

from jdl import checks
from jdl.exchange.attacks import SignFlip
from jdl.exchange.chebyshev import Chebyshev
from jdl.exchange.choco import Choco
from jdl.exchange.compress import Compressed
from jdl.exchange.faults import (
    BurstyLinks,
    Delayed,
    Duplicated,
    FillMissing,
    Lossy,
    LossyLinks,
    RobustPushSum,
    Stale,
)
from jdl.exchange.linear import Linear
from jdl.exchange.per_module import PerModule
from jdl.exchange.renamed import RENAMED
from jdl.exchange.repeated import Repeated
from jdl.exchange.robust import (
    GTS,
    IOS,
    MDA,
    Balance,
    Bucketing,
    Bulyan,
    CentredClipping,
    ClippedGossip,
    CoordinateMedian,
    CSPlus,
    FoolsGold,
    GeometricMedian,
    Krum,
    Meamed,
    MultiKrum,
    NearestNeighbourAveraging,
    NearestNeighbourMixing,
    NormClipping,
    SignMajority,
    TrimmedMean,
)
from jdl.exchange.stack import layers, stack, stack_down
from jdl.exchange.variance_corrected import VarianceCorrected

__all__ = [
    "Balance",
    "Bucketing",
    "Bulyan",
    "CSPlus",
    "CentredClipping",
    "BurstyLinks",
    "Chebyshev",
    "Choco",
    "ClippedGossip",
    "Compressed",
    "CoordinateMedian",
    "FoolsGold",
    "GTS",
    "GeometricMedian",
    "IOS",
    "Krum",
    "Linear",
    "Lossy",
    "MDA",
    "Meamed",
    "MultiKrum",
    "NearestNeighbourAveraging",
    "NearestNeighbourMixing",
    "NormClipping",
    "Delayed",
    "Duplicated",
    "FillMissing",
    "LossyLinks",
    "PerModule",
    "Repeated",
    "RobustPushSum",
    "SignFlip",
    "SignMajority",
    "Stale",
    "TrimmedMean",
    "VarianceCorrected",
    "layers",
    "stack",
    "stack_down",
]

checks.renamed(__name__, RENAMED)
