"""Rules that take the place of the mean and hold against liars among the neighbours."""

from jdl.exchange.robust.balance import Balance
from jdl.exchange.robust.bucketing import Bucketing
from jdl.exchange.robust.bulyan import Bulyan
from jdl.exchange.robust.centred_clipping import CentredClipping
from jdl.exchange.robust.clipped_gossip import GTS, ClippedGossip, CSPlus
from jdl.exchange.robust.fed_cpa import FedCPA
from jdl.exchange.robust.fl_trust import FLTrust
from jdl.exchange.robust.flag_aggregator import FlagAggregator
from jdl.exchange.robust.fools_gold import FoolsGold
from jdl.exchange.robust.geometric_median import GeometricMedian
from jdl.exchange.robust.ios import IOS
from jdl.exchange.robust.krum import Krum, MultiKrum
from jdl.exchange.robust.mda import MDA
from jdl.exchange.robust.meamed import Meamed
from jdl.exchange.robust.median import CoordinateMedian
from jdl.exchange.robust.nearest import NearestNeighbourMixing
from jdl.exchange.robust.nearest_average import NearestNeighbourAveraging
from jdl.exchange.robust.norm_clipping import NormClipping
from jdl.exchange.robust.sign_majority import SignMajority
from jdl.exchange.robust.sybil_wall import SybilWall
from jdl.exchange.robust.trimmed import TrimmedMean
from jdl.exchange.robust.ubar import UBAR
from jdl.exchange.robust.verified import Verified

__all__ = [
    "Balance",
    "Bucketing",
    "Bulyan",
    "CSPlus",
    "CentredClipping",
    "ClippedGossip",
    "CoordinateMedian",
    "FLTrust",
    "FedCPA",
    "FlagAggregator",
    "FoolsGold",
    "GTS",
    "GeometricMedian",
    "IOS",
    "Krum",
    "MDA",
    "Meamed",
    "MultiKrum",
    "NearestNeighbourAveraging",
    "NearestNeighbourMixing",
    "NormClipping",
    "SignMajority",
    "SybilWall",
    "TrimmedMean",
    "UBAR",
    "Verified",
]
