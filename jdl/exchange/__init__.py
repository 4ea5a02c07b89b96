"""What my neighbours say: the only place where rows meet. Exchanges wrap exchanges, nearest the sender first."""

from jdl import checks
from jdl.exchange.attacks import SignFlip
from jdl.exchange.chebyshev import Chebyshev
from jdl.exchange.choco import Choco
from jdl.exchange.compress import Compressed
from jdl.exchange.contributions import Contributions
from jdl.exchange.faults import Lossy
from jdl.exchange.fragments import Fragments
from jdl.exchange.linear import Linear
from jdl.exchange.per_module import PerModule
from jdl.exchange.random_share import RandomShare
from jdl.exchange.renamed import RENAMED
from jdl.exchange.repeated import Repeated
from jdl.exchange.robust import CoordinateMedian, TrimmedMean
from jdl.exchange.slice_loss import SliceLoss
from jdl.exchange.stack import layers, stack, stack_down
from jdl.exchange.triggered import Triggered
from jdl.exchange.until_consensus import UntilConsensus
from jdl.exchange.variance_corrected import VarianceCorrected

__all__ = [
    "Chebyshev",
    "Choco",
    "Compressed",
    "Contributions",
    "CoordinateMedian",
    "Fragments",
    "Linear",
    "Lossy",
    "PerModule",
    "RandomShare",
    "Repeated",
    "SignFlip",
    "SliceLoss",
    "TrimmedMean",
    "Triggered",
    "UntilConsensus",
    "VarianceCorrected",
    "layers",
    "stack",
    "stack_down",
]

checks.renamed(__name__, RENAMED)
