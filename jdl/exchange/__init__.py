"""What my neighbours say: the only place where rows meet. Exchanges wrap exchanges, nearest the sender first."""

from jdl import checks
from jdl.exchange.attacks import (
    ALIE,
    DMPA,
    Constant,
    Dissensus,
    FalseDegree,
    FreeRider,
    Gaussian,
    InnerProduct,
    Mimic,
    MinMax,
    MinSum,
    ModelReplacement,
    SignFlip,
    Spectral,
    Strongest,
    Sybil,
    Zero,
)
from jdl.exchange.chebyshev import Chebyshev
from jdl.exchange.choco import Choco
from jdl.exchange.compress import Compressed
from jdl.exchange.contributions import Contributions
from jdl.exchange.faults import BurstyLinks, Delayed, Duplicated, FillMissing, Lossy, LossyLinks, RobustPushSum, Stale
from jdl.exchange.fragments import Fragments
from jdl.exchange.linear import Linear
from jdl.exchange.per_module import PerModule
from jdl.exchange.private import (
    ClientPrivacy,
    Decor,
    MessageNoise,
    QuantileClipping,
    SecureAggregation,
    TreeNoise,
    ZipDL,
)
from jdl.exchange.random_share import RandomShare
from jdl.exchange.renamed import RENAMED
from jdl.exchange.repeated import Repeated
from jdl.exchange.robust import (
    GTS,
    IOS,
    MDA,
    UBAR,
    Balance,
    Bucketing,
    Bulyan,
    CentredClipping,
    ClippedGossip,
    CoordinateMedian,
    CSPlus,
    FedCPA,
    FlagAggregator,
    FLTrust,
    FoolsGold,
    GeometricMedian,
    Krum,
    Meamed,
    MultiKrum,
    NearestNeighbourAveraging,
    NearestNeighbourMixing,
    NormClipping,
    SignMajority,
    SybilWall,
    TrimmedMean,
    Verified,
)
from jdl.exchange.slice_loss import SliceLoss
from jdl.exchange.stack import layers, stack, stack_down
from jdl.exchange.triggered import Triggered
from jdl.exchange.until_consensus import UntilConsensus
from jdl.exchange.variance_corrected import VarianceCorrected

__all__ = [
    "ALIE",
    "Balance",
    "Bucketing",
    "Bulyan",
    "BurstyLinks",
    "CSPlus",
    "CentredClipping",
    "Chebyshev",
    "Choco",
    "ClientPrivacy",
    "ClippedGossip",
    "Compressed",
    "Constant",
    "Contributions",
    "CoordinateMedian",
    "DMPA",
    "Decor",
    "Delayed",
    "Dissensus",
    "Duplicated",
    "FLTrust",
    "FalseDegree",
    "FedCPA",
    "FillMissing",
    "FlagAggregator",
    "FoolsGold",
    "Fragments",
    "FreeRider",
    "GTS",
    "Gaussian",
    "GeometricMedian",
    "IOS",
    "InnerProduct",
    "Krum",
    "Linear",
    "Lossy",
    "LossyLinks",
    "MDA",
    "Meamed",
    "MessageNoise",
    "Mimic",
    "MinMax",
    "MinSum",
    "ModelReplacement",
    "MultiKrum",
    "NearestNeighbourAveraging",
    "NearestNeighbourMixing",
    "NormClipping",
    "PerModule",
    "QuantileClipping",
    "RandomShare",
    "Repeated",
    "RobustPushSum",
    "SecureAggregation",
    "SignFlip",
    "SignMajority",
    "SliceLoss",
    "Spectral",
    "Stale",
    "Strongest",
    "Sybil",
    "SybilWall",
    "TreeNoise",
    "Triggered",
    "TrimmedMean",
    "UBAR",
    "UntilConsensus",
    "VarianceCorrected",
    "Verified",
    "Zero",
    "ZipDL",
    "layers",
    "stack",
    "stack_down",
]

checks.name_fields(__name__)
checks.renamed(__name__, RENAMED)
