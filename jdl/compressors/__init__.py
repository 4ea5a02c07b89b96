"""Lossy codecs of one message: what is decoded, and how many bits travelled. For networks and for methods alike."""

from jdl import checks
from jdl.compressors.block_wise import BlockWise
from jdl.compressors.chain import Chain
from jdl.compressors.compressor import Compressor, Narrowing, Quantiser, Sparsifier
from jdl.compressors.eight_bit_float import EightBitFloat
from jdl.compressors.error_feedback import ErrorFeedback
from jdl.compressors.half_precision import HalfPrecision
from jdl.compressors.identity import Identity
from jdl.compressors.low_rank import LowRank
from jdl.compressors.natural import Natural
from jdl.compressors.power_sgd import PowerSGD
from jdl.compressors.qsgd import QSGD
from jdl.compressors.quantile import Quantile
from jdl.compressors.rand_k import RandK
from jdl.compressors.sign import Sign
from jdl.compressors.significant_digits import SignificantDigits
from jdl.compressors.statistical import Statistical
from jdl.compressors.tern_grad import TernGrad
from jdl.compressors.threshold import Threshold
from jdl.compressors.top_k import TopK
from jdl.compressors.uniform import Uniform

__all__ = [
    "BlockWise",
    "Chain",
    "Compressor",
    "EightBitFloat",
    "ErrorFeedback",
    "HalfPrecision",
    "Identity",
    "LowRank",
    "Narrowing",
    "Natural",
    "PowerSGD",
    "QSGD",
    "Quantile",
    "Quantiser",
    "RandK",
    "Sign",
    "SignificantDigits",
    "Sparsifier",
    "Statistical",
    "TernGrad",
    "Threshold",
    "TopK",
    "Uniform",
]

checks.renamed(__name__, {"Cast": ("jdl.compressors.HalfPrecision", lambda dtype="float16": HalfPrecision(dtype))})
