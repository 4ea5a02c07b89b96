"""Lossy codecs of one message: what is decoded, and how many bits travelled. For networks and for methods alike."""

from jdl import checks
from jdl.compressors.binomial_mechanism import BinomialMechanism
from jdl.compressors.chain import Chain
from jdl.compressors.compressor import Compressor, Narrowing
from jdl.compressors.error_feedback import ErrorFeedback
from jdl.compressors.half_precision import HalfPrecision
from jdl.compressors.identity import Identity
from jdl.compressors.low_rank import LowRank
from jdl.compressors.power_sgd import PowerSGD
from jdl.compressors.rand_k import RandK
from jdl.compressors.rqm import RQM
from jdl.compressors.statistical import Statistical
from jdl.compressors.top_k import TopK
from jdl.compressors.uniform import Uniform

__all__ = [
    "BinomialMechanism",
    "Chain",
    "Compressor",
    "ErrorFeedback",
    "HalfPrecision",
    "Identity",
    "LowRank",
    "Narrowing",
    "PowerSGD",
    "RQM",
    "RandK",
    "Statistical",
    "TopK",
    "Uniform",
]

checks.renamed(__name__, {"Cast": ("jdl.compressors.HalfPrecision", lambda dtype="float16": HalfPrecision(dtype))})
