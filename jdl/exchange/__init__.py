"""What my neighbours say: the only place where rows meet. Exchanges wrap exchanges, nearest the sender first."""

from jdl import checks
from jdl.exchange.attacks.alie import ALIE
from jdl.exchange.attacks.constant import Constant
from jdl.exchange.attacks.dissensus import Dissensus
from jdl.exchange.attacks.dmpa import DMPA
from jdl.exchange.attacks.free_rider import FreeRider
from jdl.exchange.attacks.gaussian import Gaussian
from jdl.exchange.attacks.inner_product import InnerProduct
from jdl.exchange.attacks.mimic import Mimic
from jdl.exchange.attacks.min_max import MinMax
from jdl.exchange.attacks.min_sum import MinSum
from jdl.exchange.attacks.model_replacement import ModelReplacement
from jdl.exchange.attacks.sign_flip import SignFlip
from jdl.exchange.attacks.spectral import Spectral
from jdl.exchange.attacks.sybil import Sybil
from jdl.exchange.attacks.zero import Zero
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
from jdl.exchange.private.client_privacy import ClientPrivacy
from jdl.exchange.private.decor import Decor
from jdl.exchange.private.message_noise import MessageNoise
from jdl.exchange.private.quantile_clipping import QuantileClipping
from jdl.exchange.private.secure_aggregation import SecureAggregation
from jdl.exchange.private.tree_noise import TreeNoise
from jdl.exchange.private.zip_dl import ZipDL
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
    "ALIE",
    "Chebyshev",
    "ClientPrivacy",
    "Choco",
    "ClippedGossip",
    "Compressed",
    "Constant",
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
    "DMPA",
    "Dissensus",
    "FreeRider",
    "Gaussian",
    "InnerProduct",
    "Mimic",
    "MinMax",
    "MinSum",
    "ModelReplacement",
    "Decor",
    "MessageNoise",
    "PerModule",
    "QuantileClipping",
    "Repeated",
    "RobustPushSum",
    "SignFlip",
    "SignMajority",
    "Stale",
    "Spectral",
    "Sybil",
    "TrimmedMean",
    "VarianceCorrected",
    "Zero",
    "SecureAggregation",
    "TreeNoise",
    "ZipDL",
    "layers",
    "stack",
    "stack_down",
]

checks.renamed(__name__, RENAMED)
