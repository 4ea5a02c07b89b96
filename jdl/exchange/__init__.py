"""What my neighbours say: the only place where rows meet. Exchanges wrap exchanges, nearest the sender first."""

from jdl import checks
from jdl.exchange.attacks import SignFlip
from jdl.exchange.chebyshev import Chebyshev
from jdl.exchange.choco import Choco
from jdl.exchange.compress import Compressed
from jdl.exchange.faults import Lossy
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
from jdl.exchange.robust import CoordinateMedian, TrimmedMean
from jdl.exchange.stack import layers, stack, stack_down
from jdl.exchange.variance_corrected import VarianceCorrected

__all__ = [
    "Chebyshev",
    "ClientPrivacy",
    "Choco",
    "Compressed",
    "CoordinateMedian",
    "Decor",
    "Linear",
    "Lossy",
    "MessageNoise",
    "PerModule",
    "QuantileClipping",
    "Repeated",
    "SecureAggregation",
    "SignFlip",
    "TreeNoise",
    "TrimmedMean",
    "VarianceCorrected",
    "ZipDL",
    "layers",
    "stack",
    "stack_down",
]

checks.renamed(__name__, RENAMED)
