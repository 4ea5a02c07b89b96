"""Lossy codecs of one message: each says what is decoded and how many bits travelled. Networks and methods use them."""

from jdl import checks
from jdl.compressors.binomial_mechanism import BinomialMechanism
from jdl.compressors.block_wise import BlockWise
from jdl.compressors.chain import Chain
from jdl.compressors.compressor import Compressor, Narrowing, Quantiser, Sparsifier
from jdl.compressors.count_sketch import CountSketch
from jdl.compressors.eight_bit_float import EightBitFloat
from jdl.compressors.error_feedback import ErrorFeedback
from jdl.compressors.fed_zip import FedZip
from jdl.compressors.flattened import Flattened
from jdl.compressors.fragment import Fragment
from jdl.compressors.half_precision import HalfPrecision
from jdl.compressors.identity import Identity
from jdl.compressors.in_transform import InTransform
from jdl.compressors.k_means import KMeans
from jdl.compressors.low_rank import LowRank
from jdl.compressors.natural import Natural
from jdl.compressors.normalised import Normalised
from jdl.compressors.power_sgd import PowerSGD
from jdl.compressors.qsgd import QSGD
from jdl.compressors.quantile import Quantile
from jdl.compressors.rand_k import RandK
from jdl.compressors.random_low_rank import RandomLowRank
from jdl.compressors.rotated import Rotated
from jdl.compressors.rqm import RQM
from jdl.compressors.sign import Sign
from jdl.compressors.significant_digits import SignificantDigits
from jdl.compressors.sparse_ternary import SparseTernary
from jdl.compressors.statistical import Statistical
from jdl.compressors.tern_grad import TernGrad
from jdl.compressors.threshold import Threshold
from jdl.compressors.top_k import TopK
from jdl.compressors.uniform import Uniform

__all__ = [
    "BlockWise",
    "BinomialMechanism",
    "Chain",
    "Compressor",
    "CountSketch",
    "EightBitFloat",
    "ErrorFeedback",
    "FedZip",
    "Flattened",
    "Fragment",
    "HalfPrecision",
    "Identity",
    "InTransform",
    "KMeans",
    "LowRank",
    "Narrowing",
    "Natural",
    "Normalised",
    "PowerSGD",
    "QSGD",
    "Quantile",
    "Quantiser",
    "RQM",
    "RandK",
    "RandomLowRank",
    "Rotated",
    "Sign",
    "SignificantDigits",
    "SparseTernary",
    "Sparsifier",
    "Statistical",
    "TernGrad",
    "Threshold",
    "TopK",
    "Uniform",
]

checks.name_fields(__name__)
checks.renamed(__name__, {"Cast": ("jdl.compressors.HalfPrecision", lambda dtype="float16": HalfPrecision(dtype))})
